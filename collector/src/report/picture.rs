// SPDX-License-Identifier: GPL-3.0-or-later
//! What the picture on the report page is drawn from: days, shares, and the best hour of the week.

use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use common::db::report::{Hour, Totals};

/// What was seen on one day of the user's calendar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Day {
    pub date: NaiveDate,
    pub opens: u32,
    pub clicks: u32,
    pub automatic: u32,
}

/// The share of instrumented messages that people opened, in percent, as an honest range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share {
    /// Likely people were seen.
    pub least: u32,
    /// If every message on which only machines or nobody knows who were seen was read as well.
    pub most: u32,
    pub tracked: i64,
}

/// The hour of the week in which most was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BestHour {
    pub weekday: Weekday,
    pub hour: u32,
    /// How many opens and clicks it had, of how many.
    pub seen: u32,
    pub of: u32,
}

/// An hour is not called the best one before so much was seen.
const ENOUGH: u32 = 20;

/// Sorts hours into the last days of the user's calendar, the earliest first; days without anything are there too.
pub fn days(hours: &[Hour], zone: Tz, now: DateTime<Utc>, count: u32) -> Vec<Day> {
    let today = now.with_timezone(&zone).date_naive();
    let first = today
        .checked_sub_days(Days::new(u64::from(count.saturating_sub(1))))
        .unwrap_or(today);
    let mut days: Vec<Day> = first
        .iter_days()
        .take(count as usize)
        .map(|date| Day {
            date,
            opens: 0,
            clicks: 0,
            automatic: 0,
        })
        .collect();
    for hour in hours {
        let date = hour.hour.with_timezone(&zone).date_naive();
        let place = usize::try_from((date - first).num_days());
        if let Some(day) = place.ok().and_then(|place| days.get_mut(place)) {
            day.opens += count_of(hour.opens);
            day.clicks += count_of(hour.clicks);
            day.automatic += count_of(hour.automatic);
        }
    }
    days
}

/// Works out the range; `None` without an instrumented message.
pub fn share(totals: Totals) -> Option<Share> {
    if totals.tracked <= 0 {
        return None;
    }
    let percent = |part: i64| {
        let part = part.clamp(0, totals.tracked);
        u32::try_from((part * 100 + totals.tracked / 2) / totals.tracked).unwrap_or(100)
    };
    Some(Share {
        least: percent(totals.people),
        most: percent(totals.people + totals.doubtful),
        tracked: totals.tracked,
    })
}

/// Finds the hour of the week with most opens and clicks; `None` where too little was seen to say.
pub fn best_hour(hours: &[Hour], zone: Tz) -> Option<BestHour> {
    let mut week = [[0_u32; 24]; 7];
    let mut of = 0;
    for hour in hours {
        let local = hour.hour.with_timezone(&zone);
        let seen = count_of(hour.opens) + count_of(hour.clicks);
        of += seen;
        let cell = week
            .get_mut(local.weekday().num_days_from_monday() as usize)
            .and_then(|day| day.get_mut(local.hour() as usize));
        if let Some(cell) = cell {
            *cell += seen;
        }
    }
    if of < ENOUGH {
        return None;
    }
    let (weekday, hour, seen) = week
        .iter()
        .zip(0_u8..)
        .flat_map(|(day, weekday)| {
            day.iter()
                .zip(0_u32..)
                .map(move |(seen, hour)| (weekday, hour, *seen))
        })
        // Of two that are equal, the earlier one.
        .max_by_key(|(weekday, hour, seen)| (*seen, u32::from(7 - weekday), 24 - hour))?;
    Some(BestHour {
        weekday: Weekday::try_from(weekday).ok()?,
        hour,
        seen,
        of,
    })
}

fn count_of(counter: i32) -> u32 {
    u32::try_from(counter).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(text: &str, opens: i32, clicks: i32) -> Hour {
        Hour {
            hour: text.parse().unwrap(),
            opens,
            clicks,
            automatic: 1,
        }
    }

    #[test]
    fn days_are_those_of_the_users_calendar() {
        let now = "2026-11-24T15:00:00Z".parse().unwrap();
        let hours = [
            hour("2026-11-23T22:00:00Z", 1, 0),
            hour("2026-11-23T23:00:00Z", 2, 1),
            hour("2026-11-01T10:00:00Z", 9, 9),
        ];

        let days = days(&hours, chrono_tz::Europe::Warsaw, now, 3);

        let opens: Vec<u32> = days.iter().map(|day| day.opens).collect();
        assert_eq!(opens, [0, 1, 2]);
        assert_eq!(days[2].date, "2026-11-24".parse().unwrap());
    }

    #[test]
    fn share_is_a_range() {
        let totals = Totals {
            sent: 20,
            tracked: 13,
            people: 4,
            doubtful: 3,
        };

        let share = share(totals).unwrap();

        assert_eq!((share.least, share.most), (31, 54));
        assert_eq!(super::share(Totals::default()), None);
    }

    #[test]
    fn best_hour_needs_enough_to_be_named() {
        let few = [hour("2026-11-24T09:00:00Z", 19, 0)];
        let many = [
            hour("2026-11-17T09:00:00Z", 8, 4),
            hour("2026-11-24T09:00:00Z", 2, 1),
            hour("2026-11-20T14:00:00Z", 9, 0),
        ];

        let best = best_hour(&many, chrono_tz::Europe::Berlin).unwrap();

        assert_eq!(best_hour(&few, chrono_tz::UTC), None);
        assert_eq!((best.weekday, best.hour), (Weekday::Tue, 10));
        assert_eq!((best.seen, best.of), (15, 24));
    }
}
