// SPDX-License-Identifier: GPL-3.0-or-later
//! What holds between those who write hits, who settle them and who forget them, each in a transaction of its own.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use chrono::Utc;
use common::{
    db::{
        self, Transactions,
        erasures::{self, Suppression},
    },
    ids::{ControllerId, SubjectRef},
};
use harness::{database::Database, installation::Installation, samples::Sample};
use tokio_postgres::Client;

fn example() -> ControllerId {
    ControllerId("example".into())
}

/// Writes hits of a class down that an odd client made, so that no rule changes their verdicts.
async fn store(client: &Client, sample: &Sample, class: &str, ages: &str, is_settled: bool) {
    let insert = format!(
        "INSERT INTO hits (controller_id, message_id, at, id, kind, ordinal, features, class, confidence, reasons,
            rules_version, settled)
         SELECT 'example', $1, date_trunc('milliseconds', now() - age), gen_random_uuid(), 'open', 0, '{{}}', $2, 90, '{{}}', 1, $3
         FROM ({ages}) AS ages (age)"
    );
    client
        .execute(&insert, &[&sample.message.0, &class, &is_settled])
        .await
        .unwrap();
}

#[tokio::test]
async fn erasure_waits_for_no_other_controller() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    database
        .execute(
            "INSERT INTO controllers (id, name, address, contact, authority)
             VALUES ('another', '', '', '', ''), ('other', '', '', '', '');
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = ''2s''', current_database()); END $$",
        )
        .await;
    let mut connection = db::connect(database.url()).await.unwrap();
    let others = database.connect().await;
    // As erasures under the other controllers hold them.
    others
        .batch_execute("BEGIN; SELECT start_consent_epoch('another'), start_consent_epoch('other')")
        .await
        .unwrap();

    let erased = connection
        .transaction(async |connection| {
            let subject = SubjectRef(sample.subject);
            let (hash, suppression) = ([7; 32], Suppression::Keep);
            erasures::erase(
                &example(),
                subject,
                &hash,
                suppression,
                Utc::now(),
                connection,
            )
            .await
        })
        .await;

    assert_eq!(erased.unwrap().len(), 1);
    let left = "SELECT count(*) FROM messages";
    assert_eq!(database.count(left, &[]).await, 0);
}

#[tokio::test]
async fn message_that_is_deleted_by_hand_takes_its_hits_along_and_is_forgotten_by_all() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let client = database.connect().await;
    store(&client, &sample, "human", "SELECT interval '0'", true).await;
    let epoch = "SELECT epoch FROM consent_epochs WHERE controller_id = 'example'";
    let before = database.count(epoch, &[]).await;

    client.execute("DELETE FROM messages", &[]).await.unwrap();

    assert_eq!(database.count("SELECT count(*) FROM hits", &[]).await, 0);
    assert!(database.count(epoch, &[]).await > before);
}
