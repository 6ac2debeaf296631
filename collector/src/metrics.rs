// SPDX-License-Identifier: GPL-3.0-or-later
//! What is counted, and how it is shown: the text format that Prometheus reads.
//!
//! Numbers only: nothing here names a message, a user or a recipient.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Everything that is counted since the program started.
#[derive(Default)]
pub struct Metrics {
    pixels: Counter,
    links: Counter,
    forged: Counter,
    recorded: Counter,
    dropped: [Counter; Dropped::ALL.len()],
    batches: Counter,
    batch_hits: Counter,
    batch_failures: Counter,
    batch_nanos: Counter,
    /// Hits that went to the local log because the database was slow or away.
    pub logged: Counter,
    /// Hits that were read back from the log and handed to the database.
    pub replayed: Counter,
    /// Hits that could be kept nowhere, or not be read back.
    pub lost: Counter,
    /// Answers that went out before their hit was known to be safe.
    pub overdue: Counter,
    /// Hits that wait for the next batch.
    pub gathering: Counter,
    /// 1 while the local log takes no hits, because its disk or its size limit is full.
    pub log_failing: Counter,
    /// Octets in the local log.
    pub log_octets: Counter,
    /// Files of the log with a torn end, as after a kill.
    pub log_torn: Counter,
    verdicts: [Counter; CLASSES.len()],
    /// Notifications made.
    pub notified: Counter,
}

/// A number that goes up, or, for what is held now, up and down.
#[derive(Default)]
pub struct Counter(AtomicU64);

/// Why an answered hit was not recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dropped {
    /// Too many hits on one message.
    Flood,
    /// HEAD asks for no content: nobody saw anything.
    Head,
    /// The message was not instrumented for this.
    NotInstrumented,
    /// The browser says that its user objects (`Sec-GPC`, `DNT`).
    OptOut,
    /// The browser says that nobody looks yet.
    Prefetch,
    /// A recipient ended the recording of this message.
    Stopped,
    /// After the recording window.
    TooLate,
    /// No such message, or no longer.
    Unknown,
    /// Consent does not cover it.
    Untracked,
}

/// The classes by which verdicts are counted.
const CLASSES: [&str; 8] = [
    "duplicate",
    "human",
    "image-proxy-on-open",
    "link-preview",
    "machine-prefetch",
    "security-scanner",
    "self",
    "unknown",
];

impl Metrics {
    /// Counts an answered pixel.
    pub fn pixel(&self) {
        self.pixels.add(1);
    }

    /// Counts an answered link.
    pub fn link(&self) {
        self.links.add(1);
    }

    /// Counts a link whose signature was wrong.
    pub fn forged(&self) {
        self.forged.add(1);
    }

    /// Counts recorded hits.
    pub fn recorded(&self, hits: usize) {
        self.recorded.add(widen(hits));
    }

    /// Counts a hit that was answered and not recorded.
    pub fn dropped(&self, reason: Dropped) {
        for (place, counter) in Dropped::ALL.iter().zip(&self.dropped) {
            if *place == reason {
                counter.add(1);
            }
        }
    }

    /// Counts a batch that the database took.
    pub fn batch(&self, hits: usize, took: Duration) {
        self.batches.add(1);
        self.batch_hits.add(widen(hits));
        self.batch_nanos
            .add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts a batch that the database did not take in time.
    pub fn batch_failed(&self) {
        self.batch_failures.add(1);
    }

    /// Counts a settled verdict.
    pub fn verdict(&self, class: &str) {
        for (name, counter) in CLASSES.iter().zip(&self.verdicts) {
            if *name == class {
                counter.add(1);
            }
        }
    }

    /// Writes everything down in the text format of Prometheus.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(4096);
        self.render_labelled(&mut text);
        for (name, kind, help, value) in self.plain() {
            let name = format!("fairtrack_{name}");
            family(&mut text, &name, kind, help);
            sample(&mut text, &name, value);
        }
        let name = "fairtrack_batch_seconds_total";
        family(
            &mut text,
            name,
            COUNTER,
            "Time that the database took for batches",
        );
        let took = Duration::from_nanos(self.batch_nanos.value());
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{name} {}", took.as_secs_f64());
        text
    }

