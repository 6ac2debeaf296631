// SPDX-License-Identifier: GPL-3.0-or-later
//! Rights: to see, to take along, to freeze, to be erased.

use std::path::Path;

use common::{
    address::Address,
    consent::chain::hex,
    db::{
        json::Json,
        messages::{self, NewMessage, Registration},
        standings,
    },
    ids::{ControllerId, MessageId, UserId},
    keys::KeyRing,
    reason::SkipReason,
};
use harness::web::Visitor;
use serde_json::{Value, json};
use uuid::Uuid;

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
    let keys = KeyRing::read(&place.installation.keys()).unwrap();
    let fingerprint = standings::suppression_hash(&keys, &Address::parse(&address).unwrap());
    let fingerprint = hex(&fingerprint);
    assert!(!place.dump().contains(&fingerprint));
    let journal = place.installation.configuration().with_file_name("journal");
    let journal = std::fs::read_to_string(journal.join("journal.jsonl")).unwrap();
    assert!(journal.contains("\"erasure\"") && !journal.contains(&fingerprint));
}

/// C85: whoever writes with another tag is the same person, also where that address was never stored.
#[tokio::test]
async fn erasure_reaches_every_tag_of_an_address() {
    let place = Place::open().await;
    place.allow("ewa+news@elsewhere.example").await;

    let (status, said, _) = place.ctl(&["consent", "erase", "ewa@elsewhere.example"]);

    assert_eq!((status, said.contains("nothing was stored")), (0, false));
    assert_eq!(place.count("subjects").await, 0);
    assert!(!place.dump().contains("ewa+news"));
}

/// C52: the link in a message goes on withdrawing what was allowed to the whole organisation, also when its sender's
/// account is gone.
#[tokio::test]
async fn link_in_the_message_of_an_erased_user_withdraws() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    let login = format!("{}@example.com", sample.user);
    let (status, _, complaint) = place.ctl(&["user", "erase", &login]);

    let answer = Visitor::new()
        .post_form(
            &place.choices(sample.message),
            &[("Tracking-Consent", "Withdraw")],
        )
        .await;

    assert_eq!((status, answer.status.as_u16()), (0, 200), "{complaint}");
    assert_eq!(place.count("messages").await, 0);
    assert_eq!(
        place.states().await[2..],
        ["click withdrawn", "open withdrawn"]
    );
    assert!(place.ctl(&["audit", "acts"]).1.contains("account-erased"));
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
    let keys = KeyRing::read(&place.installation.keys()).unwrap();
    let hash = standings::suppression_hash(&keys, &Address::parse(&address).unwrap());
    let invited =
        "INSERT INTO consent_requests VALUES ('example', gen_random_uuid(), $1, $2, now())";
    client
        .execute(invited, &[&Uuid::nil(), &hash])
        .await
        .unwrap();
    place.ctl(&["consent", "show", &address, "--reason", "a complaint"]);
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
    assert_eq!(data["asked"][0]["how"], "a line in a message");
    let looks = &data["looked_at_or_changed_by_administrators"];
    assert_eq!(looks[0]["act"], "consent-shown");
    assert_eq!(data["events"].as_array().unwrap().len(), 2);
    assert_eq!(data["events"][0]["evidence"]["asked_by"], "the person");
    let messages = data["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    let hits = |id: Uuid| -> usize {
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

/// C87: as a refusal does, a freeze holds for every form of an address, and ends for every form.
#[tokio::test]
async fn freeze_covers_tagged_forms_of_an_address() {
    let place = Place::open().await;
    let (_, address) = place.message().await;
    let tagged = address.replace('@', "+shop@");
    place.allow(&address).await;
    place.allow(&tagged).await;
    let is_allowed = |address: &str| {
        let shown = place.ctl(&["consent", "show", address, "--json"]).1;
        serde_json::from_str::<Value>(&shown).unwrap()["states"][0]["allowed"] == true
    };

    let before = (is_allowed(&address), is_allowed(&tagged));
    place.ctl(&["consent", "restrict", &address]);
    let frozen = (is_allowed(&address), is_allowed(&tagged));
    place.ctl(&["consent", "restrict", &tagged, "--lift"]);
    let after = (is_allowed(&address), is_allowed(&tagged));

    assert_eq!(before, (true, true));
    assert_eq!(frozen, (false, false));
    assert_eq!(after, (true, true));
}

/// C87: whoever wrote sees nothing of it: not the message, not its numbers, not what was told of it; and all of it comes
/// back.
#[tokio::test]
async fn frozen_data_are_shown_to_no_sender() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    place.hit(&sample, "open").await;
    place.hit(&sample, "click").await;
    let login = format!("{}@example.com", sample.user);
    let token = place.ctl(&["token", "create", &login]).1;
    let mut visitor =
        Visitor::new().header("Authorization", &format!("Bearer {}", token.trim_end()));
    let message = format!("/api/v1/messages/{}", sample.message.0);
    let mut seen = async || {
        let all = visitor.get(&place.url("/api/v1/messages")).await.json();
        let one = visitor.get(&place.url(&message)).await.status.as_u16();
        let told = visitor
            .get(&place.url("/api/v1/notifications"))
            .await
            .json();
        let contacts = visitor.get(&place.url("/api/v1/contacts")).await.text();
        let table = visitor.get(&place.url("/api/v1/messages.csv")).await.text();
        (
            all["messages"].as_array().unwrap().len(),
            one,
            told["notifications"].as_array().unwrap().len(),
            told["unread"].as_i64().unwrap(),
            contacts.contains(&address) && table.contains(&address),
        )
    };
    let activity = async || {
        let sum = "SELECT (sum(opens) * 10 + sum(clicks))::bigint FROM activity";
        place.database.count(sum, &[]).await
    };

    let before = (seen().await, activity().await);
    place.ctl(&["consent", "restrict", &address]);
    let frozen = (seen().await, activity().await);
    place.ctl(&["consent", "restrict", &address, "--lift"]);
    let after = (seen().await, activity().await);

    assert_eq!(before, ((1, 200, 2, 2, true), 11));
    assert_eq!(frozen, ((0, 404, 0, 0, false), 0));
    assert_eq!(after, before);
    assert_eq!(place.count("hits").await, 2);
}

