// SPDX-License-Identifier: GPL-3.0-or-later
//! Contacts: on or off and nothing else; asking with a look at the mail first; what was said elsewhere.

use harness::{database::Database, installation::Installation, sink::Sink};
use serde_json::{Value, json};

use crate::account::Account;

const CUSTOMER: &str = "customer1@recipient.test";

fn tracking(contacts: &Value, address: &str) -> String {
    let contacts = contacts["contacts"].as_array().unwrap();
    let contact = contacts
        .iter()
        .find(|contact| contact["address"] == address)
        .unwrap();
    contact["tracking"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn attested_contact_is_on_until_the_person_says_no_and_then_nothing_tells() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 9).await;
    let base = format!("{}/api/v1", installation.url());
    let mut program = anna.program();
    let given_at = chrono::Utc::now() - chrono::TimeDelta::days(3);
    let said = json!({
        "recipient": CUSTOMER, "purposes": ["open", "click"], "scope": "sender", "given_at": given_at,
        "channel": "paper", "evidence": "folder 12"
    });

    let before = program.get(&format!("{base}/contacts")).await.json();
    let recorded = program
        .send_json("POST", &format!("{base}/consents"), &said)
        .await;
    let after = program.get(&format!("{base}/contacts")).await.json();
    installation.ctl(&["consent", "withdraw", CUSTOMER, "--channel", "telephone"]);
    let withdrawn = program.get(&format!("{base}/contacts")).await.json();
    let again = program
        .send_json("POST", &format!("{base}/consents"), &said)
        .await;
    let last = program.get(&format!("{base}/contacts")).await.json();

    assert_eq!(tracking(&before, CUSTOMER), "off");
    assert_eq!(recorded.status, 201);
    assert_eq!(tracking(&after, CUSTOMER), "on");
    assert_eq!(tracking(&withdrawn, CUSTOMER), "off");
    assert_eq!((again.status, again.body), (recorded.status, recorded.body));
    assert_eq!(last, before);
}

#[tokio::test]
async fn request_that_makes_no_sense_is_told() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let url = format!("{}/api/v1/consent-requests", installation.url());
    let ask = |recipient: &str, purposes: Value, scope: &str| json!({"recipient": recipient, "purposes": purposes, "scope": scope});

    for body in [
        ask("nobody", json!(["open"]), "sender"),
        ask(CUSTOMER, json!([]), "sender"),
        ask(CUSTOMER, json!(["read"]), "sender"),
        ask(CUSTOMER, json!(["open"]), "everybody"),
        ask("bob@example.com", json!(["open"]), "sender"),
        ask("info@recipient.test", json!(["open"]), "sender"),
    ] {
        let answer = anna.program().send_json("POST", &url, &body).await;
        assert_eq!(answer.status, 422, "{body}");
    }
}

#[tokio::test]
async fn mail_that_asks_is_seen_before_it_is_sent() {
    harness::needs!(PostgreSql);
    let (database, sink) = (Database::start().await, Sink::start());
    let installation = Installation::on(&database)
        .mail_through(sink.port())
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let url = format!("{}/contacts/ask", installation.url());
    let csrf = Account::csrf();
    let mut fields = vec![
        ("csrf", csrf.as_str()),
        ("recipient", CUSTOMER),
        ("opens", "yes"),
        ("scope", "sender"),
    ];

    let preview = anna.browser().post_form(&url, &fields).await;
    assert!(sink.take().is_none());
    fields.push(("send", "yes"));
    let sent = anna.browser().post_form(&url, &fields).await;
    let mail = sink.next().await;
    let again = anna.browser().post_form(&url, &fields).await;

    assert_eq!(preview.status, 200);
    assert!(preview.text().contains("Example Sp. z o.o."));
    assert_eq!(mail.recipients, [CUSTOMER]);
    // Asking twice sends nothing, and says nothing of it.
    assert_eq!(again.location(), sent.location());
    assert!(sink.take().is_none());
}

