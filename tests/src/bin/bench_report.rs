// SPDX-License-Identifier: GPL-3.0-or-later
//! Growth: what the report and the recording of hits cost when millions of hits are stored, beside empty tables.
//!
//! `FAIRTRACK_BENCH_HITS` sets the number of hits (default ten million; there is a message for every ten). They are
//! made by the database itself, in a cluster that ends with the run.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where a step fails")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use collector::auth::secret;
use common::{
    db::{
        self, Connection,
        hits::{self, Batch, Json, New, Novelty, Verdict},
        recordings,
        report::{self, Wanted},
    },
    ids::{ControllerId, MessageId, UserId},
};
use harness::{
    bars::Bars, cpu::Family, database::Database, installation::Installation, programs, web::Visitor,
};
use tokio_postgres::Client;
use uuid::{NoContext, Timestamp, Uuid};

const USERS: usize = 1000;
const HITS_OF_A_MESSAGE: usize = 10;
/// Messages on which hits still come in: those of some days.
const FRESH: usize = 50_000;
/// Hits that are written in one transaction, and transactions in one turn.
const BATCH: usize = 128;
const BATCHES: usize = 150;
const TURNS: usize = 6;
/// Times that each query and page is asked for, of one user after the other.
const ASKED: usize = 400;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut bars = Bars::default();
    if !programs::are_here(&[programs::Program::PostgreSql]) {
        bars.unmeasured("everything: PostgreSQL is not installed");
        return bars.end();
    }
    let hits: usize = std::env::var("FAIRTRACK_BENCH_HITS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000_000);
    let messages = (hits / HITS_OF_A_MESSAGE).max(USERS * 50);
    let database = Database::start_alone().await;
    let started = Instant::now();
    let client = database.connect().await;
    fill(&client, messages, hits).await;
    println!(
        "{messages} messages of {USERS} users and {hits} hits, made in {} s",
        started.elapsed().as_secs()
    );

    let users = users(&client).await;
    let mut connection = db::connect(database.url()).await.unwrap();
    let query = time_query(&users, &mut connection).await;
    let what = "report query, 50 messages with counts: p50, ms";
    bar(&mut bars, what, middle(query), 1.0);
    let page = time_page(&database, &client, &users).await;
    bar(&mut bars, "whole report page: p50, ms", middle(page), 15.0);

    let empty = database.beside().await;
    fill(&empty.connect().await, FRESH, 0).await;
    let share = insert_rates(&empty, &database).await;
    let what = "share of the insert rate of an empty table";
    let word = bars.at_least(what, share, 0.75);
    println!("{word:6} {what}: {share:.2} (at least 0.75)");
    bars.end()
}

fn bar(bars: &mut Bars, what: &str, value: f64, most: f64) {
    let word = bars.at_most(what, value, most);
    println!("{word:6} {what}: {value:.2} (at most {most})");
}

/// Makes users, messages of the last 60 days, consent, and hits in the hours after each message.
async fn fill(client: &Client, messages: usize, hits: usize) {
    let each = messages / USERS;
    let statements = [
        "INSERT INTO controllers (id, name, address, contact, authority) VALUES ('example', '', '', '', '')".into(),
        "SELECT create_hits_partition((now() - interval '1 month' * n)::date) FROM generate_series(1, 3) n".into(),
        format!(
            "INSERT INTO users (controller_id, id, login)
             SELECT 'example', gen_random_uuid(), 'user' || n || '@example.com' FROM generate_series(1, {USERS}) n"
        ),
        "INSERT INTO subjects (controller_id, subject_ref, address, base_address)
         SELECT 'example', gen_random_uuid(), n || '@elsewhere.example', n || '@elsewhere.example'
         FROM generate_series(1, 20000) n"
            .into(),
        // As they come: by time, all users mixed, under random names.
        format!(
            "INSERT INTO messages (controller_id, id, user_id, queue_id, message_id_header, subject, sent_at, opens, links,
                 open_count, first_open_at, last_open_at, click_count, automatic_count, settled_until)
             SELECT 'example', gen_random_uuid(), id, 'Q' || n, '<' || n || '@example.com>', 'Offer ' || n,
                 now() - interval '60 days' * (1 - n / {each}::float), true, true, 3, now() - interval '1 day', now(), 1, 6,
                 now()
             FROM generate_series(1, {each}) n, users"
        ),
        "WITH people AS (SELECT array_agg(subject_ref) AS refs FROM subjects)
         INSERT INTO message_recipients SELECT 'example', id, refs[1 + abs(hashtext(id::text)) % 20000] FROM messages, people"
            .into(),
        "INSERT INTO activity (controller_id, user_id, hour, opens, clicks, automatic)
         SELECT 'example', id, date_trunc('hour', now()) - interval '3 hours' * n, 3, 1, 6 FROM users, generate_series(1, 480) n"
            .into(),
        format!(
            "INSERT INTO hits (controller_id, message_id, at, id, kind, ordinal, features, class, confidence, reasons,
                 rules_version, settled)
             SELECT 'example', id, least(now(), sent_at + interval '37 minutes' * n), gen_random_uuid(), 'open', 0,
                 '{FEATURES}', 'human', 90, '{{R50a}}', 1, true
             FROM (SELECT id, sent_at FROM messages ORDER BY id) AS messages, generate_series(1, {HITS_OF_A_MESSAGE}) n
             LIMIT {hits}"
        ),
        "VACUUM ANALYZE".into(),
        "CHECKPOINT".into(),
    ];
    for statement in statements {
        client.batch_execute(&statement).await.unwrap();
    }
}

