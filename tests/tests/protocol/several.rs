// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages to several recipients: written down so that programs do not block one another, and, where they are split, so
//! that each copy's row says what became of it.

use common::config::{MultiRecipient, Period, SmtpServer};
use harness::{
    database::{Database, wait_for_a_waiter},
    needs,
};

use crate::mta::{ANNA, EWA, Folder, Mta, Running, consenting};

const JAN: &str = "jan@customer.example";
const BODY: &[u8] = b"<p>Look at <a href=\"https://shop.example.org/\">this</a>.</p>\r\n";
const FIELDS: &[(&str, &str)] = &[
    ("From", " anna@example.com"),
    ("Date", " Tue, 24 Nov 2026 12:00:00 +0000"),
    ("Message-ID", " <1@example.com>"),
    ("Content-Type", " text/html; charset=utf-8"),
];

async fn send(mta: &mut Mta, recipients: &[&str], fields: &[(&str, &str)]) -> Vec<(u8, Vec<u8>)> {
    for recipient in recipients {
        mta.recipient(&format!("<{recipient}>")).await;
    }
    mta.content(fields, BODY).await;
    mta.verdict().await
}

/// Two that make the same recipients in different orders would wait for each other.
#[tokio::test]
async fn recipients_are_made_in_one_order_whatever_that_of_the_envelope() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let milter = Running::start(consenting(&folder, &database).await).await;
    let mut mta = Mta::open(&milter).await;
    database
        .execute(
            "CREATE TABLE made (number serial, address text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO made (address) VALUES (NEW.address); RETURN NULL; END $$;
             CREATE TRIGGER note AFTER INSERT ON subjects FOR EACH ROW EXECUTE FUNCTION note()",
        )
        .await;
    let client = database.connect().await;

    // The second takes another way into the database: there is a warning to write down too.
    for (domain, more) in [
        ("one.example", None),
        ("two.example", Some(("X-Track", " perhaps"))),
    ] {
        // A database that sorts as people do puts the hyphen and the underscore elsewhere.
        let names = ["zoe", "ab", "a_b", "a-b", "aa"];
        let mut recipients = names.map(|name| format!("{name}@{domain}"));
        let fields: Vec<_> = FIELDS.iter().copied().chain(more).collect();
        mta.mail(Some(ANNA)).await;
        send(
            &mut mta,
            &recipients.each_ref().map(String::as_str),
            &fields,
        )
        .await;

        let made: Vec<String> = client
            .query("DELETE FROM made RETURNING address, number", &[])
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get::<_, i32>("number"), row.get("address")))
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_values()
            .collect();
        recipients.sort();
        assert_eq!(made, recipients);
    }
}

#[tokio::test]
async fn copy_that_is_cut_short_is_not_shown_as_one_of_several() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let mut config = consenting(&folder, &database).await;
    config.controllers[0].multi_recipient = MultiRecipient::Split;
    config.milter.reinject = Some(SmtpServer {
        host: "127.0.0.1".into(),
        port: 1,
    });
    config.milter.deadline = Period::millis(4_000);
    let milter = Running::start(config).await;
    let mut mta = Mta::open(&milter).await;
    let from_postfix: &[(&str, &str)] = &[("{daemon_name}", "FAIRTRACK-COPIES")];
    // That Postfix comes by with a recipient shows that there is a way back.
    mta.mail_told(from_postfix).await;
    mta.recipient("<postmaster@example.net>").await;
    mta.mail(Some(ANNA)).await;
    let parted = send(&mut mta, &[EWA, JAN], FIELDS).await;
    assert!(parted.iter().any(|(kind, _)| *kind == b'h'), "it is split");
    let mut holder = database.connect().await;
    let watcher = database.connect().await;
    let lock = holder.transaction().await.unwrap();
    // Consent cannot be asked; the row can be written.
    lock.execute("LOCK TABLE consent_events IN ACCESS EXCLUSIVE MODE", &[])
        .await
        .unwrap();

    mta.mail_told(from_postfix).await;
    mta.recipient(&format!("<{EWA}>")).await;
    mta.content(FIELDS, BODY).await;
    wait_for_a_waiter(&watcher).await;
    let frames = mta.verdict().await;
    lock.commit().await.unwrap();
    let stopped = milter.stop();
    drop(mta);
    stopped.await.unwrap();

    assert_eq!(frames, [(b'a', Vec::new())]);
    let of_the_copy = "SELECT m.reason FROM messages m JOIN copies c ON c.message_id = m.id";
    let reason: String = watcher.query_one(of_the_copy, &[]).await.unwrap().get(0);
    assert_eq!(reason, "deadline");
}
