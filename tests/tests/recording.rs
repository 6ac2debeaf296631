// SPDX-License-Identifier: GPL-3.0-or-later
//! What holds between those who write hits, who settle them and who forget them, each in a transaction of its own.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    consent::chain,
    db::{
        self, Transactions,
        erasures::{self, Suppression},
        hits::{self, Batch, Json, New, Novelty, Verdict},
        settlements, subjects, withdrawals,
    },
    ids::{ControllerId, MessageId, SubjectRef},
};
use harness::{
    database::{Database, wait_for_a_waiter},
    installation::{Builder, Installation},
    log::PATIENCE,
    samples::Sample,
    web::{MAIL_PROGRAM, Visitor},
};
use tokio_postgres::{Client, types::ToSql};
use uuid::Uuid;

const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('consent|example', 0))";

fn example() -> ControllerId {
    ControllerId("example".into())
}

/// Settles after a moment instead of a minute.
fn hasty(database: &Database) -> Builder {
    Installation::on(database)
        .set("classify.settle", "100ms")
        .set("classify.late_recheck", "500ms")
}

/// Waits until a query says yes.
async fn until(client: &Client, query: &str, parameters: &[&(dyn ToSql + Sync)]) {
    let wait = async {
        while !client
            .query_one(query, parameters)
            .await
            .unwrap()
            .get::<_, bool>(0)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_elapsed| panic!("\"{query}\" never said yes"));
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

/// Puts a message's hits on the list, due now.
async fn announce(client: &Client, sample: &Sample, oldest: &str) {
    let insert = format!(
        "INSERT INTO arrivals (controller_id, due_at, oldest_at, message_ids)
         VALUES ('example', now(), now() - interval '{oldest}', ARRAY[$1::uuid])"
    );
    client.execute(&insert, &[&sample.message.0]).await.unwrap();
}

/// A message of a controller is opened now.
fn opened(owner: usize, message: MessageId) -> New {
    New {
        owner,
        message,
        at: chain::storable(Utc::now()),
        id: Uuid::new_v4(),
        ordinal: 0,
        features: Json("{}".into()),
        verdict: Verdict {
            class: "human",
            confidence: 90,
            reasons: Vec::new(),
        },
        duplicate_of: None,
    }
}

#[tokio::test]
async fn batch_is_kept_only_if_consent_changed_under_none_of_its_controllers() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    database
        .execute(
            "INSERT INTO controllers (id, name, address, contact, authority)
             VALUES ('zeta', '', '', '', ''), ('alpha', '', '', '', ''), ('idle', '', '', '', '');
             INSERT INTO consent_epochs VALUES ('zeta', 2), ('alpha', 3)",
        )
        .await;
    let mut connection = db::connect(database.url()).await.unwrap();
    let [first, second, third] = [1, 2, 3].map(|number| MessageId(Uuid::from_u128(number)));
    let rows = [opened(1, first), opened(0, second), opened(1, third)];
    let mut kept = Vec::new();
    for epochs in [[2, 2, 0], [1, 3, 0], [2, 3, 1], [2, 3, 0]] {
        let batch = Batch {
            controllers: &["zeta", "alpha", "idle"],
            epochs: &epochs,
            rules_version: 1,
            settle: TimeDelta::seconds(60),
            novelty: Novelty::New,
        };
        kept.push(hits::keep(&rows, batch, &mut connection).await.unwrap());
    }

    assert_eq!(kept, [false, false, false, true]);
    assert_eq!(database.count("SELECT count(*) FROM hits", &[]).await, 3);
    let client = database.connect().await;
    let arrivals = client
        .query(
            "SELECT controller_id, message_ids, oldest_at FROM arrivals ORDER BY controller_id",
            &[],
        )
        .await
        .unwrap();
    let arrivals: Vec<(String, Vec<Uuid>, DateTime<Utc>)> = arrivals
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let expected = [
        ("alpha".to_owned(), vec![first.0, third.0], rows[0].at),
        ("zeta".to_owned(), vec![second.0], rows[1].at),
    ];
    assert_eq!(arrivals, expected);
}

