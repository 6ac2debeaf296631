// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything around the milter fails, again and again, while mail flows: each message arrives once and whole, none is
//! instrumented without its row, and no row tells of an instrumentation that did not happen.
//!
//! `FAIRTRACK_CHAOS_MESSAGES` says how many messages (2,000 if nothing else is said), `FAIRTRACK_CHAOS_SEED` repeats the
//! order of events and messages of a run; when exactly a blow falls is chance. `make chaos` runs it alone.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    keys::KeyRing,
    tracking_url::{recognise, verify},
};
use harness::{
    chance::Chance,
    database::Database,
    dkim::OpenDkim,
    installation::{Installation, Program},
    log::PATIENCE,
    messages::{Encoding, HTML, Message},
    needs,
    postfix::Postfix,
    sink::{Delivery, Sink},
    site::{ALICE, BOB, PASSWORD, Said, Site},
    smtp::Session,
};
use tokio::{sync::watch, task::JoinSet};
use uuid::Uuid;

use crate::taken_apart::uninstrumented;

/// How many messages flow, if nothing else is said.
const MESSAGES: usize = 2_000;
const SESSIONS: usize = 8;

/// Blows of each kind among so many messages.
const ROUNDS: usize = 3;

/// How many messages may be sent while a blow lasts, so that none is left when the last one comes.
const FLOW: usize = 50;

/// Who agreed too, and who said nothing.
const CAROL: &str = "carol@recipient.test";
const DAVE: &str = "dave@recipient.test";

/// For how long Postfix waits for the milter: at a command, and at content.
const WAITS: (u32, u32) = (1, 2);

/// One message as its author sent it.
struct Sent {
    recipients: Vec<&'static str>,
    /// As it leaves if the milter saw it; `None` if that is as it was sent.
    without_control: Option<Vec<u8>>,
    raw: Vec<u8>,
    may_be_tracked: bool,
}

