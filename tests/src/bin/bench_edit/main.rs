// SPDX-License-Identifier: GPL-3.0-or-later
//! What an edit costs, beside what it cannot be quicker than and beside others that change messages, in one run.
//!
//! CPU time, not time on the clock: of this process for what runs in it, of the children for the others. All contenders
//! take turns, several times, and the least of each counts: whatever else the machine does can only add. Times depend
//! on the machine; ratios hardly do.
//!
//! `bench_edit alone floor|limit|edit|checked SIZE ENCODING COUNT` runs one of them alone, for a profiler.

#![expect(clippy::unwrap_used, reason = "a benchmark ends where a step fails")]

mod limit;
mod memory;
mod messages;
mod peers;

use std::{hint::black_box, process::ExitCode, time::Duration};

use common::{config::Config, ids::MessageId, keys::KeyRing, language::Language};
use harness::bars::Bars;
use milter::{
    control::Links,
    instrument::{Plan, edit_unchecked, instrument},
    message::Message,
};
use nix::sys::resource::{UsageWho, getrusage};
use uuid::Uuid;

use self::{
    limit::Places,
    messages::{Encoding, Sample},
    peers::{Peer, Peers, Taken},
};

/// How often each contender has its turn.
const TURNS: usize = 9;

const SIZES: [(&str, usize); 3] = [("10 KB", 10_000), ("100 KB", 100_000), ("1 MB", 1_000_000)];

fn main() -> ExitCode {
    let mut bars = Bars::default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["memory", file] => {
            memory::tell(file);
            return ExitCode::SUCCESS;
        }
        ["alone", what, size, encoding, count] => {
            let sample = Sample::new(size.parse().unwrap(), Encoding::named(encoding).unwrap());
            let ours = Ours::new(&sample);
            for _ in 0..count.parse().unwrap() {
                match what {
                    "floor" => ours.limit(Places::LinksAndEnd),
                    "limit" => ours.limit(Places::All),
                    "edit" => ours.edit(),
                    _ => ours.checked(),
                }
            }
            return ExitCode::SUCCESS;
        }
        _ => {
            compare(&mut bars);
            memory::compare(&mut bars);
        }
    }
    bars.end()
}

fn compare(bars: &mut Bars) {
    let peers = Peers::find(bars);
    println!("CPU for each message, in microseconds, and ratios with their bars");
    for (name, size) in SIZES {
        for encoding in Encoding::ALL {
            let sample = Sample::new(size, encoding);
            let costs = Costs::measure(&sample, &peers);
            let title = format!("{name} {}", encoding.name());
            costs.print(&title, encoding, size, bars);
        }
    }
}

/// What runs in this process.
struct Ours<'a> {
    sample: &'a Sample,
    message: Message,
    config: Config,
    keys: KeyRing,
}

impl<'a> Ours<'a> {
    fn new(sample: &'a Sample) -> Self {
        Self {
            sample,
            message: Message::parse(&sample.raw),
            config: Config::for_testing(),
            keys: KeyRing::for_testing(),
        }
    }

    fn limit(&self, places: Places) {
        black_box(limit::edit(black_box(self.sample), places));
    }

    fn edit(&self) {
        black_box(edit_unchecked(black_box(&self.message), &self.plan()).unwrap());
    }

    fn checked(&self) {
        black_box(instrument(black_box(&self.message), &self.plan()).unwrap());
    }

    fn plan(&self) -> Plan<'_> {
        Plan {
            controller: self.config.controllers.first().unwrap(),
            controllers: &self.config.controllers,
            keys: &self.keys,
            language: Language::En,
            message: MessageId(Uuid::from_u128(7)),
            opens: true,
            links: Links::Html,
        }
    }
}

/// The least of each contender, in microseconds.
struct Costs {
    /// The limit, with links and the end of the body alone.
    floor: f64,
    limit: f64,
    edit: f64,
    checked: f64,
    peers: Vec<(Peer, Taken)>,
}

impl Costs {
    fn measure(sample: &Sample, peers: &Peers) -> Self {
        let ours = Ours::new(sample);
        let mut costs = Self {
            floor: f64::INFINITY,
            limit: f64::INFINITY,
            edit: f64::INFINITY,
            checked: f64::INFINITY,
            peers: peers.here().map(|peer| (peer, Taken::WORST)).collect(),
        };
        // About twenty milliseconds a turn, as short times are not counted exactly.
        let count = (10_000_000 / sample.raw.len()).clamp(10, 500);
        for _ in 0..TURNS {
            let least = |cost: &mut f64, run: &dyn Fn()| {
                let taken = time_of(UsageWho::RUSAGE_SELF, || (0..count).for_each(|_| run()));
                *cost = cost.min(micros(taken) / count as f64);
            };
            least(&mut costs.floor, &|| ours.limit(Places::LinksAndEnd));
            least(&mut costs.limit, &|| ours.limit(Places::All));
            least(&mut costs.edit, &|| ours.edit());
            least(&mut costs.checked, &|| ours.checked());
            for (peer, taken) in &mut costs.peers {
                *taken = taken.least(peers.measure(*peer, sample));
            }
        }
        costs
    }

    fn print(&self, title: &str, encoding: Encoding, size: usize, bars: &mut Bars) {
        println!("\n{title}");
        let row = |name: &str, cost: f64, rest: &str| println!("  {name:40} {cost:10.1}   {rest}");
        let (bar, what) = match encoding {
            Encoding::EightBit => (1.3, "locate, copy"),
            Encoding::Base64 | Encoding::QuotedPrintable => (1.5, "decode, locate, copy, encode"),
        };
        row(
            &format!("{what}: links and end alone"),
            self.floor,
            &format!("the edit takes {:.2} of it", self.edit / self.floor),
        );
        row(&format!("the limit: {what}"), self.limit, "");
        row(
            "edit",
            self.edit,
            &verdict(bars, title, self.edit / self.limit, bar, "the limit"),
        );
        let share = (self.checked - self.edit) / self.checked * 100.0;
        row(
            "edit and self-check",
            self.checked,
            &format!("the check {share:.0} %"),
        );
        for (peer, taken) in &self.peers {
            let cost = micros(taken.each());
            let ratio = self.checked / cost;
            // Larger messages have no bar.
            let rest = if size > 100_000 {
                format!("we take {ratio:.2} of it")
            } else {
                let what = format!("{}, with check", peer.name());
                verdict(bars, title, ratio, peer.bar(), &what)
            };
            row(peer.name(), cost, &rest);
        }
    }
}

fn verdict(bars: &mut Bars, title: &str, ratio: f64, bar: f64, what: &str) -> String {
    let word = bars.at_most(&format!("{title}, of {what}"), ratio, bar);
    format!("{ratio:.2} of {what}, at most {bar}: {word}")
}

/// Returns the CPU time that something takes.
fn time_of(who: UsageWho, run: impl FnOnce()) -> Duration {
    let used = || {
        let usage = getrusage(who).unwrap();
        let (user, system) = (usage.user_time(), usage.system_time());
        let micros =
            (user.tv_sec() + system.tv_sec()) * 1_000_000 + (user.tv_usec() + system.tv_usec());
        Duration::from_micros(micros.try_into().unwrap())
    };
    let before = used();
    run();
    used().saturating_sub(before)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