/// Of each purpose, what somebody agreed to is for the user to say.
#[tokio::test]
async fn no_purpose_is_chosen_beforehand_and_none_is_not_enough() {
    harness::needs!(PostgreSql);
    let (database, sink) = (Database::start().await, Sink::start());
    let installation = Installation::on(&database)
        .mail_through(sink.port())
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let url = format!("{}/contacts", installation.url());
    let csrf = Account::csrf();
    let today = chrono::Utc::now().date_naive().to_string();
    let mut fields = vec![
        ("csrf", csrf.as_str()),
        ("recipient", CUSTOMER),
        ("scope", "sender"),
        ("given_at", &today),
        ("channel", "paper"),
        ("evidence", "folder 12"),
        ("send", "yes"),
    ];
    let chosen = |page: &str| -> Vec<String> {
        page.split("<input type=\"checkbox\"")
            .skip(1)
            .filter_map(|rest| rest.split_once('>'))
            .filter(|(tag, _)| tag.contains(" checked"))
            .map(|(tag, _)| tag.split('"').nth(1).unwrap().to_owned())
            .collect()
    };

    let fresh = anna
        .browser()
        .get(&format!("{url}?recipient={CUSTOMER}"))
        .await;
    let asked = anna
        .browser()
        .post_form(&format!("{url}/ask"), &fields)
        .await;
    let attested = anna
        .browser()
        .post_form(&format!("{url}/attest"), &fields)
        .await;
    fields.push(("clicks", "yes"));
    fields.retain(|(name, _)| *name != "evidence");
    let unproved = anna
        .browser()
        .post_form(&format!("{url}/attest"), &fields)
        .await;

    assert_eq!(fresh.text().matches(CUSTOMER).count(), 2);
    for page in [&fresh, &asked, &attested] {
        assert_eq!(chosen(&page.text()), [] as [&str; 0]);
    }
    for page in [&asked, &attested] {
        assert!(page.text().contains("Choose at least one purpose."));
    }
    // What was chosen in one form is still there, and in that one alone.
    assert_eq!(chosen(&unproved.text()), ["attest-clicks"]);
    assert!(sink.take().is_none());
    let events = "SELECT count(*) FROM consent_events";
    assert_eq!(database.count(events, &[]).await, 0);
}

#[tokio::test]
async fn export_has_everything_of_one_user() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let eve = Account::create(&database, "eve@example.com").await;
    eve.send(&database, 1).await;
    eve.fill(&installation.url()).await;
    anna.fill(&installation.url()).await;
    // So that there are deliveries.
    database
        .execute("UPDATE webhooks SET disabled_at = NULL, url = 'https://hooks.invalid/'")
        .await;
    anna.send(&database, 43).await;
    let base = installation.url();
    let url = format!("{base}/api/v1/export");
    let csrf = Account::csrf();
    anna.browser()
        .post_form(&format!("{base}/settings/feed"), &[("csrf", csrf.as_str())])
        .await;
    let named = { anna.program().header("Idempotency-Key", "my-request") }
        .send_json(
            "POST",
            &format!("{base}/api/v1/notifications/read"),
            &json!({"up_to": 0}),
        )
        .await;
    assert_eq!(named.status, 200);
    database
        .execute(
            "INSERT INTO digests (controller_id, user_id, day) SELECT controller_id, id, '2026-11-01' FROM users;
             INSERT INTO sign_in_links VALUES
                ('example', 'h', 'anna@example.com', '2026-11-02', '2026-11-02 00:15', '2026-11-02 00:01')",
        )
        .await;

    let whole = anna.program().get(&url).await.json();
    let empty = Account::create(&database, "new@example.com").await;
    let nothing = empty.program().get(&url).await.json();

    let list = |name: &str| whole[name].as_array().unwrap().clone();
    assert_eq!(whole["account"]["login"], "anna@example.com");
    assert_eq!(list("messages").len(), 43);
    assert_eq!(whole["messages"][0]["events"].as_array().unwrap().len(), 7);
    assert!(whole["messages"][0]["record"]["parts"].is_array());
    assert!(!list("notifications").is_empty());
    assert_eq!(list("tokens").len(), 2);
    assert!(list("tokens").iter().any(|token| token["name"] == "CRM"));
    assert_eq!(list("sessions").len(), 1);
    assert_eq!(list("webhooks").len(), 1);
    assert_eq!(whole["webhooks"][0]["url"], "https://hooks.invalid/");
    assert_eq!(
        whole["webhooks"][0]["deliveries"].as_array().unwrap().len(),
        list("notifications").len()
    );
    // Seven customers, and somebody with a long name.
    assert_eq!(list("contacts").len(), 8);
    assert!(whole["feed"]["created_at"].is_string());
    assert_eq!(whole["digest"]["day"], "2026-11-01");
    assert_eq!(whole["requests"][0]["name"], "my-request");
    assert_eq!(list("sign_in_links").len(), 1);
    assert!(!list("activity").is_empty());
    for secret in ["whsec_", &anna.token, &anna.session, "eve@", "hash"] {
        assert!(!whole.to_string().contains(secret), "{secret}");
    }
    assert_eq!(
        (&nothing["messages"], &nothing["contacts"], &nothing["feed"]),
        (&json!([]), &json!([]), &json!(null))
    );

    // Whatever else is kept under a user's name has its place here, or a reason to be left out.
    let tables = database
        .connect()
        .await
        .query(
            "SELECT table_name::text FROM information_schema.columns
             WHERE table_schema = 'public' AND column_name = 'user_id' ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    let tables: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        tables,
        [
            "activity",
            "api_tokens",
            // What was asked is part of the recipients' proof.
            "consent_requests",
            "digests",
            "feed_keys",
            "idempotent_answers",
            "messages",
            "notifications",
            "sessions",
            "webhook_deliveries",
            "webhooks",
            // Random names: what is left of a purged message for its recipient.
            "withdrawal_keys",
        ]
    );
}

