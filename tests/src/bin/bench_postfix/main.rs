// SPDX-License-Identifier: GPL-3.0-or-later
//! What instrumented mail costs a Postfix, beside a milter that reads everything and does nothing and beside none, in one
//! run; and the memory of many large messages at once.
//!
//! Ours looks consent up, instruments, and writes the message down before it answers. Rounds alternate, so that a busy
//! moment of the machine meets all; ratios are medians over rounds. `bench_postfix submission` runs its last part alone.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where a step fails")]

mod memory;
mod noop;
mod submission;

use std::{
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{
    bars::Bars,
    database::Database,
    installation::Installation,
    messages::{Encoding, Message},
    postfix::Postfix,
    programs::{self, Program::PostgreSql},
    scratch::Scratch,
    sink::Sink,
    site::{self, ALICE, BOB, PASSWORD, Said},
    smtp::Session,
};
use tokio::{sync::Barrier, task::JoinSet};

const ROUNDS: usize = 7;
const SESSIONS: usize = 10;

/// Messages of one session in one round of throughput.
const MESSAGES: usize = 40;

/// Messages in one round of latency.
const SINGLE: usize = 15;

/// The bars: at least so much of the no-op's throughput, at most so many times its latency.
const THROUGHPUT: f64 = 0.8;
const LATENCY: f64 = 2.5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match arguments.as_slice() {
        [_, verb, socket] if verb == "noop" => {
            runtime.block_on(noop::serve(Path::new(socket)));
            ExitCode::SUCCESS
        }
        [_, part] if part == "submission" => runtime.block_on(async {
            let mut bars = Bars::default();
            submission::report(&mut bars).await;
            bars.end()
        }),
        _ => runtime.block_on(bench()),
    }
}

/// Who takes the mail.
struct Contender {
    name: &'static str,
    port: u16,
    throughputs: Vec<f64>,
    latencies: Vec<Vec<Duration>>,
}

async fn bench() -> ExitCode {
    let mut bars = Bars::default();
    if !programs::are_here(&[PostgreSql, programs::Program::Postfix]) {
        bars.unmeasured("everything: Postfix or PostgreSQL is not installed");
        return bars.end();
    }
    let scratch = Scratch::new("bench");
    let (_noop, noop_socket) = noop::start(&scratch).await;
    let (postfix, installation, sink) = start(&noop_socket).await;
    let milter = installation.0.start_milter().await;
    let mut contenders: Vec<Contender> = [
        ("no milter", postfix.local_port()),
        ("no-op milter", postfix.inbound_port()),
        ("fairtrack", postfix.submission_port()),
    ]
    .into_iter()
    .map(|(name, port)| Contender {
        name,
        port,
        throughputs: Vec::new(),
        latencies: vec![Vec::new(); SIZES.len()],
    })
    .collect();

    let ours = postfix.submission_port();
    for round in 0..=ROUNDS {
        // The first warms everything up.
        contenders.rotate_left(1);
        for contender in &mut contenders {
            let throughput = throughput(contender.port, contender.port == ours).await;
            settle(&postfix, &sink).await;
            if round > 0 {
                contender.throughputs.push(throughput);
            }
        }
    }
    for round in 0..=ROUNDS {
        contenders.rotate_left(1);
        for (place, (_, size)) in SIZES.iter().enumerate() {
            for contender in &mut contenders {
                let taken = latencies(contender.port, contender.port == ours, *size).await;
                settle(&postfix, &sink).await;
                if round > 0 {
                    contender.latencies.get_mut(place).unwrap().extend(taken);
                }
            }
        }
    }
    let rows = "SELECT count(*) FROM messages WHERE reason IS NULL";
    let instrumented = installation.1.count(rows, &[]).await;
    let sent = (ROUNDS + 1) * (SESSIONS * MESSAGES + SIZES.len() * SINGLE);
    // What was not instrumented cost little, and would make the rest of the figures worthless.
    judge_all(&mut bars, "messages instrumented", instrumented, sent);
    report(&mut contenders, &mut bars);
    memory::report(&installation, &milter, &mut bars).await;
    submission::report(&mut bars).await;
    bars.end()
}

fn judge_all(bars: &mut Bars, what: &str, count: i64, all: usize) {
    let share = count as f64 / all as f64;
    let word = bars.at_least(&format!("share of {what}"), share, 1.0);
    println!("{count} of {all} {what}: {word}");
}

/// Sizes of the latency runs.
const SIZES: [(&str, usize); 3] = [("10 KB", 10_000), (BARRED, 100_000), ("1 MB", 1_000_000)];

/// The size at which latency has a bar.
const BARRED: &str = "100 KB";

async fn start(noop: &str) -> (Postfix, (Installation, Database), Sink) {
    let sink = Sink::start();
    let database = Database::start_alone().await;
    // Nobody answers for the collector here, and memory is at its most when nothing is given up.
    let builder = Installation::on(&database)
        .set("milter.health_gate", false)
        .set("milter.deadline", "120s");
    let postfix = Postfix::relaying_to(sink.port())
        .user(ALICE, PASSWORD)
        .milter(&builder.milter_socket())
        .inbound_milter(noop)
        .start()
        .await;
    let installation = builder.write();
    site::user(&database, ALICE).await;
    site::says(&database, BOB, Said::Yes).await;
    (postfix, (installation, database), sink)
}

