// SPDX-License-Identifier: GPL-3.0-or-later
//! Invitations: one line and two rows, or none of them, and no mail waits for either.

use common::{
    address::Address,
    config::{Config, Period},
    db::standings,
    keys::KeyRing,
};
use harness::{
    database::Database,
    needs,
    site::{Said, says, user},
};

use crate::mta::{Folder, Mta, Running, config};

const ANNA: &str = "anna@example.com";
const EWA: &str = "ewa@customer.example";
const BODY: &[u8] = b"<p>Hello.</p>\r\n";
const FIELDS: &[(&str, &str)] = &[
    ("From", " anna@example.com"),
    ("Content-Type", " text/html; charset=utf-8"),
];

async fn place(folder: &Folder, database: &Database) -> Config {
    user(database, ANNA).await;
    // Whoever asked first has the controller written down.
    says(database, "jan@customer.example", Said::Yes).await;
    let mut config = config(folder);
    config.database.url = database.url().to_owned().into();
    config.milter.deadline = Period::millis(20_000);
    config.controllers[0].invite = true;
    config
}

/// Tells whether a message to Ewa, of whom nothing is known, carries the line.
async fn is_invited(mta: &mut Mta) -> bool {
    mta.mail(Some(ANNA)).await;
    mta.recipient(&format!("<{EWA}>")).await;
    mta.content(FIELDS, BODY).await;
    mta.verdict().await.iter().any(|(kind, _)| *kind == b'b')
}

async fn counts(database: &Database) -> (i64, i64) {
    let untracked = "SELECT count(*) FROM messages WHERE reason = 'untracked'";
    (
        database.count(untracked, &[]).await,
        database
            .count("SELECT count(*) FROM consent_requests", &[])
            .await,
    )
}

#[tokio::test]
async fn mail_waits_neither_for_the_consent_log_nor_for_who_asks_the_same_person() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let config = place(&folder, &database).await;
    let log = format!(
        "SELECT pg_advisory_xact_lock(hashtextextended('consent|{}', 0))",
        config.controllers[0].id
    );
    let ewa = Address::parse(EWA).unwrap();
    let hash = standings::suppression_hash(&KeyRing::for_testing(), &ewa);
    let milter = Running::start(config).await;
    let mut mta = Mta::open(&milter).await;
    let (mut writer, mut asker) = (database.connect().await, database.connect().await);

    let writing = writer.transaction().await.unwrap();
    writing.execute(&log, &[]).await.unwrap();
    let asking = asker.transaction().await.unwrap();
    let key = i64::from_be_bytes(*hash.first_chunk().unwrap());
    asking
        .execute("SELECT pg_advisory_xact_lock($1)", &[&key])
        .await
        .unwrap();
    assert!(!is_invited(&mut mta).await);
    assert_eq!(
        counts(&database).await,
        (1, 0),
        "it is written down at once"
    );
    asking.commit().await.unwrap();

    assert!(is_invited(&mut mta).await);
    assert_eq!(counts(&database).await, (2, 1));
    writing.commit().await.unwrap();
}

#[tokio::test]
async fn who_is_not_invited_after_all_does_not_count_as_invited() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let milter = Running::start(place(&folder, &database).await).await;
    let mut mta = Mta::open(&milter).await;
    database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE 'no' USING ERRCODE = 'program_limit_exceeded'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;

    assert!(!is_invited(&mut mta).await);
    assert_eq!(counts(&database).await, (0, 0));
    database.execute("DROP TRIGGER refuse ON messages").await;

    assert!(is_invited(&mut mta).await);
    assert_eq!(counts(&database).await, (1, 1));
}
