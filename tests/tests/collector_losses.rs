// SPDX-License-Identifier: GPL-3.0-or-later
//! An answered hit is a kept hit, whatever is killed, stopped or restarted meanwhile.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use harness::{
    database::Database,
    installation::{Installation, Program},
    samples::Sample,
    web::{MAIL_PROGRAM, Visitor},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// Requests each link once, by its number, over a few connections that are made again when they break.
struct Load {
    sample: Arc<Sample>,
    next: Arc<AtomicI32>,
    answers: Arc<AtomicI32>,
    is_over: Arc<AtomicBool>,
    clients: JoinSet<Vec<i16>>,
}

/// The most links that a load requests: a bound for the test, and for what a number of a link may be.
const MOST: i32 = 30_000;

impl Load {
    fn start(sample: Sample, address: &str, connections: usize) -> Self {
        let mut load = Self {
            sample: Arc::new(sample),
            next: Arc::new(AtomicI32::new(1)),
            answers: Arc::default(),
            is_over: Arc::default(),
            clients: JoinSet::new(),
        };
        for _ in 0..connections {
            let (sample, next) = (Arc::clone(&load.sample), Arc::clone(&load.next));
            let (answers, is_over) = (Arc::clone(&load.answers), Arc::clone(&load.is_over));
            let address = address.to_owned();
            load.clients
                .spawn(async move { request(&sample, &address, &next, &answers, &is_over).await });
        }
        load
    }