/// Waits until everything is delivered, and forgets it.
async fn settle(postfix: &Postfix, sink: &Sink) {
    postfix.wait_until_idle().await;
    while sink.take().is_some() {}
}

/// Returns how many messages of 10 KB a second are taken over parallel sessions.
async fn throughput(port: u16, authenticates: bool) -> f64 {
    let barrier = Arc::new(Barrier::new(SESSIONS + 1));
    let message: Arc<[u8]> = message(10_000).into();
    let mut sessions = JoinSet::new();
    for _ in 0..SESSIONS {
        let (barrier, message) = (Arc::clone(&barrier), Arc::clone(&message));
        sessions.spawn(async move {
            let mut session = open(port, authenticates).await;
            barrier.wait().await;
            for _ in 0..MESSAGES {
                let reply = session.send(ALICE, &[BOB], &message).await;
                assert_eq!(reply.code, 250, "{}", reply.text);
            }
            session.quit().await;
        });
    }
    barrier.wait().await;
    let begun = Instant::now();
    while let Some(ended) = sessions.join_next().await {
        ended.unwrap();
    }
    (SESSIONS * MESSAGES) as f64 / begun.elapsed().as_secs_f64()
}

/// Returns how long each message of a session waited for its answer.
async fn latencies(port: u16, authenticates: bool, size: usize) -> Vec<Duration> {
    let message = message(size);
    let mut session = open(port, authenticates).await;
    let mut taken = Vec::new();
    for _ in 0..SINGLE {
        let (reply, took) = session.send_and_time(ALICE, &[BOB], &message).await;
        assert_eq!(reply.code, 250, "{}", reply.text);
        taken.push(took);
    }
    session.quit().await;
    taken
}

async fn open(port: u16, authenticates: bool) -> Session {
    if authenticates {
        Session::open_as(port, ALICE, PASSWORD).await
    } else {
        Session::open(port).await
    }
}

/// A newsletter of about that size, with a link every 450 octets of HTML.
fn message(size: usize) -> Vec<u8> {
    let mut html = String::with_capacity(size + 1_000);
    html.push_str("<html><body>\r\n");
    let mut number = 0;
    while html.len() < size - 600 {
        html.push_str(&format!(
            "<p>Item {number}: <a href=\"https://shop.example.org/item?number={number}\">look at it</a></p>\r\n"
        ));
        for _ in 0..4 {
            html.push_str("<p>It is as good as all the others, and a little longer; so is this line, which ends.</p>\r\n");
        }
        number += 1;
    }
    html.push_str("</body></html>\r\n");
    Message::new(ALICE, BOB)
        .without_text()
        .html(&html)
        .encoding(Encoding::EightBit)
        .build()
}

fn report(contenders: &mut [Contender], bars: &mut Bars) {
    contenders.sort_by_key(|contender| contender.name != "no milter");
    contenders.sort_by_key(|contender| contender.name == "fairtrack");
    println!(
        "\nthrough Postfix, {SESSIONS} sessions of 10 KB messages; and one session, from the final dot to the answer"
    );
    println!(
        "contender        msg/s    10 KB p50    p99   100 KB p50    p99     1 MB p50    p99   (ms)"
    );
    for contender in contenders.iter_mut() {
        print!(
            "{:13} {:8.0}",
            contender.name,
            median(&mut contender.throughputs.clone())
        );
        for latencies in &mut contender.latencies {
            latencies.sort();
            print!(
                "  {:10.2} {:6.2}",
                millis(latencies, 50),
                millis(latencies, 99)
            );
        }
        println!();
    }
    let [_, noop, ours] = contenders else {
        return;
    };
    let mut ratios: Vec<f64> = ours
        .throughputs
        .iter()
        .zip(&noop.throughputs)
        .map(|(ours, noop)| ours / noop)
        .collect();
    let ratio = median(&mut ratios);
    let what = "throughput, of the no-op's";
    let word = bars.at_least(what, ratio, THROUGHPUT);
    println!("{what}: {ratio:.2} (at least {THROUGHPUT}) {word}");
    for (place, (name, _)) in SIZES.iter().enumerate() {
        let of = |contender: &Contender| millis(contender.latencies.get(place).unwrap(), 50);
        let ratio = of(ours) / of(noop);
        let what = format!("latency at {name}, of the no-op's");
        // Other sizes have no bar.
        if *name == BARRED {
            let word = bars.at_most(&what, ratio, LATENCY);
            println!("{what}: {ratio:.2} (at most {LATENCY}) {word}");
        } else {
            println!("{what}: {ratio:.2}");
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn millis(sorted: &[Duration], percent: usize) -> f64 {
    let place = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3
}
