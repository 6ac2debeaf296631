// SPDX-License-Identifier: GPL-3.0-or-later
//! Soak: twenty minutes of mail and hits at a rate that the machine holds. Prints memory, descriptors and queue each
//! minute; ends with status 1 if memory or descriptors grew, or if mail stayed in the queue. `SOAK_SECONDS` shortens it.

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

/// What a program holds.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// In KiB.
    memory: u64,
    descriptors: usize,
}

impl Held {
    fn by(program: &Program) -> Self {
        Self {
            memory: Family::of(program.id()).resident(),
            descriptors: fs::read_dir(format!("/proc/{}/fd", program.id()))
                .unwrap()
                .count(),
        }
    }

    /// Growth that is more than what comes and goes.
    fn has_grown_since(self, earlier: Self) -> bool {
        self.memory > earlier.memory * 5 / 4 + 16 * 1024
            || self.descriptors > earlier.descriptors + 32
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
    let mut warm = None;
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
        if warm.is_none() && elapsed >= length / 5 {
            warm = Some((Held::by(&milter), Held::by(&collector)));
        }
        if elapsed / 60 >= minute {
            report(&site, minute, messages, hits, &milter, &collector);
            minute += 1;
        }
    }
    site.postfix.wait_until_idle().await;
    report(&site, minute, messages, hits, &milter, &collector);

    let (milter_then, collector_then) = warm.unwrap();
    let counted = site.database.count("SELECT count(*) FROM hits", &[]).await;
    println!("{counted} hits recorded of {hits}; after a fifth of the time and at the end:");
    println!("milter    {milter_then:?}  {:?}", Held::by(&milter));
    println!("collector {collector_then:?}  {:?}", Held::by(&collector));
    let grew = Held::by(&milter).has_grown_since(milter_then)
        || Held::by(&collector).has_grown_since(collector_then);
    if grew || site.postfix.corrupt() > 0 {
        eprintln!("soak: memory or descriptors grew, or mail was damaged");
        std::process::exit(1);
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
    let (m, c) = (Held::by(milter), Held::by(collector));
    println!(
        "{minute:>9} {messages:>9} {hits:>8} {:>12} {:>5} {:>15} {:>5} {:>7}",
        m.memory / 1024,
        m.descriptors,
        c.memory / 1024,
        c.descriptors,
        site.postfix.waiting()
    );
}