    /// Waits until so many more requests were answered.
    async fn answers(&self, more: i32) {
        let wanted = self.answers.load(Ordering::SeqCst) + more;
        let wait = async {
            while self.answers.load(Ordering::SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(harness::log::PATIENCE, wait)
            .await
            .expect("requests are not answered");
    }

    /// Returns the numbers of the links whose requests were answered.
    async fn stop(mut self) -> (Arc<Sample>, HashSet<i16>) {
        self.is_over.store(true, Ordering::SeqCst);
        let mut answered = HashSet::new();
        while let Some(numbers) = self.clients.join_next().await {
            answered.extend(numbers.unwrap());
        }
        (self.sample, answered)
    }
}

/// Requests links over one connection for as long as it holds, then over the next; adds the numbers of those answered.
async fn request(
    sample: &Sample,
    address: &str,
    next: &AtomicI32,
    answers: &AtomicI32,
    is_over: &AtomicBool,
) -> Vec<i16> {
    let mut answered = Vec::new();
    let mut connection: Option<TcpStream> = None;
    while !is_over.load(Ordering::SeqCst) {
        let Some(stream) = &mut connection else {
            connection = TcpStream::connect(address).await.ok();
            if connection.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            continue;
        };
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number > MOST {
            break;
        }
        let number = i16::try_from(number).unwrap();
        match ask(sample, number, stream).await {
            Ok(()) => {
                answered.push(number);
                answers.fetch_add(1, Ordering::SeqCst);
            }
            Err(_broken) => connection = None,
        }
    }
    answered
}

async fn ask(sample: &Sample, number: i16, stream: &mut TcpStream) -> std::io::Result<()> {
    let url = sample.link(number.unsigned_abs(), "https://a.example/");
    let (_, path) = url.split_once("://").unwrap().1.split_once('/').unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: t\r\nUser-Agent: {MAIL_PROGRAM}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend(piece.into_iter().take(length));
    }
    assert!(
        head.starts_with(b"HTTP/1.1 302 "),
        "an error answer: {}",
        String::from_utf8_lossy(&head)
    );
    Ok(())
}

/// Returns the numbers of the stored clicks of a message, each of which must be there once.
async fn stored(database: &Database, sample: &Sample) -> HashSet<i16> {
    let client = database.connect().await;
    let rows = client
        .query(
            "SELECT ordinal FROM hits WHERE message_id = $1",
            &[&sample.message.0],
        )
        .await
        .unwrap();
    let numbers: HashSet<i16> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(numbers.len(), rows.len(), "a hit is there twice");
    numbers
}

/// Waits until nothing waits in the local log.
async fn until_replayed(installation: &Installation) {
    let mut visitor = Visitor::new();
    let url = format!("{}/metrics", installation.admin_url());
    let wait = async {
        loop {
            let metrics = visitor.get(&url).await.text();
            if metrics.contains("\nfairtrack_hit_log_octets 0\n") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("the log was not replayed within a minute");
}

fn assert_kept(answered: &HashSet<i16>, stored: &HashSet<i16>) {
    let lost: Vec<_> = answered.difference(stored).collect();
    assert!(
        lost.is_empty(),
        "{} of {} answered hits are lost",
        lost.len(),
        answered.len()
    );
}

/// What a round kills.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Both,
    Collector,
    Database,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_collector_and_database_under_load_loses_no_answered_hit() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let address = installation.url().replace("http://", "");
    let mut collector: Option<Program> = Some(installation.start_collector().await);
    let mut rounds = Vec::new();

    let victims = [Victim::Collector, Victim::Database, Victim::Both];
    for (round, victim) in (0..10).zip(victims.into_iter().cycle()) {
        let sample = Sample::with_consent(&installation, &database).await;
        let load = Load::start(sample, &address, 8);
        // Somewhere in the middle of it, each time elsewhere.
        load.answers(200 + 37 * round).await;
        if matches!(victim, Victim::Database | Victim::Both) {
            database.cluster().kill9();
            load.answers(13 * round).await;
        }
        if matches!(victim, Victim::Collector | Victim::Both) {
            collector.take().unwrap().kill9();
            collector = Some(installation.start_collector().await);
        }
        load.answers(50).await;
        if matches!(victim, Victim::Database | Victim::Both) {
            database.cluster().restart().await;
        }
        rounds.push((victim, load.stop().await));
    }
    until_replayed(&installation).await;

    for (victim, (sample, answered)) in rounds {
        let stored = stored(&database, &sample).await;
        println!(
            "{victim:?}: {} answered, {} stored",
            answered.len(),
            stored.len()
        );
        assert_kept(&answered, &stored);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_and_stopped_database_breaks_no_answer_and_loses_no_hit() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let address = installation.url().replace("http://", "");
    let sample = Sample::with_consent(&installation, &database).await;
    let silent = Sample::without_consent(&installation, &database).await;
    let silent_message = silent.message;
    let _collector = installation.start_collector().await;

    let load = Load::start(sample, &address, 4);
    let unwanted = Load::start(silent, &address, 1);
    load.answers(200).await;
    database.cluster().pause();
    load.answers(50).await;
    database.cluster().resume();
    load.answers(200).await;
    database.cluster().stop();
    load.answers(200).await;
    database.cluster().restart().await;
    load.answers(200).await;
    let (sample, answered) = load.stop().await;
    unwanted.stop().await;
    until_replayed(&installation).await;

    assert_kept(&answered, &stored(&database, &sample).await);
    let unwanted = "SELECT count(*) FROM hits WHERE message_id = $1";
    assert_eq!(database.count(unwanted, &[&silent_message.0]).await, 0);
}

#[tokio::test]
async fn hits_that_waited_are_dropped_if_consent_ended_meanwhile() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let kept = Sample::with_consent(&installation, &database).await;
    let withdrawn = Sample::with_consent(&installation, &database).await;
    let mut collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    database.cluster().kill9();
    for sample in [&kept, &withdrawn] {
        assert_eq!(visitor.get(&sample.pixel()).await.status, 200);
    }
    collector.kill9();
    database.cluster().restart().await;
    let client = database.connect().await;
    withdrawn.state(&client, "open", "withdrawn").await;
    let _collector = installation.start_collector().await;
    until_replayed(&installation).await;

    let count = "SELECT count(*) FROM hits WHERE message_id = $1";
    assert_eq!(database.count(count, &[&kept.message.0]).await, 1);
    assert_eq!(database.count(count, &[&withdrawn.message.0]).await, 0);
}

#[tokio::test]
async fn full_log_breaks_no_answer_and_is_counted() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database)
        .set("collector.hit_log_size", "1KB")
        .write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    database.cluster().kill9();

    for _ in 0..20 {
        assert_eq!(visitor.get(&sample.pixel()).await.status, 200);
    }
    let metrics = visitor
        .get(&format!("{}/metrics", installation.admin_url()))
        .await
        .text();
    let readiness = visitor
        .get(&format!("{}/readyz", installation.admin_url()))
        .await;
    database.cluster().restart().await;
    until_replayed(&installation).await;

    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("fairtrack_hits_lost_total "))
        .unwrap();
    let lost: i64 = line.parse().unwrap();
    assert!(lost > 0 && lost < 20, "{lost} lost");
    assert_eq!(readiness.status, 503);
    assert!(readiness.text().contains("database: away"));
    let hits = "SELECT count(*) FROM hits";
    assert_eq!(database.count(hits, &[]).await, 20 - lost);
}