/// What breaks.
#[derive(Clone, Copy, Debug)]
enum Blow {
    CollectorDies,
    DatabaseDies,
    DatabaseHangs,
    DatabaseStops,
    DiskFills,
    MilterDies,
    /// Just when a message has been written down, and perhaps not yet answered for.
    MilterDiesAnswering,
    MilterHangs(Duration),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_arrives_once_and_whole_and_the_record_is_true_whatever_fails() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let seed = number("FAIRTRACK_CHAOS_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    let messages = number("FAIRTRACK_CHAOS_MESSAGES").map_or(MESSAGES, |count| count as usize);
    println!("FAIRTRACK_CHAOS_SEED={seed} FAIRTRACK_CHAOS_MESSAGES={messages}");
    let mut chance = Chance::from_seed(seed);
    let small = Database::start_on_small_disk().await;
    let has_small_disk = small.is_some();
    if !has_small_disk {
        println!("skipped the full disk: no right to mount one");
    }
    let database = match small {
        Some(database) => database,
        None => Database::start_alone().await,
    };
    let mut site = impatient_site(database).await;
    let sent: Arc<Vec<Sent>> = Arc::new((0..messages).map(|n| compose(n, &mut chance)).collect());
    let lengths: Vec<usize> = (0..messages).map(|_| 1 + chance.below(8)).collect();
    let blows = blows(&mut chance, messages, has_small_disk);
    let milter = site.installation.start_milter().await;
    let collector = site.installation.start_collector().await;
    let begun = Instant::now();

    let (count, progress) = watch::channel(0);
    let (allow, allowed) = watch::channel(0);
    let port = site.postfix.submission_port();
    let submission = submit(port, Arc::clone(&sent), lengths, (count, allowed));
    let submission = tokio::spawn(submission);
    let (_milter, _collector) =
        strike(&mut site, (milter, collector), blows, (progress, allow)).await;
    submission.await.unwrap();
    site.postfix.wait_until_idle().await;
    let took = begun.elapsed();
    let deliveries: Vec<Delivery> = std::iter::from_fn(|| site.sink.take()).collect();

    assert_eq!(site.postfix.corrupt(), 0);
    let keys = KeyRing::read(&site.installation.keys()).unwrap();
    let instrumented = judge(&sent, &deliveries, &keys, &site.installation.url());
    let falsely_claimed = settle(&site, &instrumented).await;
    let eligible = sent.iter().filter(|sent| sent.may_be_tracked).count();
    println!(
        "{messages} messages in {took:.1?}: {} of {eligible} that could be were instrumented, {falsely_claimed} falsely \
         claimed",
        instrumented.len()
    );
    // Both fates were among the messages, or nothing was tried.
    assert!(instrumented.len() > eligible / 4 && instrumented.len() < eligible);
    // A milter that is killed between two neighbouring system calls has told its journal of an answer that never left.
    let few = messages.div_ceil(MESSAGES);
    assert!(falsely_claimed <= few, "{falsely_claimed} rows are untrue");
}

async fn impatient_site(database: Database) -> Site {
    let sink = Sink::start();
    let signer = OpenDkim::start("example.com").await;
    let builder = Installation::on(&database);
    let postfix = Postfix::relaying_to(sink.port())
        .user(ALICE, PASSWORD)
        .milter_waited_for(&builder.milter_socket(), WAITS.0, WAITS.1)
        .milter(&signer.socket())
        .start()
        .await;
    let installation = builder.mail_through(postfix.local_port()).write();
    let site = Site {
        postfix,
        signer,
        installation,
        sink,
        database,
    };
    site.user(ALICE).await;
    for recipient in [BOB, CAROL] {
        site.says(recipient, Said::Yes).await;
    }
    site
}

/// Writes one message, unlike all others.
fn compose(number: usize, chance: &mut Chance) -> Sent {
    let encoding = [
        Encoding::Base64,
        Encoding::EightBit,
        Encoding::QuotedPrintable,
    ]
    .get(chance.below(3))
    .copied()
    .unwrap();
    let mut html = HTML.replace("Offer", &format!("Offer {number}"));
    if chance.below(20) == 0 {
        let rows = "<tr><td>It is as good as all the others.</td></tr>\r\n".repeat(2_000);
        html = html.replace("</body>", &format!("<table>\r\n{rows}</table></body>"));
    }
    let mut message = Message::new(ALICE, BOB)
        .field("Message-ID", &format!("<{number}@example.com>"))
        .field("Subject", &format!("Offer {number}"))
        .encoding(encoding)
        .html(&html);
    if chance.below(10) == 0 {
        message = message.attachment(&vec![number as u8; chance.below(60_000)]);
    }
    let recipients: Vec<&str> = match chance.below(10) {
        0 => vec![DAVE],
        1 => vec![BOB, CAROL],
        2 => vec![BOB, DAVE],
        _ => vec![BOB],
    };
    let refuses = chance.below(20) == 0;
    let raw = message.build();
    let sent = Sent {
        may_be_tracked: !refuses && !recipients.contains(&DAVE),
        recipients,
        without_control: None,
        raw,
    };
    if refuses {
        Sent {
            raw: message.field("X-Track", "no; once").build(),
            without_control: Some(sent.raw),
            ..sent
        }
    } else {
        sent
    }
}

/// Sends everything over parallel sessions, each of which ends after some messages.
async fn submit(
    port: u16,
    sent: Arc<Vec<Sent>>,
    lengths: Vec<usize>,
    (count, allowed): (watch::Sender<usize>, watch::Receiver<usize>),
) {
    let next = Arc::new(std::sync::Mutex::new((0..sent.len()).zip(lengths)));
    let count = Arc::new(count);
    let mut sessions = JoinSet::new();
    for _ in 0..SESSIONS {
        let (next, sent, count) = (Arc::clone(&next), Arc::clone(&sent), Arc::clone(&count));
        let mut allowed = allowed.clone();
        sessions.spawn(async move {
            let take = || next.lock().unwrap().next();
            let mut current = take();
            while let Some((_, length)) = current {
                let mut session = Session::open_as(port, ALICE, PASSWORD).await;
                for _ in 0..length {
                    let Some((number, _)) = current else {
                        break;
                    };
                    allowed.wait_for(|allowed| number < *allowed).await.unwrap();
                    let message = sent.get(number).unwrap();
                    let reply = session.send(ALICE, &message.recipients, &message.raw).await;
                    assert_eq!(reply.code, 250, "{}", reply.text);
                    count.send_modify(|count| *count += 1);
                    current = take();
                }
                session.quit().await;
            }
        });
    }
    while let Some(ended) = sessions.join_next().await {
        ended.unwrap();
    }
}

/// Chooses what breaks, and after how many messages.
fn blows(chance: &mut Chance, messages: usize, has_small_disk: bool) -> Vec<(usize, Blow)> {
    let hang = |millis| Blow::MilterHangs(Duration::from_millis(millis));
    let mut kinds = vec![
        Blow::CollectorDies,
        Blow::DatabaseDies,
        Blow::DatabaseHangs,
        Blow::DatabaseStops,
        hang(300),
        // Longer than Postfix waits.
        hang(2_500),
    ];
    kinds.extend([Blow::MilterDies, Blow::MilterDiesAnswering].repeat(5));
    if has_small_disk {
        kinds.push(Blow::DiskFills);
    }
    let mut blows: Vec<(usize, Blow)> = (0..(ROUNDS * messages).div_ceil(MESSAGES))
        .flat_map(|_| &kinds)
        .map(|blow| (chance.below(messages * 95 / 100), *blow))
        .collect();
    blows.sort_by_key(|(place, _)| *place);
    blows
}

/// Strikes each blow when its time has come, and repairs what it broke.
async fn strike(
    site: &mut Site,
    (mut milter, mut collector): (Program, Program),
    blows: Vec<(usize, Blow)>,
    (mut progress, allow): (watch::Receiver<usize>, watch::Sender<usize>),
) -> (Program, Program) {
    for (place, blow) in blows {
        allow.send_replace(place + FLOW);
        if progress.wait_for(|count| *count >= place).await.is_err() {
            break;
        }
        println!("after {place} messages: {blow:?}");
        // The length of a failure is what is tried; nothing is waited for here.
        let failure = Duration::from_millis(400);
        match blow {
            Blow::CollectorDies => {
                collector.kill9();
                tokio::time::sleep(failure).await;
                collector = site.installation.start_collector().await;
            }
            Blow::DatabaseDies => {
                site.database.cluster().kill9();
                tokio::time::sleep(failure).await;
                site.database.cluster().restart().await;
            }
            Blow::DatabaseHangs => {
                site.database.cluster().pause();
                tokio::time::sleep(failure * 5).await;
                site.database.cluster().resume();
            }
            Blow::DatabaseStops => {
                site.database.cluster().stop();
                tokio::time::sleep(failure).await;
                site.database.cluster().restart().await;
            }
            Blow::DiskFills => {
                site.database.cluster().fill_disk();
                tokio::time::sleep(failure * 5).await;
                site.database.cluster().free_disk();
            }
            Blow::MilterDies => {
                milter.kill9();
                milter = site.installation.start_milter().await;
            }
            Blow::MilterDiesAnswering => {
                wait_for_row(&site.database).await;
                milter.kill9();
                milter = site.installation.start_milter().await;
            }
            Blow::MilterHangs(span) => {
                milter.pause();
                tokio::time::sleep(span).await;
                milter.resume();
            }
        }
        if matches!(blow, Blow::DiskFills) && !site.database.cluster().is_running() {
            site.database.cluster().restart().await;
        }
    }
    allow.send_replace(usize::MAX);
    allow.closed().await;
    (milter, collector)
}

/// Waits until another message has been written down as instrumented, if that happens soon.
async fn wait_for_row(database: &Database) {
    let client = database.connect().await;
    let count = async || {
        let query = "SELECT count(*) FROM messages WHERE reason IS NULL";
        client.query_one(query, &[]).await.unwrap().get::<_, i64>(0)
    };
    let before = count().await;
    let is_written = async { while count().await == before {} };
    let _never = tokio::time::timeout(Duration::from_secs(1), is_written).await;
}

/// Checks every delivery against what was sent; returns the ids of those that were instrumented.
fn judge(sent: &[Sent], deliveries: &[Delivery], keys: &KeyRing, base: &str) -> HashSet<Uuid> {
    let mut arrived: HashMap<usize, Vec<&str>> = HashMap::new();
    let mut instrumented = HashSet::new();
    for delivery in deliveries {
        let number = number_of(delivery);
        let original = sent.get(number).unwrap();
        let to = delivery.recipients.iter().map(String::as_str);
        arrived.entry(number).or_default().extend(to);
        let message = delivery.without_trace_and_signature();
        if message == original.raw || original.without_control.as_ref() == Some(&message) {
            continue;
        }
        assert!(original.may_be_tracked, "{number} must not be instrumented");
        assert_eq!(
            String::from_utf8_lossy(&uninstrumented(&message, keys, base)),
            String::from_utf8_lossy(&original.raw),
            "{number} is neither old nor new"
        );
        let id = the_one_id(delivery, keys, base);
        assert!(instrumented.insert(id), "two messages of one id");
    }
    for (number, sent) in sent.iter().enumerate() {
        let mut got = arrived.remove(&number).unwrap_or_default();
        got.sort_unstable();
        assert_eq!(got, sent.recipients, "{number} must arrive exactly once");
    }
    instrumented
}

fn number_of(delivery: &Delivery) -> usize {
    let id = delivery.field("Message-ID").unwrap();
    let number = id.trim_start_matches('<').split('@').next().unwrap();
    number.parse().unwrap()
}

/// Returns the id that all tokens of a message carry, one pixel and one link among them.
fn the_one_id(delivery: &Delivery, keys: &KeyRing, base: &str) -> Uuid {
    let ours = harness::artefacts::Artefacts::of(delivery, base);
    assert_eq!((ours.pixels.len(), ours.links.len()), (1, 1));
    let ids: HashSet<Uuid> = [ours.pixels, ours.links, ours.choices, ours.text_choices]
        .iter()
        .flatten()
        .map(|url| {
            verify(keys, &recognise(base, url).unwrap())
                .unwrap()
                .message
                .0
        })
        .collect();
    assert_eq!(ids.len(), 1, "tokens of several messages in one");
    ids.into_iter().next().unwrap()
}

/// Checks that each message that was instrumented has its row, waits for corrections, and returns how many rows still
/// tell of instrumentation that did not happen.
async fn settle(site: &Site, instrumented: &HashSet<Uuid>) -> usize {
    let client = site.database.connect().await;
    let deadline = Instant::now() + PATIENCE / 4;
    loop {
        let rows = client
            .query("SELECT id FROM messages WHERE reason IS NULL", &[])
            .await
            .unwrap();
        let claimed: HashSet<Uuid> = rows.iter().map(|row| row.get(0)).collect();
        let missing = instrumented.difference(&claimed).count();
        assert_eq!(missing, 0, "messages were instrumented without their row");
        let falsely = claimed.difference(instrumented).count();
        if falsely == 0 || Instant::now() >= deadline {
            return falsely;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
