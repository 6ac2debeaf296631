// SPDX-License-Identifier: GPL-3.0-or-later
//! What one author writes keeps nobody else's mail from being tracked: the database is given nothing that it refuses,
//! and where it refuses a message, it is that message's misfortune alone.

use common::config::Period;
use harness::{
    database::{Database, wait_for_a_waiter},
    needs,
};

use crate::mta::{ANNA, Folder, Mta, Running, consenting};

const BODY: &str = "<p>Look at <a href=\"https://shop.example.org/\">this</a>.</p>\r\n";
const HTML: (&str, &str) = ("Content-Type", " text/html; charset=utf-8");

struct Oddity {
    what: &'static str,
    fields: Vec<(&'static str, &'static str)>,
    body: String,
    reason: Option<&'static str>,
}

fn oddities() -> Vec<Oddity> {
    let plain = |what, fields, body: &str| Oddity {
        what,
        fields,
        body: body.to_owned(),
        reason: None,
    };
    let part =
        "--b\r\nContent-Type: text/html; charset*0*=utf-8''%00%1b\r\n\r\n<p>x</p>\r\n--b--\r\n";
    vec![
        Oddity {
            reason: Some("charset"),
            ..plain(
                "charset",
                vec![("Content-Type", " text/html; charset*=utf-8''x%00y")],
                BODY,
            )
        },
        Oddity {
            reason: Some("charset"),
            ..plain(
                "charset of a part",
                vec![("Content-Type", " multipart/mixed; boundary=b")],
                part,
            )
        },
        plain(
            "subject",
            vec![HTML, ("Subject", " =?utf-8?Q?a=00=1Bb?=")],
            BODY,
        ),
        plain(
            "link text",
            vec![HTML],
            "<p>Look at <a href=\"https://shop.example.org/\">a&#0;&#27;\u{1}b</a>.</p>\r\n",
        ),
        plain(
            "many links",
            vec![HTML],
            &"<a href=\"https://shop.example.org/\">this</a>\r\n".repeat(5_000),
        ),
        Oddity {
            reason: Some("control"),
            ..plain(
                "control fields",
                std::iter::once(HTML)
                    .chain(std::iter::repeat_n(("X-Track", " perhaps"), 14_000))
                    .collect(),
                BODY,
            )
        },
    ]
}

/// Sends a message, and tells whether it was instrumented.
async fn is_instrumented(mta: &mut Mta, fields: &[(&str, &str)], body: &str) -> bool {
    mta.mail(Some(ANNA)).await;
    mta.message(fields, body.as_bytes()).await;
    mta.verdict().await.iter().any(|(kind, _)| *kind == b'h')
}

#[tokio::test]
async fn nothing_that_an_author_writes_is_refused_by_the_database() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let milter = Running::start(consenting(&folder, &database).await).await;
    let mut mta = Mta::open(&milter).await;
    let client = database.connect().await;

    for Oddity {
        what,
        fields,
        body,
        reason,
    } in oddities()
    {
        let was_instrumented = is_instrumented(&mut mta, &fields, &body).await;
        let row = client
            .query_one(
                "SELECT reason,
                    (SELECT count(*) FROM jsonb_path_query(record, '$.parts[*].links[*]')) AS links,
                    (SELECT count(*) FROM notifications) AS warnings
                 FROM messages ORDER BY sent_at DESC LIMIT 1",
                &[],
            )
            .await
            .unwrap_or_else(|_none| panic!("{what}: not written down"));
        let written: Option<&str> = row.get("reason");

        assert_eq!(written, reason, "{what}");
        assert_eq!(was_instrumented, reason.is_none(), "{what}");
        assert!(row.get::<_, i64>("links") <= 1_000, "{what}");
        assert!(row.get::<_, i64>("warnings") <= 1, "{what}");
        assert!(
            is_instrumented(&mut mta, &[HTML, ("X-Track", " yes; once")], BODY).await,
            "{what}: the next message is kept from it"
        );
        client.execute("DELETE FROM messages", &[]).await.unwrap();
    }
}

#[tokio::test]
async fn message_that_the_database_refuses_keeps_no_other_from_being_tracked() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let milter = Running::start(consenting(&folder, &database).await).await;
    let mut mta = Mta::open(&milter).await;
    // What stands for anything that the database cannot take.
    database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE 'too large' USING ERRCODE = 'program_limit_exceeded'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW
                WHEN (NEW.subject = 'poison') EXECUTE FUNCTION refuse()",
        )
        .await;

    for _ in 0..3 {
        assert!(!is_instrumented(&mut mta, &[HTML, ("Subject", " poison")], BODY).await);
        assert!(is_instrumented(&mut mta, &[HTML, ("Subject", " offer")], BODY).await);
    }

    // To stop, a program waits for its corrections.
    let stopped = milter.stop();
    drop(mta);
    stopped.await.unwrap();
    assert_eq!(
        database
            .count("SELECT count(*) FROM messages WHERE reason IS NULL", &[])
            .await,
        3
    );
}

#[tokio::test]
async fn row_that_cannot_be_corrected_in_full_is_corrected_by_name() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let mut config = consenting(&folder, &database).await;
    config.milter.deadline = Period::millis(1_200);
    let milter = Running::start(config).await;
    let mut mta = Mta::open(&milter).await;
    // The commit waits and comes to an end too late; what would be written in its place is refused.
    database
        .execute(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN (NEW.reason IS NULL) EXECUTE FUNCTION linger();
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE 'too large' USING ERRCODE = 'program_limit_exceeded'; END $$;
             CREATE TRIGGER refuse BEFORE UPDATE OF record ON messages FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    let mut holder = database.connect().await;
    let watcher = database.connect().await;
    let lock = holder.transaction().await.unwrap();
    lock.execute("SELECT pg_advisory_xact_lock(7)", &[])
        .await
        .unwrap();

    mta.mail(Some(ANNA)).await;
    mta.message(&[HTML], BODY.as_bytes()).await;
    wait_for_a_waiter(&watcher).await;
    let frames = mta.verdict().await;
    lock.commit().await.unwrap();
    let stopped = milter.stop();
    drop(mta);
    stopped.await.unwrap();

    assert!(frames.iter().all(|(kind, _)| *kind != b'b'), "untouched");
    let corrected =
        "SELECT count(*) FROM messages WHERE reason = 'deadline' AND NOT opens AND NOT links";
    assert_eq!(database.count(corrected, &[]).await, 1);
    let links = "SELECT count(*) FROM tracked_links";
    assert_eq!(database.count(links, &[]).await, 0);
}