const FEATURES: &str = r#"{"k":"open","n":"none","c":"mail-app:thunderbird","o":"windows","t":3600000,"i":12345,"u":54321,"al":true}"#;

async fn users(client: &Client) -> Vec<UserId> {
    let rows = client
        .query("SELECT id FROM users ORDER BY id", &[])
        .await
        .unwrap();
    rows.iter().map(|row| UserId(row.get(0))).collect()
}

fn controller() -> ControllerId {
    ControllerId("example".into())
}

/// Asks for the newest messages of one user after the other, and for how long each takes.
async fn time_query(users: &[UserId], connection: &mut Connection) -> Vec<Duration> {
    let mut took = Vec::with_capacity(ASKED);
    for user in users.iter().cycle().take(ASKED) {
        let started = Instant::now();
        let found = report::messages(&controller(), *user, &Wanted::default(), 50, connection)
            .await
            .unwrap();
        took.push(started.elapsed());
        assert_eq!(found.len(), 50);
    }
    took
}

async fn time_page(database: &Database, client: &Client, users: &[UserId]) -> Vec<Duration> {
    let installation = Installation::on(database).write();
    let _collector = installation.start_collector().await;
    let url = format!("{}/", installation.url());
    let mut took = Vec::with_capacity(ASKED);
    for user in users.iter().cycle().take(ASKED) {
        let session = secret::random().unwrap();
        client
            .execute(
                "INSERT INTO sessions VALUES ('example', $1, $2, $3, now(), now(), now() + interval '1 day')",
                &[&secret::hash(&session), &user.0, &vec![7_u8; 32]],
            )
            .await
            .unwrap();
        let mut browser = Visitor::new().header("Cookie", &format!("fairtrack={session}"));
        let started = Instant::now();
        let page = browser.get(&url).await;
        took.push(started.elapsed());
        assert_eq!(page.status, 200);
        assert!(page.text().contains("Offer "), "{}", page.text());
    }
    took
}

fn middle(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    let middle = took.get(took.len() / 2).copied().unwrap_or_default();
    middle.as_secs_f64() * 1e3
}

/// Writes hits into both databases in turn and returns the rate of the full one as a share of the other's.
///
/// Both are in one server, so that whatever else the machine does hits both alike; and each turn is rather short.
async fn insert_rates(empty: &Database, full: &Database) -> f64 {
    let mut places = Vec::new();
    for database in [empty, full] {
        let client = database.connect().await;
        let newest = format!("SELECT id FROM messages ORDER BY sent_at DESC LIMIT {FRESH}");
        let rows = client.query(&newest, &[]).await.unwrap();
        let messages: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
        let mut connection = db::connect(database.url()).await.unwrap();
        recordings::ask_by_keys(&mut connection).await.unwrap();
        let row = client
            .query_one("SELECT pg_backend_pid()", &[])
            .await
            .unwrap();
        let server = Family::of(harness::cpu::parent(row.get::<_, i32>(0).unsigned_abs()));
        places.push((messages, connection, server, Duration::ZERO, Duration::ZERO));
    }
    for turn in 0..=TURNS {
        for (messages, connection, server, took, cpu) in &mut places {
            let before = (Instant::now(), server.time());
            write(turn, messages, connection).await;
            // The first turn only warms up.
            if turn > 0 {
                *took += before.0.elapsed();
                *cpu += server.time() - before.1;
            }
        }
    }
    let rows = (TURNS * BATCHES * BATCH) as f64;
    for ((_, _, _, took, cpu), name) in places.iter().zip(["empty", "full"]) {
        println!(
            "{name:5} table: {:.0} hits/s, {:.1} µs of the database's CPU each",
            rows / took.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / rows
        );
    }
    let share = places
        .iter()
        .map(|(_, _, _, took, _)| took.as_secs_f64())
        .reduce(|empty, full| empty / full);
    share.unwrap_or_default()
}

async fn write(turn: usize, messages: &[Uuid], connection: &mut Connection) {
    for number in 0..BATCHES {
        let first = (turn * BATCHES + number) * BATCH;
        let rows: Vec<New> = (first..first + BATCH)
            .filter_map(|place| messages.get(place.wrapping_mul(7919) % messages.len()))
            .map(|message| hit(*message))
            .collect();
        let batch = Batch {
            controllers: &["example"],
            epochs: &[0],
            rules_version: 1,
            settle: TimeDelta::seconds(60),
            novelty: Novelty::New,
        };
        assert!(hits::keep(&rows, batch, connection).await.unwrap());
    }
}

fn hit(message: Uuid) -> New {
    let now = Utc::now();
    let time = Timestamp::from_unix(
        NoContext,
        now.timestamp().unsigned_abs(),
        now.timestamp_subsec_nanos(),
    );
    New {
        owner: 0,
        message: MessageId(message),
        at: now,
        id: Uuid::new_v7(time),
        ordinal: 0,
        features: Json(FEATURES.into()),
        verdict: Verdict {
            class: "human",
            confidence: 90,
            reasons: vec!["R50a"],
        },
        duplicate_of: None,
    }
}