#[tokio::test]
async fn hit_that_waited_for_a_lock_beyond_its_time_is_settled_by_itself() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let (holder, observer) = tokio::join!(database.connect(), database.connect());
    let epoch: i64 = observer
        .query_one("SELECT epoch FROM consent_epochs", &[])
        .await
        .unwrap()
        .get(0);
    let mut connection = db::connect(database.url()).await.unwrap();
    let settle = TimeDelta::seconds(1);

    holder
        .batch_execute(&format!("BEGIN; {LOCK}"))
        .await
        .unwrap();
    // Not late yet.
    let row = opened(0, sample.message);
    let at = row.at;
    let keep = tokio::spawn(async move {
        let batch = Batch {
            controllers: &["example"],
            epochs: &[epoch],
            rules_version: 1,
            settle,
            novelty: Novelty::New,
        };
        hits::keep(&[row], batch, &mut connection).await
    });
    wait_for_a_waiter(&observer).await;
    // From here on the message may be settled beyond the hit.
    let due = at + settle;
    until(&observer, "SELECT clock_timestamp() > $1", &[&due]).await;
    holder.batch_execute("COMMIT").await.unwrap();

    assert!(keep.await.unwrap().unwrap());
    let unsettled = "SELECT count(*) FROM hits WHERE NOT settled";
    assert_eq!(database.count(unsettled, &[]).await, 1);
}

#[tokio::test]
async fn late_hits_of_a_message_that_somebody_is_at_are_settled_afterwards() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = hasty(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let (holder, client) = tokio::join!(database.connect(), database.connect());
    // As a replay leaves them: older than what is settled.
    store(
        &client,
        &sample,
        "human",
        "SELECT interval '40 minutes'",
        false,
    )
    .await;
    let settled = "UPDATE messages SET settled_until = now() - interval '1 second'";
    client.execute(settled, &[]).await.unwrap();
    announce(&client, &sample, "40 minutes").await;

    holder
        .batch_execute("BEGIN; SELECT FROM messages FOR UPDATE")
        .await
        .unwrap();
    let _collector = installation.start_collector().await;
    let is_put_off =
        "SELECT EXISTS (SELECT FROM settlements) AND NOT EXISTS (SELECT FROM arrivals)";
    until(&client, is_put_off, &[]).await;
    holder.batch_execute("COMMIT").await.unwrap();

    until(&client, "SELECT NOT EXISTS (SELECT FROM settlements)", &[]).await;
    let opens = "SELECT open_count::bigint FROM messages";
    assert_eq!(database.count(opens, &[]).await, 1);
    let in_picture = "SELECT coalesce(sum(opens), 0) FROM activity";
    assert_eq!(database.count(in_picture, &[]).await, 1);
}

#[tokio::test]
async fn late_hit_makes_what_followed_it_a_repetition() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = hasty(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let client = database.connect().await;
    // The second was counted half an hour ago; the first waited in a log.
    store(
        &client,
        &sample,
        "human",
        "SELECT interval '30 minutes'",
        true,
    )
    .await;
    store(
        &client,
        &sample,
        "human",
        "SELECT interval '30 minutes 9 seconds'",
        false,
    )
    .await;
    client
        .batch_execute(
            r#"UPDATE messages SET open_count = 1, settled_until = now() - interval '20 minutes';
            UPDATE hits SET features = '{"k": "open", "t": 1800000, "c": "mail-app", "n": "other"}'"#,
        )
        .await
        .unwrap();
    announce(&client, &sample, "31 minutes").await;

    let _collector = installation.start_collector().await;
    until(&client, "SELECT bool_and(settled) FROM hits", &[]).await;

    let classes = "SELECT array_agg(class ORDER BY at) FROM hits";
    let classes: Vec<String> = client.query_one(classes, &[]).await.unwrap().get(0);
    assert_eq!(classes, ["human", "duplicate"]);
    let opens = "SELECT open_count::bigint FROM messages";
    assert_eq!(database.count(opens, &[]).await, 1);
}

