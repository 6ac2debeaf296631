// SPDX-License-Identifier: GPL-3.0-or-later
//! Rights: to see, to take along, to freeze, to be erased.

use harness::web::Visitor;
use serde_json::Value;

use crate::place::{Place, hidden, last_month};

/// Opens the page with a fresh link and shows the data; returns the session and the visitor.
async fn sign_in(place: &Place, address: &str) -> (Visitor, String) {
    let link = place.link_for(address).await;
    let mut visitor = Visitor::new();
    let page = visitor.post_form(&link, &[("act", "see")]).await;
    assert_eq!(page.status, 200, "{}", page.text());
    (visitor, hidden(&page, "session"))
}

/// C85: one transaction, and no trace of the address anywhere; the chain stays whole.
#[tokio::test]
async fn erasure_leaves_no_trace() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    place.hit(&sample, "open").await;
    place.ctl(&["consent", "show", &address]);
    let (mut visitor, session) = sign_in(&place, &address).await;
    assert!(place.dump().contains(&address));

    let unconfirmed = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "erase")],
        )
        .await;
    let still_there = place.count("subjects").await;
    let erased = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "erase"), ("confirm", "yes")],
        )
        .await;
    let afterwards = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "see")],
        )
        .await;

    assert_eq!((unconfirmed.status.as_u16(), still_there), (422, 1));
    assert_eq!(erased.status, 200);
    assert_eq!(afterwards.status, 410);
    let dump = place.dump();
    assert!(!dump.contains(&address), "a trace of the address is left");
    for (table, left) in [
        ("subjects", 0),
        ("messages", 0),
        ("hits", 0),
        ("consent_evidence", 0),
        ("recipient_links", 0),
        ("notifications", 0),
        ("suppressions", 1),
        ("consent_events", 2),
    ] {
        assert_eq!(place.count(table).await, left, "{table}");
    }
    assert_eq!(place.verify().0, 0);
    // C67: what others say counts no more; C31, C52: old links answer.
    let (status, ..) = place.ctl(&[
        "consent",
        "record",
        &address,
        "--purpose",
        "open",
        "--channel",
        "paper",
        "--evidence",
        "7",
        "--given-at",
        &last_month(),
    ]);
    assert_eq!(status, 1);
    assert_eq!(Visitor::new().get(&sample.pixel()).await.status, 200);
    assert_eq!(
        Visitor::new()
            .get(&place.choices(sample.message))
            .await
            .status,
        200
    );
}

/// C85: even the fingerprint may be refused.
#[tokio::test]
async fn erasure_can_leave_nothing_at_all() {
    let place = Place::open().await;
    let (_, address) = place.message().await;
    let (mut visitor, session) = sign_in(&place, &address).await;

    visitor
        .post_form(
            &place.url("/c/mine"),
            &[
                ("session", &session),
                ("act", "erase"),
                ("confirm", "yes"),
                ("forget", "yes"),
            ],
        )
        .await;

    assert_eq!(place.count("suppressions").await, 0);
    assert_eq!(place.count("subjects").await, 0);
}

/// A message that went to others is theirs too.
#[tokio::test]
async fn erasure_leaves_a_shared_message_to_the_others() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let other = place.add_recipient(&sample).await;
    place.hit(&sample, "open").await;

    let (status, ..) = place.ctl(&["consent", "erase", &address]);

    assert_eq!(status, 0);
    assert_eq!(
        place.count("messages WHERE stopped_at IS NOT NULL").await,
        1
    );
    assert_eq!(place.count("message_recipients").await, 1);
    assert_eq!(place.count("hits").await, 0);
    let dump = place.dump();
    assert!(dump.contains(&other) && !dump.contains(&address));
}

