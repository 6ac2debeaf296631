// SPDX-License-Identifier: GPL-3.0-or-later
//! The deadline comes while the database is writing: the message leaves untouched, and does not count as instrumented.

use common::config::{Config, Period};
use harness::{
    database::{Database, wait_for_a_waiter},
    needs,
};

use crate::mta::{ANNA, Folder, Mta, Running, consenting};

const BODY: &[u8] = b"<p>Look at <a href=\"https://shop.example.org/\">this</a>.</p>\r\n";
const FIELDS: &[(&str, &str)] = &[
    ("From", " anna@example.com"),
    ("X-Track", " yes; once"),
    ("Content-Type", " text/html; charset=utf-8"),
];

/// Little time, so that a test need not wait long for its end.
async fn place(folder: &Folder, database: &Database) -> Config {
    let mut config = consenting(folder, database).await;
    config.milter.deadline = Period::millis(1_200);
    config
}

async fn rows(database: &Database) -> Vec<(Option<String>, bool, i64)> {
    let rows = database
        .connect()
        .await
        .query(
            "SELECT reason, opens OR links, (SELECT count(*) FROM tracked_links l WHERE l.message_id = m.id) +
                (SELECT count(*) FROM jsonb_path_query(record, '$.parts[*] ? (@.outcome == \"edited\")'))
             FROM messages m",
            &[],
        )
        .await
        .unwrap();
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect()
}

/// Lets a message end while another session holds what a statement takes, until the milter has answered.
async fn assert_corrected(database: &Database, hold: &str) {
    let folder = Folder::new();
    let milter = Running::start(place(&folder, database).await).await;
    let mut mta = Mta::open(&milter).await;
    let mut holder = database.connect().await;
    let watcher = database.connect().await;
    let lock = holder.transaction().await.unwrap();
    lock.execute(hold, &[]).await.unwrap();

    mta.mail(Some(ANNA)).await;
    mta.message(FIELDS, BODY).await;
    wait_for_a_waiter(&watcher).await;
    let frames = mta.verdict().await;
    lock.commit().await.unwrap();
    // To stop, a program waits for its corrections.
    let stopped = milter.stop();
    drop(mta);
    stopped.await.unwrap();

    assert!(frames.iter().all(|(kind, _)| *kind != b'b'), "untouched");
    assert_eq!(
        rows(database).await,
        [(Some("deadline".into()), false, 0)],
        "nothing counts as instrumented"
    );
}

#[tokio::test]
async fn write_that_waits_for_a_lock_is_corrected() {
    needs!(PostgreSql);
    let database = Database::start().await;

    assert_corrected(&database, "LOCK TABLE messages IN EXCLUSIVE MODE").await;
}

#[tokio::test]
async fn write_that_is_done_after_all_is_corrected() {
    needs!(PostgreSql);
    let database = Database::start().await;
    // The commit itself waits: the milter cannot know whether it comes to an end, and it does.
    database
        .execute(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN (NEW.reason IS NULL) EXECUTE FUNCTION linger()",
        )
        .await;

    assert_corrected(&database, "SELECT pg_advisory_xact_lock(7)").await;
}

#[tokio::test]
async fn quoted_artefacts_are_removed_while_the_database_is_away() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let config = place(&folder, &database).await;
    let milter = Running::start(config.clone()).await;
    let mut mta = Mta::open(&milter).await;
    mta.mail(Some(ANNA)).await;
    mta.message(FIELDS, BODY).await;
    let sent = body(&mta.verdict().await).expect("it was instrumented");
    let stopped = milter.stop();
    drop(mta);
    stopped.await.unwrap();
    let reply = format!("<p>Thanks.</p><blockquote>{sent}</blockquote>\r\n");

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!(
        "postgres://nobody@127.0.0.1:{}/x",
        silent.local_addr().unwrap().port()
    );
    for url in ["postgres://nobody@127.0.0.1:1/nothing", hanging.as_str()] {
        let folder = Folder::new();
        let mut config = crate::mta::config(&folder);
        config.database.url = url.to_owned().into();
        config.milter.deadline = Period::millis(2_000);
        let milter = Running::start(config).await;
        let mut mta = Mta::open(&milter).await;
        mta.mail(Some(ANNA)).await;
        mta.message(FIELDS, reply.as_bytes()).await;

        let left = body(&mta.verdict().await).expect("old artefacts are taken out");

        assert!(!left.contains("/o/") && !left.contains("/l/"), "{left}");
        assert!(left.contains("\"https://shop.example.org/\""), "{left}");
    }
}

/// Returns the new body, if there is one.
fn body(frames: &[(u8, Vec<u8>)]) -> Option<String> {
    let pieces = frames.iter().filter(|(kind, _)| *kind == b'b');
    let body: Vec<u8> = pieces.flat_map(|(_, piece)| piece.clone()).collect();
    (!body.is_empty()).then(|| String::from_utf8(body).unwrap())
}
