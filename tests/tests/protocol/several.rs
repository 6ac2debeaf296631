// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages to several recipients: written down so that programs do not block one another.

use common::config::{Config, Period};
use harness::{
    database::Database,
    needs,
    site::{Said, says, user},
};

use crate::mta::{Folder, Mta, Running, config};

const ANNA: &str = "anna@example.com";
const EWA: &str = "ewa@customer.example";
const BODY: &[u8] = b"<p>Look at <a href=\"https://shop.example.org/\">this</a>.</p>\r\n";
const FIELDS: &[(&str, &str)] = &[
    ("From", " anna@example.com"),
    ("Date", " Tue, 24 Nov 2026 12:00:00 +0000"),
    ("Message-ID", " <1@example.com>"),
    ("Content-Type", " text/html; charset=utf-8"),
];

async fn place(folder: &Folder, database: &Database) -> Config {
    user(database, ANNA).await;
    says(database, EWA, Said::Yes).await;
    let mut config = config(folder);
    config.database.url = database.url().to_owned().into();
    config.milter.deadline = Period::millis(20_000);
    config
}

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
    let milter = Running::start(place(&folder, &database).await).await;
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
