// SPDX-License-Identifier: GPL-3.0-or-later
//! Moments as programs and forms write them: RFC 3339.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

/// Writes a moment, in UTC and to the millisecond.
pub fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads a moment, or a date as its beginning in UTC.
pub fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let whole = DateTime::parse_from_rfc3339(text).ok();
    whole.map(|moment| moment.to_utc()).or_else(|| {
        let date: NaiveDate = text.parse().ok()?;
        Some(date.and_time(NaiveTime::MIN).and_utc())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_dates_are_read() {
        let noon: DateTime<Utc> = "2026-05-03T12:00:00Z".parse().unwrap();

        assert_eq!(read("2026-05-03T14:00:00+02:00"), Some(noon));
        assert_eq!(
            read(" 2026-05-03"),
            Some("2026-05-03T00:00:00Z".parse().unwrap())
        );
        assert_eq!(read("3 May"), None);
        assert_eq!(written(noon), "2026-05-03T12:00:00.000Z");
    }
}