/// Somebody who has their data frozen wants them kept: the sender neither sees the message nor changes or deletes it.
#[tokio::test]
async fn frozen_message_is_out_of_its_senders_reach() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 10).await;
    let base = installation.url();
    // One message went to this person and to another.
    let person = "second.person.with.a.long.name@recipient.test";
    let client = database.connect().await;
    let message: uuid::Uuid = client
        .query_one(
            "SELECT message_id FROM message_recipients r JOIN subjects s USING (controller_id, subject_ref)
             JOIN messages m ON m.id = message_id WHERE address = $1 ORDER BY sent_at LIMIT 1",
            &[&person],
        )
        .await
        .unwrap()
        .get(0);
    let contacts = async || {
        let url = format!("{base}/api/v1/contacts");
        let answer = anna.program().get(&url).await.json();
        let of = |address: &str| {
            answer["contacts"]
                .as_array()
                .unwrap()
                .iter()
                .find(|contact| contact["address"] == address)
                .map(|contact| contact["messages"].as_i64().unwrap())
        };
        (of(person), of("customer3@recipient.test"))
    };
    let before = contacts().await;
    installation.ctl(&["consent", "restrict", person]);
    let csrf = Account::csrf();
    let fields = [("csrf", csrf.as_str()), ("muted", "true")];

    let during = contacts().await;
    for act in ["mute", "delete"] {
        let url = format!("{base}/messages/{message}/{act}");
        let answer = anna.browser().post_form(&url, &fields).await;
        assert_eq!(answer.status, 404, "{act}");
    }
    for method in ["GET", "PATCH", "DELETE"] {
        let url = format!("{base}/api/v1/messages/{message}");
        let answer = anna
            .program()
            .send_json(method, &url, &json!({"muted": true}))
            .await;
        assert_eq!(answer.status, 404, "{method}");
    }
    // Even who leaves takes only what is theirs.
    let left = anna
        .browser()
        .post_form(&format!("{base}/settings/delete"), &fields)
        .await;

    assert_eq!(before, (Some(2), Some(2)));
    assert_eq!(during, (None, Some(1)));
    assert_eq!(left.location().unwrap().path(), "/sign-in");
    let kept = "SELECT count(*) FROM messages WHERE frozen AND NOT muted";
    assert_eq!(database.count(kept, &[]).await, 2);
    for (table, expected) in [
        ("messages", 2),
        ("notifications", 0),
        ("activity", 0),
        ("sessions", 0),
        ("api_tokens", 0),
        ("users", 1),
    ] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(database.count(&count, &[]).await, expected, "{table}");
    }
    let nameless = "SELECT count(*) FROM users WHERE login NOT LIKE '%anna%' AND NOT enabled";
    assert_eq!(database.count(nameless, &[]).await, 1);

    // Set free, what is left goes.
    installation.ctl(&["retention", "run"]);
    assert_eq!(database.count(kept, &[]).await, 2);
    installation.ctl(&["consent", "restrict", person, "--lift"]);
    installation.ctl(&["retention", "run"]);
    let users = "SELECT count(*) FROM users";
    assert_eq!(database.count(users, &[]).await, 0);
}

#[tokio::test]
async fn deleted_account_leaves_nothing() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let eve = Account::create(&database, "eve@example.com").await;
    anna.send(&database, 4).await;
    eve.send(&database, 2).await;
    let url = format!("{}/settings/delete", installation.url());

    let left = anna
        .browser()
        .post_form(&url, &[("csrf", &Account::csrf())])
        .await;

    assert_eq!(left.location().unwrap().path(), "/sign-in");
    for (table, expected) in [
        ("users", 1),
        ("messages", 2),
        ("sessions", 1),
        ("api_tokens", 1),
    ] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(database.count(&count, &[]).await, expected, "{table}");
    }
}
