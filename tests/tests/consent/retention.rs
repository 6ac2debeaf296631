// SPDX-License-Identifier: GPL-3.0-or-later
//! What belongs to consent has an end, each class its own; what withdraws outlives what it withdraws from.

use chrono::{DateTime, TimeDelta, Utc};
use collector::jobs::retention::{Mode, purge};
use common::{
    address::Address,
    config::Config,
    consent::{Author, Inadmissible, Method, Profile, Purpose, Scope, State, Statement},
    db::{
        self, Transactions, audit,
        consent_events::{self, AppendError},
        consent_retention, report, retention, subjects,
    },
    ids::{ControllerId, SubjectRef, UserId},
    keys::KeyRing,
};
use harness::web::Visitor;
use serde_json::json;
use uuid::Uuid;

use crate::place::Place;

/// Writes into the log as of a moment.
async fn say(place: &Place, subject: Uuid, state: State, at: DateTime<Utc>, valid: TimeDelta) {
    let config = Config::read(&place.installation.configuration()).unwrap();
    let keys = KeyRing::read(&config.keys.file).unwrap();
    let mut connection = db::connect(place.database.url()).await.unwrap();
    let statement = statement(subject, state, at + valid);
    consent_events::append(
        &ControllerId("example".into()),
        &[statement],
        &keys,
        at,
        &mut connection,
    )
    .await
    .unwrap();
}

fn statement(subject: Uuid, state: State, expires_at: DateTime<Utc>) -> Statement {
    Statement {
        subject: SubjectRef(subject),
        purpose: Purpose::Open,
        scope: Scope::Controller,
        state,
        author: Author::Recipient,
        expires_at: Some(expires_at),
        profile: Profile::CURRENT,
        notice: None,
        language: None,
        method: Method::MailedLink,
        evidence: json!({"by": "a test"}),
    }
}

async fn run(place: &Place, mode: Mode, now: DateTime<Utc>) -> i64 {
    let config = Config::read(&place.installation.configuration()).unwrap();
    let mut connection = db::connect(place.database.url()).await.unwrap();
    let purged = purge(&config.retention, mode, now, &mut connection)
        .await
        .unwrap();
    purged.iter().map(|purged| purged.rows).sum()
}

/// Tells whether the consent log is whole to whoever looks at that time.
async fn is_whole(place: &Place, now: DateTime<Utc>) -> bool {
    let config = Config::read(&place.installation.configuration()).unwrap();
    let mut connection = db::connect(place.database.url()).await.unwrap();
    let proof_since = now - config.retention.consent_proof.delta();
    let controller = ControllerId("example".into());
    let checked = audit::consent_log(&controller, proof_since, &mut connection).await;
    checked.unwrap().is_ok()
}

/// C91: every table with personal data has a rule, or goes with what has one, or may stay for a reason given here.
#[tokio::test]
async fn every_table_with_personal_data_has_an_end() {
    let place = Place::open().await;

    assert_eq!(endless(&place).await, Vec::<String>::new());
}

/// C91: and a table that nobody thought of is found.
#[tokio::test]
async fn table_without_a_rule_is_noticed() {
    let place = Place::open().await;
    let table = "CREATE TABLE forgotten (controller_id text, address text)";
    place.database.execute(table).await;

    assert_eq!(endless(&place).await, ["forgotten"]);
}

/// Returns the tables whose rows nothing ends.
async fn endless(place: &Place) -> Vec<String> {
    let client = place.database.connect().await;
    let tables = client
        .query(
            "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition",
            &[],
        )
        .await
        .unwrap();
    let goes_with_its_owner = [
        "copies",
        "links",
        "message_recipients",
        "settlements",
        "webhook_deliveries",
    ];
    let stays = [
        // Diesel's list, and a copy of the configuration.
        "__diesel_schema_migrations",
        "controllers",
        // A number for each controller.
        "consent_epochs",
        // Random names of messages, for a minute.
        "arrivals",
        // Names nobody: the log that must stay whole, the texts, keyed hashes and random names.
        "consent_events",
        "notices",
        "suppressions",
        "erasures",
        // Users, by `fairtrackctl user erase`; tokens, keys, webhooks and the day of the last summary go with them.
        "users",
        "api_tokens",
        "digests",
        "feed_keys",
        "webhooks",
    ];

    let mut endless = Vec::new();
    for row in tables {
        let table: &str = row.get(0);
        let has_rule = retention::RULES.iter().any(|rule| rule.table == table)
            || consent_retention::RULES
                .iter()
                .any(|rule| rule.table == table);
        if !has_rule && !goes_with_its_owner.contains(&table) && !stays.contains(&table) {
            endless.push(table.to_owned());
        }
    }
    endless
}

/// C63: who did not answer is forgotten after 30 days.
#[tokio::test]
async fn person_who_did_not_answer_is_forgotten() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.database.execute("DELETE FROM messages").await;
    let asked = Utc::now() - TimeDelta::days(20);
    say(
        &place,
        sample.subject,
        State::Requested,
        asked,
        TimeDelta::days(30),
    )
    .await;

    // Only now: the collector's own job would forget people of whom nothing is said.
    let older = "UPDATE subjects SET created_at = now() - interval '40 days'";
    place.database.execute(older).await;

    run(&place, Mode::Delete, asked + TimeDelta::days(29)).await;
    let before = place.count("subjects").await;
    run(&place, Mode::Delete, asked + TimeDelta::days(31)).await;

    assert_eq!(before, 1);
    assert_eq!(place.count("subjects").await, 0);
    assert!(!place.dump().contains(&address));
    assert_eq!(place.verify().0, 0);
}