/// C86: a restored backup does not bring people back.
#[tokio::test]
async fn erasure_is_done_again_after_a_restore() {
    let place = Place::open().await;
    let (_, address) = place.message().await;
    place.allow(&address).await;
    let backup = place.dump();
    place.ctl(&["consent", "erase", &address]);
    place
        .database
        .execute(
            "SET session_replication_role = replica;
             DO $$ DECLARE t text; BEGIN
                FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_\\_%' LOOP
                    EXECUTE format('TRUNCATE %I CASCADE', t);
                END LOOP;
             END $$",
        )
        .await;
    restore(&place, &backup);
    assert_eq!(place.count("subjects").await, 1);

    let (status, said, complaint) = place.ctl(&["consent", "replay"]);
    let (again, ..) = place.ctl(&["consent", "replay"]);

    assert_eq!((status, again), (0, 0), "{complaint}");
    assert!(said.contains("1 people"), "{said}");
    assert_eq!(place.count("subjects").await, 0);
    assert_eq!(place.count("suppressions").await, 1);
    assert!(!place.dump().contains(&address));
    assert_eq!(place.verify().0, 0);
}

fn restore(place: &Place, backup: &str) {
    use std::io::Write;
    let psql = harness::programs::find("psql").unwrap();
    let mut child = std::process::Command::new(psql)
        .args(["--quiet", "--set", "ON_ERROR_STOP=1", place.database.url()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // Foreign keys and triggers sleep while a backup comes back.
    let script = format!("SET session_replication_role = replica;\n{backup}");
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// C83: complete, in a form to take along, and nobody else's data.
#[tokio::test]
async fn export_is_complete_and_about_nobody_else() {
    let place = Place::open().await;
    let (own, address) = place.message().await;
    place.allow(&address).await;
    place.hit(&own, "open").await;
    place.hit(&own, "click").await;
    let (_, stranger) = place.message().await;
    // A message that this person shares with somebody else.
    let client = place.database.connect().await;
    let (shared, other) = place.message().await;
    client
        .execute(
            "INSERT INTO message_recipients VALUES ('example', $1, $2)",
            &[&shared.message.0, &own.subject],
        )
        .await
        .unwrap();
    place.hit(&shared, "open").await;
    let (mut visitor, session) = sign_in(&place, &address).await;

    let json = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "json")],
        )
        .await;
    let text = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "text")],
        )
        .await;

    let data = json.json();
    assert_eq!(data["address"], address.as_str());
    assert_eq!(data["events"].as_array().unwrap().len(), 2);
    assert_eq!(data["events"][0]["evidence"]["asked_by"], "the person");
    let messages = data["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    let hits = |id: uuid::Uuid| -> usize {
        let message = messages
            .iter()
            .find(|message| message["id"] == id.to_string().as_str());
        message.unwrap()["hits"].as_array().unwrap().len()
    };
    assert_eq!(hits(own.message.0), 2);
    assert_eq!(
        hits(shared.message.0),
        0,
        "hits that may be another's are shown"
    );
    for somebody in [&stranger, &other] {
        assert!(!json.text().contains(somebody.as_str()));
        assert!(!text.text().contains(somebody.as_str()));
    }
    assert!(text.text().contains(&address));
}

/// C87: kept, not used.
#[tokio::test]
async fn frozen_data_are_kept_and_not_used() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    place.hit(&sample, "open").await;
    let (mut visitor, session) = sign_in(&place, &address).await;

    let frozen = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "freeze")],
        )
        .await;
    let shown: Value =
        serde_json::from_str(&place.ctl(&["consent", "show", &address, "--json"]).1).unwrap();
    let lifted = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "unfreeze")],
        )
        .await;
    let again: Value =
        serde_json::from_str(&place.ctl(&["consent", "show", &address, "--json"]).1).unwrap();

    assert_eq!((frozen.status.as_u16(), lifted.status.as_u16()), (200, 200));
    assert_eq!(shown["restricted"], true);
    assert_eq!(shown["states"][0]["allowed"], false);
    assert_eq!(again["states"][0]["allowed"], true);
    assert_eq!(place.count("hits").await, 1);
}

/// The person who asked never to be asked may think again; nobody else may for them.
#[tokio::test]
async fn own_yes_lifts_the_wish_never_to_be_asked() {
    let place = Place::open().await;
    let address = "ewa@elsewhere.example";
    place.ctl(&["consent", "erase", address]);
    assert_eq!(place.count("suppressions").await, 1);

    place.allow(address).await;

    assert_eq!(place.count("suppressions").await, 0);
    let shown: Value =
        serde_json::from_str(&place.ctl(&["consent", "show", address, "--json"]).1).unwrap();
    assert_eq!(shown["states"][0]["allowed"], true);
}
