// SPDX-License-Identifier: GPL-3.0-or-later
//! Soak: twenty minutes of mail and hits at a rate that the machine holds. Prints memory, descriptors and queue each
//! minute. Ends with status 1, and says why, if one of them was higher in the last fifth of the time than in the second, if
//! mail was damaged, or if a hit that was answered is not recorded. `SOAK_SECONDS` shortens it.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails must end the run where it failed"
)]

use std::{
    fs,
    time::{Duration, Instant},
};

use harness::{
    cpu::Family,
    database::Database,
    installation::Program,
    messages::Message,
    site::{ALICE, ANNA, BOB, PASSWORD, Said, Site},
    web::{MAIL_PROGRAM, Visitor},
};

/// Messages a second, each with hits on its pixel and its link and on those of messages before.
const RATE: u32 = 10;
const HITS: usize = 5;

/// The most that programs and Postfix held in a part of the time.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// In KiB.
    milter: u64,
    collector: u64,
    milter_descriptors: u64,
    collector_descriptors: u64,
    queue: u64,
}

impl Held {
    fn now(site: &Site, milter: &Program, collector: &Program) -> Self {
        let descriptors = |program: &Program| {
            let folder = fs::read_dir(format!("/proc/{}/fd", program.id()));
            folder.unwrap().count() as u64
        };
        Self {
            milter: Family::of(milter.id()).resident(),
            collector: Family::of(collector.id()).resident(),
            milter_descriptors: descriptors(milter),
            collector_descriptors: descriptors(collector),
            queue: site.postfix.waiting() as u64,
        }
    }

    fn or_more(self, other: Self) -> Self {
        Self {
            milter: self.milter.max(other.milter),
            collector: self.collector.max(other.collector),
            milter_descriptors: self.milter_descriptors.max(other.milter_descriptors),
            collector_descriptors: self.collector_descriptors.max(other.collector_descriptors),
            queue: self.queue.max(other.queue),
        }
    }

    /// Returns what grew since, with the figures, beyond what comes and goes.
    fn growth_since(self, earlier: Self) -> Vec<String> {
        let memory = |then: u64| then + then / 10 + 4 * 1024;
        let few = |then: u64| then + 16;
        let pairs = [
            (
                "memory of the milter, KiB",
                earlier.milter,
                self.milter,
                memory(earlier.milter),
            ),
            (
                "memory of the collector, KiB",
                earlier.collector,
                self.collector,
                memory(earlier.collector),
            ),
            (
                "descriptors of the milter",
                earlier.milter_descriptors,
                self.milter_descriptors,
                few(earlier.milter_descriptors),
            ),
            (
                "descriptors of the collector",
                earlier.collector_descriptors,
                self.collector_descriptors,
                few(earlier.collector_descriptors),
            ),
            ("queue", earlier.queue, self.queue, few(earlier.queue)),
        ];
        let grown = pairs.into_iter().filter(|(_, _, now, most)| now > most);
        grown
            .map(|(what, then, now, _)| format!("{what}: from {then} to {now}"))
            .collect()
    }
}

#[tokio::main]
async fn main() {
    let length: u64 = std::env::var("SOAK_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(20 * 60);
    let site = Site::with(Database::start_alone().await, |builder| {
        builder.set("classify.settle", "10s")
    })
    .await;
    for user in [ALICE, ANNA] {
        site.user(user).await;
    }
    site.says(BOB, Said::Yes).await;
    let milter = site.installation.start_milter().await;
    let collector = site.installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    println!(
        "{length} s, {RATE} messages and {} hits a second",
        RATE as usize * HITS
    );
    println!("   minute  messages     hits   milter: MB    fd   collector: MB    fd   queue");
    let begun = Instant::now();
    let (mut messages, mut hits, mut minute) = (0_u64, 0_u64, 0_u64);
    let mut urls: Vec<String> = Vec::new();
    // After a fifth of the time everything has been done that is done once.
    let (mut second_fifth, mut last_fifth) = (Held::default(), Held::default());
    let mut second = 0;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    while begun.elapsed() < Duration::from_secs(length) {
        tick.tick().await;
        let sender = if messages % 2 == 0 { ALICE } else { ANNA };
        let size = usize::try_from(messages % 7).unwrap() * 20_000;
        let message = Message::new(sender, BOB).attachment(&vec![7; size]).build();
        let reply = site
            .postfix
            .submit((sender, PASSWORD), &[BOB], &message)
            .await;
        assert_eq!(reply.code, 250, "{}", reply.text);
        messages += 1;
        while let Some(delivery) = site.sink.take() {
            let ours = site.artefacts(&delivery);
            urls.extend(ours.pixels.into_iter().chain(ours.links));
        }
        // Old ones too, but not for ever.
        let spare = urls.len().saturating_sub(1000);
        urls.drain(..spare);
        for step in 0..HITS {
            let Some(url) = urls.iter().rev().nth(step * 7 % urls.len().max(1)) else {
                break;
            };
            let status = visitor.get(url).await.status;
            assert!(status == 200 || status == 302, "{status}");
            hits += 1;
        }
        let elapsed = begun.elapsed().as_secs();
        if elapsed > second {
            second = elapsed;
            let held = Held::now(&site, &milter, &collector);
            match elapsed * 5 / length {
                1 => second_fifth = second_fifth.or_more(held),
                4.. => last_fifth = last_fifth.or_more(held),
                _ => {}
            }
        }
        if elapsed / 60 >= minute {
            report(&site, minute, messages, hits, &milter, &collector);
            minute += 1;
        }
    }
    site.postfix.wait_until_idle().await;
    report(&site, minute, messages, hits, &milter, &collector);

    judge(&site, hits, second_fifth, last_fifth).await;
}

/// Ends the run with status 1, and says why, if something is not as it must be.
async fn judge(site: &Site, hits: u64, second_fifth: Held, last_fifth: Held) {
    let counted = recorded(site, hits).await;
    println!(
        "{counted} hits recorded of {hits}; the most that was held in the second fifth of the time and in the last:"
    );
    println!("{second_fifth:?}\n{last_fifth:?}");
    let mut flaws = last_fifth.growth_since(second_fifth);
    if counted != hits {
        flaws.push(format!(
            "hits: {hits} were answered, {counted} are recorded"
        ));
    }
    if site.postfix.corrupt() > 0 {
        flaws.push("mail was damaged".into());
    }
    for flaw in &flaws {
        eprintln!("soak: {flaw}");
    }
    if !flaws.is_empty() {
        std::process::exit(1);
    }
}

/// Counts the hits that are recorded. Those that came while the database was slow may still be in the local log: they get a
/// minute.
async fn recorded(site: &Site, hits: u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let counted = site.database.count("SELECT count(*) FROM hits", &[]).await;
        let counted = counted.unsigned_abs();
        if counted >= hits || Instant::now() > deadline {
            return counted;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn report(
    site: &Site,
    minute: u64,
    messages: u64,
    hits: u64,
    milter: &Program,
    collector: &Program,
) {
    let held = Held::now(site, milter, collector);
    println!(
        "{minute:>9} {messages:>9} {hits:>8} {:>12} {:>5} {:>15} {:>5} {:>7}",
        held.milter / 1024,
        held.milter_descriptors,
        held.collector / 1024,
        held.collector_descriptors,
        held.queue
    );
}
