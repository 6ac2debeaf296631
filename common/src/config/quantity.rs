// SPDX-License-Identifier: GPL-3.0-or-later
//! Durations such as `1500ms 10s 5m 2h 90d 3y` and sizes such as `512KB 25MB`, as written in the configuration.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// A length of time. A year has 365 days.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Period(pub Duration);

/// A number of octets. `KB` and `MB` are powers of ten, as mail servers count them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size(pub usize);

impl Period {
    /// Makes a period of whole days.
    pub const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * 86_400))
    }

    /// Makes a period of milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Makes a period of seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Parses a number with a unit.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
        let duration = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3_600),
            "d" => seconds(86_400),
            "y" => seconds(365 * 86_400),
            _ => None,
        }?;
        // A hundred years: beyond it the calendar arithmetic of databases and libraries is no longer sure.
        (duration <= Duration::from_secs(100 * 365 * 86_400)).then_some(Self(duration))
    }

    /// Returns the period as the signed type that calendar arithmetic takes.
    pub fn delta(self) -> chrono::TimeDelta {
        chrono::TimeDelta::from_std(self.0).expect("a period is at most a hundred years")
    }
}

impl Size {
    /// Parses a number with a unit.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let factor: u64 = match unit {
            "B" => 1,
            "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return None,
        };
        number.checked_mul(factor)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, length) in [
            ("y", 31_536_000_000),
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
        ] {
            if millis >= length && millis.is_multiple_of(length) {
                return write!(f, "{}{unit}", millis / length);
            }
        }
        write!(f, "{millis}ms")
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "invalid duration \"{text}\" (such as 10s, 5m, 2h, 90d, 3y)"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("invalid size \"{text}\" (such as 512KB, 25MB)"))
        })
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown_alike() {
        for text in ["150ms", "10s", "5m", "2h", "90d", "3y"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 parsecs",
            "99999999999999999999s",
            "101y",
        ] {
            assert!(Period::parse(text).is_none(), "{text:?}");
        }
        for text in ["", "10", "MB", "1KiB", "99999999999999999999GB"] {
            assert!(Size::parse(text).is_none(), "{text:?}");
        }
    }
}
