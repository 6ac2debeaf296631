// SPDX-License-Identifier: GPL-3.0-or-later
//! Bars that a benchmark sets itself: it fails where one is missed, and where one could not be measured.

use std::process::ExitCode;

/// The bars of one run.
#[derive(Debug, Default)]
pub struct Bars {
    met: usize,
    missed: Vec<String>,
    unmeasured: Vec<String>,
}

impl Bars {
    /// Judges a figure that may be so much and no more; returns the word for it.
    pub fn at_most(&mut self, what: &str, value: f64, bar: f64) -> &'static str {
        self.judge(value <= bar, || {
            format!("{what}: {value:.2}, at most {bar}")
        })
    }

    /// Judges a figure that must be so much or more; returns the word for it.
    pub fn at_least(&mut self, what: &str, value: f64, bar: f64) -> &'static str {
        self.judge(value >= bar, || {
            format!("{what}: {value:.2}, at least {bar}")
        })
    }

    /// Notes what could not be measured, and why.
    pub fn unmeasured(&mut self, what: &str) {
        self.unmeasured.push(what.to_owned());
    }

    /// Ends a run: says again what was missed and what was not measured. Fails if there is any of it, or nothing at all.
    pub fn end(self) -> ExitCode {
        println!();
        for what in &self.missed {
            println!("missed        {what}");
        }
        for what in &self.unmeasured {
            println!("not measured  {what}");
        }
        println!(
            "{} bars met, {} missed, {} not measured",
            self.met,
            self.missed.len(),
            self.unmeasured.len()
        );
        if self.is_success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn is_success(&self) -> bool {
        self.met > 0 && self.missed.is_empty() && self.unmeasured.is_empty()
    }

    fn judge(&mut self, is_met: bool, line: impl FnOnce() -> String) -> &'static str {
        if is_met {
            self.met += 1;
            "met"
        } else {
            self.missed.push(line());
            "MISSED"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_measured_and_met_is_a_success() {
        let mut bars = Bars::default();
        assert!(!bars.is_success());

        assert_eq!(bars.at_most("x", 1.0, 1.0), "met");
        assert_eq!(bars.at_least("y", 1.0, 1.0), "met");
        assert!(bars.is_success());

        bars.unmeasured("z: not installed");
        assert!(!bars.is_success());
        for value in [0.9, f64::NAN] {
            let mut bars = Bars::default();
            bars.at_most("x", 1.0, 1.0);
            assert_eq!(bars.at_least("y", value, 1.0), "MISSED");
            assert!(!bars.is_success());
        }
    }
}