/// C98: how many people, what kinds of data, from when to when.
#[tokio::test]
async fn breach_is_counted() {
    let place = Place::open().await;
    for _ in 0..3 {
        let (sample, address) = place.message().await;
        place.allow(&address).await;
        place.hit(&sample, "open").await;
    }
    let tomorrow = (chrono::Utc::now() + chrono::TimeDelta::days(1))
        .format("%Y-%m-%d")
        .to_string();

    let (status, json, complaint) = place.ctl(&["breach", "--json"]);
    let (_, words, _) = place.ctl(&["breach"]);
    let (_, later, _) = place.ctl(&["breach", "--json", "--since", &tomorrow]);

    assert_eq!(status, 0, "{complaint}");
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&found["recipients"], &found["users"]),
        (&3.into(), &3.into())
    );
    let class = |word: &str| {
        let classes = found["classes"].as_array().unwrap().iter();
        classes
            .filter(|class| class["data"].as_str().unwrap().starts_with(word))
            .map(|class| (class["people"].clone(), class["rows"].clone()))
            .next()
            .unwrap()
    };
    assert_eq!(class("mail addresses"), (3.into(), 3.into()));
    assert_eq!(class("hits"), (3.into(), 3.into()));
    assert_eq!(class("evidence"), (3.into(), 6.into()));
    assert!(found["classes"][0]["first"].is_string());
    assert!(words.contains("up to 3 recipients"), "{words}");
    let later: Value = serde_json::from_str(&later).unwrap();
    assert_eq!(later["recipients"], 0);
    // Every table of which somebody could ask is in a class, or holds nobody's data.
    let named: Vec<&str> = common::db::breach::CLASSES
        .iter()
        .flat_map(|class| class.tables)
        .copied()
        .collect();
    for rule in common::db::retention::RULES {
        assert!(named.contains(&rule.table), "{}", rule.table);
    }
    assert!(place.ctl(&["audit", "acts"]).1.contains("breach-counted"));
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