    fn render_labelled(&self, text: &mut String) {
        let answers = [
            ("click", &self.links),
            ("forged", &self.forged),
            ("open", &self.pixels),
        ];
        let name = "fairtrack_answers_total";
        family(text, name, COUNTER, "Answers, by what was asked for");
        for (kind, counter) in answers {
            sample(text, &format!("{name}{{kind=\"{kind}\"}}"), counter);
        }
        let name = "fairtrack_hits_dropped_total";
        family(
            text,
            name,
            COUNTER,
            "Hits answered and not recorded, by reason",
        );
        for (reason, counter) in Dropped::ALL.iter().zip(&self.dropped) {
            let reason = reason.code();
            sample(text, &format!("{name}{{reason=\"{reason}\"}}"), counter);
        }
        let name = "fairtrack_verdicts_total";
        family(text, name, COUNTER, "Settled verdicts, by class");
        for (class, counter) in CLASSES.iter().zip(&self.verdicts) {
            sample(text, &format!("{name}{{class=\"{class}\"}}"), counter);
        }
    }

    #[rustfmt::skip]
    fn plain(&self) -> [(&'static str, &'static str, &'static str, &Counter); 13] {
        [
            ("answers_overdue_total", COUNTER, "Answers that did not wait for their hit", &self.overdue),
            ("batch_failures_total", COUNTER, "Batches that the database did not take in time", &self.batch_failures),
            ("batch_hits_total", COUNTER, "Hits in the batches that the database took", &self.batch_hits),
            ("batches_total", COUNTER, "Batches that the database took", &self.batches),
            ("hit_log_failing", GAUGE, "Whether the local log took no hit when it was last tried", &self.log_failing),
            ("hit_log_octets", GAUGE, "Octets in the local log", &self.log_octets),
            ("hit_log_torn_total", COUNTER, "Torn ends of local log files", &self.log_torn),
            ("hits_gathering", GAUGE, "Hits that wait for the next batch", &self.gathering),
            ("hits_logged_total", COUNTER, "Hits handed to the local log", &self.logged),
            ("hits_lost_total", COUNTER, "Hits that could be kept nowhere, or not be read back from the local log", &self.lost),
            ("hits_recorded_total", COUNTER, "Hits recorded", &self.recorded),
            ("hits_replayed_total", COUNTER, "Hits read back from the local log", &self.replayed),
            ("notifications_total", COUNTER, "Notifications made", &self.notified),
        ]
    }
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

impl Counter {
    /// Adds to the number.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// Takes away from the number: for what is held now.
    pub fn subtract(&self, amount: u64) {
        self.0.fetch_sub(amount, Relaxed);
    }

    /// Sets the number: for what is held now.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Returns the number.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Dropped {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Flood,
        Self::Head,
        Self::NotInstrumented,
        Self::OptOut,
        Self::Prefetch,
        Self::Stopped,
        Self::TooLate,
        Self::Unknown,
        Self::Untracked,
    ];

    /// Returns the word in metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Head => "head",
            Self::NotInstrumented => "not-instrumented",
            Self::OptOut => "opt-out",
            Self::Prefetch => "prefetch",
            Self::Stopped => "stopped",
            Self::TooLate => "too-late",
            Self::Unknown => "unknown",
            Self::Untracked => "untracked",
        }
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _infallible = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn sample(text: &mut String, name: &str, counter: &Counter) {
    let _infallible = writeln!(text, "{name} {}", counter.value());
}

fn widen(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_in_its_own_line() {
        let metrics = Metrics::default();

        metrics.dropped(Dropped::Prefetch);
        metrics.dropped(Dropped::Prefetch);

        let text = metrics.render();
        assert!(
            text.contains("fairtrack_hits_dropped_total{reason=\"prefetch\"} 2\n"),
            "{text}"
        );
        assert!(
            text.contains("fairtrack_hits_dropped_total{reason=\"flood\"} 0\n"),
            "{text}"
        );
    }
}