#[tokio::test]
async fn flood_of_hits_is_settled_to_the_last_of_them() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = hasty(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let client = database.connect().await;
    let ages = "SELECT interval '4 minutes' - n * interval '20 milliseconds' FROM generate_series(1, 4500) n";
    store(&client, &sample, "security-scanner", ages, true).await;
    announce(&client, &sample, "5 minutes").await;

    let _collector = installation.start_collector().await;
    let is_over =
        "SELECT NOT EXISTS (SELECT FROM settlements) AND NOT EXISTS (SELECT FROM arrivals)";
    until(&client, is_over, &[]).await;

    let automatic = "SELECT automatic_count::bigint FROM messages";
    assert_eq!(database.count(automatic, &[]).await, 4500);
    let in_picture = "SELECT coalesce(sum(automatic), 0) FROM activity";
    assert_eq!(database.count(in_picture, &[]).await, 4500);
}

#[tokio::test]
async fn frozen_message_is_not_waited_for() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    database
        .execute(
            "INSERT INTO settlements (controller_id, message_id, due_at)
             SELECT controller_id, id, now() - interval '1 minute' FROM messages",
        )
        .await;
    let mut connection = db::connect(database.url()).await.unwrap();
    let subject = SubjectRef(sample.subject);

    let before = settlements::next_due(&mut connection).await.unwrap();
    subjects::restrict(&example(), subject, true, &mut connection)
        .await
        .unwrap();
    let frozen = settlements::next_due(&mut connection).await.unwrap();
    subjects::restrict(&example(), subject, false, &mut connection)
        .await
        .unwrap();
    let after = settlements::next_due(&mut connection).await.unwrap();

    assert!(before.is_some());
    assert_eq!(frozen, None);
    assert_eq!(after, before);
}

#[tokio::test]
async fn hits_of_a_frozen_message_are_taken_out_of_the_picture_once() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let frozen = Sample::with_consent(&installation, &database).await;
    let other = Sample::with_consent(&installation, &database).await;
    let client = database.connect().await;
    // Of one user, in one hour.
    client
        .execute("UPDATE messages SET user_id = $1", &[&frozen.user])
        .await
        .unwrap();
    for sample in [&frozen, &other] {
        store(&client, sample, "human", "SELECT interval '0'", true).await;
    }
    database
        .execute(
            "UPDATE messages SET settled_until = now(), open_count = 1;
             INSERT INTO activity (controller_id, user_id, hour, opens)
             SELECT controller_id, user_id, date_trunc('hour', at, 'UTC'), count(*)
             FROM hits JOIN messages USING (controller_id) WHERE messages.id = message_id GROUP BY 1, 2, 3",
        )
        .await;
    let mut connection = db::connect(database.url()).await.unwrap();
    let picture = "SELECT sum(opens) FROM activity";
    let subject = SubjectRef(frozen.subject);

    subjects::restrict(&example(), subject, true, &mut connection)
        .await
        .unwrap();
    let while_frozen = database.count(picture, &[]).await;
    let message = frozen.message;
    connection
        .transaction(async |connection| {
            withdrawals::stop_message(&example(), message, Utc::now(), connection).await
        })
        .await
        .unwrap();

    assert_eq!(while_frozen, 1);
    assert_eq!(database.count(picture, &[]).await, 1);
    assert_eq!(database.count("SELECT count(*) FROM hits", &[]).await, 1);
}

#[tokio::test]
async fn what_is_remembered_of_a_recipient_ends_with_a_withdrawal() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    // However slow the machine, an answered hit is in the database.
    let installation = Installation::on(&database)
        .set("collector.answer_within", "30s")
        .write();
    let client = database.connect().await;
    let first = Sample::with_consent(&installation, &database).await;
    let (second, third) = (first.another(&client).await, first.another(&client).await);
    let _collector = installation.start_collector().await;
    // Over one connection, so that all of them come to the same worker thread.
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    visitor.get(&first.pixel()).await;
    visitor.get(&second.pixel()).await;
    let before = database.count("SELECT count(*) FROM hits", &[]).await;
    first.state(&client, "open", "withdrawn").await;
    visitor.get(&third.pixel()).await;

    let after = database.count("SELECT count(*) FROM hits", &[]).await;
    assert_eq!((before, after), (2, 2));
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
            let (people, hash) = ([sample.subject], [7; 32]);
            let keep = Suppression::Keep;
            erasures::erase(&example(), &people, &hash, keep, Utc::now(), connection).await
        })
        .await;

    assert_eq!(erased.unwrap().people, 1);
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