/// Writes down a message of the sample's user, as the milter does.
async fn register(database: &str, user: Uuid, recipient: &str, warnings: Vec<String>) -> Uuid {
    let message = MessageId::random();
    let registration = Registration {
        message: NewMessage {
            controller: ControllerId("example".into()),
            id: message,
            user: UserId(user),
            queue_id: "Q".into(),
            message_id_header: None,
            subject: String::new(),
            sent_at: chrono::Utc::now(),
            opens: false,
            links: false,
            reason: Some(SkipReason::Untracked),
            record: Json::of(&json!({})),
        },
        recipients: vec![Address::parse(recipient).unwrap()],
        remembered: None,
        warnings,
    };
    let mut connection = common::db::connect(database).await.unwrap();
    messages::register(&registration, &mut connection)
        .await
        .unwrap();
    message.0
}

async fn is_frozen(place: &Place, message: Uuid) -> bool {
    let client = place.database.connect().await;
    let query = "SELECT frozen FROM messages WHERE id = $1";
    client.query_one(query, &[&message]).await.unwrap().get(0)
}

/// C87: a message to somebody whose data are frozen is hidden from the first moment on, however it is written down, and
/// whoever freezes while it is being written.
#[tokio::test]
async fn message_to_somebody_frozen_is_hidden_at_once() {
    let place = Place::open().await;
    let (sample, frozen) = place.message().await;
    let (_, free) = place.message().await;
    let (_, meanwhile) = place.message().await;
    let url = place.database.url_as("fairtrack_milter");
    place.ctl(&["consent", "restrict", &frozen]);

    let alone = register(&url, sample.user, &frozen, vec![]).await;
    let warned = register(&url, sample.user, &frozen, vec!["control".into()]).await;
    let other = register(&url, sample.user, &free, vec![]).await;
    let freezing = place.database.connect().await;
    freezing
        .batch_execute(&format!(
            "BEGIN; UPDATE subjects SET restricted = true WHERE address = '{meanwhile}'"
        ))
        .await
        .unwrap();
    let user = sample.user;
    let written = tokio::spawn(async move { register(&url, user, &meanwhile, vec![]).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while !written.is_finished() && place.database.count(waiting, &[]).await == 0 {
        tokio::task::yield_now().await;
    }
    freezing.batch_execute("COMMIT").await.unwrap();
    let written = written.await.unwrap();

    assert!(is_frozen(&place, alone).await && is_frozen(&place, warned).await);
    assert!(!is_frozen(&place, other).await);
    assert!(is_frozen(&place, written).await);
}

/// C87: data that were frozen before messages had a mark of it are hidden by the migration that brings the mark.
#[tokio::test]
async fn migration_hides_what_was_frozen_before() {
    let place = Place::open().await;
    let (frozen, address) = place.message().await;
    let (free, _) = place.message().await;
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/2026-11-24-000061_frozen");
    let read = |name| std::fs::read_to_string(folder.join(name)).unwrap();

    place.database.execute(&read("down.sql")).await;
    place
        .database
        .execute(&format!(
            "UPDATE subjects SET restricted = true WHERE address = '{address}'"
        ))
        .await;
    place.database.execute(&read("up.sql")).await;

    assert!(is_frozen(&place, frozen.message.0).await);
    assert!(!is_frozen(&place, free.message.0).await);
}

/// C98: whoever is known in one way only counts too; whoever is known by an address and by its fingerprint counts twice.
#[tokio::test]
async fn breach_leaves_nobody_out() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    place.hit(&sample, "open").await;
    let (_, gone) = place.message().await;
    place.allow(&gone).await;
    // Known by random name in the log, and by fingerprint; somebody else by fingerprint only.
    place.ctl(&["consent", "erase", &gone]);
    place.ctl(&["consent", "erase", "unknown@elsewhere.example"]);

    let found: Value = serde_json::from_str(&place.ctl(&["breach", "--json"]).1).unwrap();

    let most = found["classes"].as_array().unwrap().iter();
    let most = most.filter(|class| class["about"] == "recipients");
    let most = most.map(|class| class["people"].as_i64().unwrap()).max();
    assert_eq!(most, Some(2));
    assert_eq!(found["recipients"], 4);
}