/// C91: proof for three years after the end, then neither evidence nor address; a refusal stays.
#[tokio::test]
async fn proof_ends_three_years_after_the_consent() {
    let place = Place::open().await;
    let (granted, _) = place.message().await;
    let (refused, _) = place.message().await;
    place.database.execute("DELETE FROM messages").await;
    // The database lets no evidence go of what is in force by its own clock.
    let then = Utc::now() - TimeDelta::days(366);
    say(
        &place,
        granted.subject,
        State::Granted,
        then,
        TimeDelta::days(365),
    )
    .await;
    say(
        &place,
        refused.subject,
        State::Denied,
        then,
        TimeDelta::zero(),
    )
    .await;

    // Only now: the collector's own job would forget people of whom nothing is said.
    let older = "UPDATE subjects SET created_at = now() - interval '40 days'";
    place.database.execute(older).await;

    let end = then + TimeDelta::days(4 * 365);
    run(&place, Mode::Delete, end - TimeDelta::days(1)).await;
    let kept = (
        place.count("subjects").await,
        place.count("consent_evidence").await,
    );
    let counted = run(&place, Mode::Count, end + TimeDelta::days(1)).await;
    let untouched = place.count("subjects").await;
    run(&place, Mode::Delete, end + TimeDelta::days(1)).await;

    assert_eq!(kept, (2, 1));
    assert!(counted >= 2);
    assert_eq!(untouched, 2);
    assert_eq!(place.count("consent_evidence").await, 0);
    assert_eq!(place.count("subjects").await, 1);
    assert_eq!(place.count("consent_events").await, 2);
    assert!(is_whole(&place, end + TimeDelta::days(1)).await);
    assert!(
        !is_whole(&place, end - TimeDelta::days(1)).await,
        "too soon"
    );
}

/// C52: the link in a message withdraws even when the message is long gone here.
#[tokio::test]
async fn link_in_a_purged_message_withdraws_a_permission_that_holds() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    let url = place.choices(sample.message);
    run(&place, Mode::Delete, Utc::now() + TimeDelta::days(100)).await;
    assert_eq!(place.count("messages").await, 0);

    let shown = Visitor::new().get(&url).await;
    let withdrawn = Visitor::new()
        .post_form(&url, &[("Tracking-Consent", "Withdraw")])
        .await;
    run(&place, Mode::Delete, Utc::now() + TimeDelta::days(500)).await;

    assert!(!shown.text().contains(&address));
    assert_eq!(withdrawn.status, 200);
    assert_eq!(
        place.states().await,
        [
            "click granted",
            "open granted",
            "click withdrawn",
            "open withdrawn"
        ]
    );
    assert_eq!(place.count("withdrawal_keys").await, 0);
}

/// The same, where the sender deleted the message.
#[tokio::test]
async fn link_in_a_message_that_its_sender_deleted_still_withdraws() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    let url = place.choices(sample.message);
    let mut connection = db::connect(place.database.url()).await.unwrap();
    let controller = ControllerId("example".into());
    let user = UserId(sample.user);
    let is_deleted = report::delete(
        &controller,
        user,
        sample.message,
        Utc::now(),
        &mut connection,
    )
    .await
    .unwrap();

    let withdrawn = Visitor::new()
        .post_form(&url, &[("Tracking-Consent", "Withdraw")])
        .await;

    assert!(is_deleted);
    assert_eq!(place.count("messages").await, 0);
    assert_eq!(withdrawn.status, 200);
    assert_eq!(
        place.states().await,
        [
            "click granted",
            "open granted",
            "click withdrawn",
            "open withdrawn"
        ]
    );
}

/// What waited for an erasure, and knew the person by name before it, writes nothing about the person after it.
#[tokio::test]
async fn nothing_is_written_about_somebody_who_was_erased() {
    let place = Place::open().await;
    let (_sample, address) = place.message().await;
    let config = Config::read(&place.installation.configuration()).unwrap();
    let keys = KeyRing::read(&config.keys.file).unwrap();
    let controller = ControllerId("example".into());
    let mut connection = db::connect(place.database.url()).await.unwrap();
    let parsed = Address::parse(&address).unwrap();
    let known = subjects::find(&controller, &parsed, &mut connection).await;
    let subject = known.unwrap().unwrap();
    let (status, _, complaint) = place.ctl(&["consent", "erase", &address]);
    assert_eq!(status, 0, "{complaint}");

    let granted = statement(subject.0, State::Granted, Utc::now() + TimeDelta::days(1));
    let written = connection
        .transaction(async |connection| {
            consent_events::append(
                &controller,
                std::slice::from_ref(&granted),
                &keys,
                Utc::now(),
                connection,
            )
            .await
        })
        .await;

    assert!(matches!(
        written,
        Err(AppendError::Inadmissible {
            reason: Inadmissible::Erased,
            ..
        })
    ));
    assert_eq!(place.count("consent_evidence").await, 0);
}

/// C92
#[tokio::test]
async fn register_of_processing_comes_from_the_configuration() {
    let place = Place::open().await;

    let (status, text, _) = place.ctl(&["ropa"]);

    assert_eq!(status, 0);
    for word in [
        "Example Sp. z o.o.",
        "UODO",
        "90 days",
        "hash chain",
        "what is done",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}
