// SPDX-License-Identifier: GPL-3.0-or-later
//! Mails the daily summary, once a day, in each user's morning. Whichever collector takes a day on mails it.
//!
//! Design note: a summary begins where the one before ended and ends with the user's yesterday, so that every hour is told
//! once, whatever clocks and collectors do meanwhile; `told_until` moves when the mail server has taken the mail, and not
//! before. What cannot be mailed is tried again ever more seldom until the day is over, and what the server refuses for
//! good is given up until the next day, whose summary then begins earlier.

use std::time::Duration;

use chrono::{
    DateTime, Days, DurationRound, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use common::db::{
    DbError,
    digests::{self, Claimed},
    notifications_feed::{self, Reading},
    users::User,
};
use futures_util::{StreamExt, stream};

use crate::{
    mail::{
        MailError,
        digest::{self, Span},
    },
    state::State,
};

const PERIOD: Duration = Duration::from_secs(60);
/// Users that are looked at together.
const SOME: i64 = 500;
/// Summaries that are mailed at once, so that one mailbox whose server takes its time keeps no others waiting.
const AT_ONCE: usize = 4;
/// Notifications of a day that are looked at; a user with more reads the report.
const MOST: i64 = 500;
/// Longer than an attempt takes: then whoever took a day on has died.
const CLAIM: TimeDelta = TimeDelta::minutes(10);
/// The pause after the first attempt that failed; each further one is twice as long.
const PAUSE: TimeDelta = TimeDelta::minutes(5);
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(2);
/// What is so young may not have a settled verdict yet.
const UNSETTLED: TimeDelta = TimeDelta::hours(1);
/// A summary reaches no further back than this, however long none was mailed.
const FURTHEST: TimeDelta = TimeDelta::days(7);

/// Mails what is due, every minute.
pub(super) async fn run(state: State) {
    loop {
        if let Err(error) = mail_due(&state, Utc::now()).await {
            tracing::warn!("summaries are put off: {error}");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn mail_due(state: &State, now: DateTime<Utc>) -> Result<(), DbError> {
    let mut after = None;
    loop {
        let mut connection = state.db.get().await?;
        let some = digests::wanted(after, SOME, now, &mut connection).await?;
        drop(connection);
        let Some((last, _)) = some.last() else {
            return Ok(());
        };
        after = Some((last.controller_id.clone(), last.id));
        let due = some.iter().filter_map(|(user, had)| {
            let day = due(user, *had, state.config.mail.digest_hour, now)?;
            Some((user, day))
        });
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, |(user, day)| async move {
                if let Err(error) = mail(state, user, day, now).await {
                    tracing::warn!("a summary is put off: {error}");
                }
            })
            .await;
    }
}

/// Returns the day, in the user's time zone, whose summary is due.
fn due(user: &User, had: Option<NaiveDate>, hour: u32, now: DateTime<Utc>) -> Option<NaiveDate> {
    let local = now.with_timezone(&zone(user));
    let day = local.date_naive();
    (local.hour() >= hour && had.is_none_or(|had| had < day)).then_some(day)
}

/// Returns what the summary of a day tells of: from where the one before ended to the beginning of the day.
fn span(told_until: Option<DateTime<Utc>>, day: NaiveDate, zone: Tz, now: DateTime<Utc>) -> Span {
    // Hits are counted by the hour, so an hour that is not over, or not settled, is left for the next summary.
    let settled = now - UNSETTLED;
    let settled = settled
        .duration_trunc(TimeDelta::hours(1))
        .unwrap_or(settled);
    let until = start_of(day, zone).min(settled);
    let since = told_until.unwrap_or_else(|| {
        let yesterday = day.checked_sub_days(Days::new(1)).unwrap_or(day);
        start_of(yesterday, zone)
    });
    let since = since.max(until - FURTHEST);
    Span {
        since,
        // Whoever moved west was told of some of it already.
        until: until.max(since),
    }
}

/// Returns when a day begins. Where clocks go forward at midnight, that is an hour later.
fn start_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    [midnight, midnight + TimeDelta::hours(1)]
        .iter()
        .find_map(|local| zone.from_local_datetime(local).earliest())
        .map_or_else(|| midnight.and_utc(), |local| local.to_utc())
}

async fn mail(
    state: &State,
    user: &User,
    day: NaiveDate,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let (controller_id, id) = (user.controller(), user.user_id());
    let Some(controller) = state.config.controller(&controller_id) else {
        return Ok(());
    };
    let mut connection = state.db.get().await?;
    let claimed =
        digests::claim(&controller_id, id, day, now, now + CLAIM, &mut connection).await?;
    let Some(claimed) = claimed else {
        return Ok(());
    };
    let span = span(claimed.told_until, day, zone(user), now);
    let Span { since, until } = span;
    let totals = digests::totals(&controller_id, id, since, until, &mut connection).await?;
    let within = Reading::Within(since, until);
    let news = notifications_feed::read(&controller_id, id, within, MOST, &mut connection).await?;
    drop(connection);
    let outcome = match digest::write(user, controller, totals, &news, span, now) {
        Some(outgoing) => state.mailer.send(outgoing).await,
        None => Ok(()),
    };
    let mut connection = state.db.get().await?;
    match outcome {
        Ok(()) => digests::finish(&controller_id, id, day, Some(until), &mut connection).await?,
        Err(error) => {
            tracing::warn!("a summary was not mailed: {error}");
            let next = next_attempt(&error, claimed, now);
            match next {
                Some(next) => digests::put_off(&controller_id, id, next, &mut connection).await?,
                None => {
                    let told = claimed.told_until;
                    digests::finish(&controller_id, id, day, told, &mut connection).await?
                }
            }
        }
    };
    Ok(())
}

/// Returns when to try again; `None` where that is of no use.
fn next_attempt(error: &MailError, claimed: Claimed, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let doubled = 1_i32.checked_shl(u32::try_from(claimed.failures.clamp(0, 10)).ok()?)?;
    (!error.is_permanent()).then(|| now + (PAUSE * doubled).min(LONGEST_PAUSE))
}

fn zone(user: &User) -> Tz {
    user.time_zone.parse().unwrap_or(Tz::UTC)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(zone: &str) -> User {
        User {
            controller_id: "example".into(),
            id: Uuid::nil(),
            login: "anna@example.com".into(),
            display_name: None,
            enabled: true,
            is_admin: false,
            opens: true,
            links: true,
            text_links: false,
            notifications: "all".into(),
            digest: "daily".into(),
            remember_choice: true,
            language: None,
            time_zone: zone.into(),
        }
    }

    #[test]
    fn day_begins_where_the_user_lives() {
        let evening: DateTime<Utc> = "2026-11-24T22:30:00Z".parse().unwrap();
        let day = |text: &str| Some(text.parse::<NaiveDate>().unwrap());

        assert_eq!(
            due(&user("Europe/Warsaw"), None, 7, evening),
            day("2026-11-24")
        );
        assert_eq!(
            due(&user("Asia/Tokyo"), None, 7, evening),
            day("2026-11-25")
        );
        assert_eq!(due(&user("Asia/Kolkata"), None, 7, evening), None);
    }

    #[test]
    fn one_day_has_one_summary() {
        let noon: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let (today, yesterday) = ("2026-11-24".parse().ok(), "2026-11-23".parse().ok());

        assert_eq!(due(&user("UTC"), today, 7, noon), None);
        assert_eq!(due(&user("UTC"), yesterday, 7, noon), today);
    }

    #[test]
    fn every_moment_is_told_once_whatever_the_clocks_do() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        // Summer time, half and three quarters of an hour, a day that begins at one, and a move halfway round the world.
        for zones in [
            ["Europe/Warsaw"; 2],
            ["Asia/Kolkata"; 2],
            ["Asia/Kathmandu"; 2],
            ["America/Santiago"; 2],
            ["Pacific/Kiritimati", "Pacific/Pago_Pago"],
        ] {
            let mut told = None;
            let mut had = None;
            // Every ten minutes of a year and a bit, in which both collectors rest for two days.
            let start: DateTime<Utc> = "2026-01-05T00:00:00Z".parse().unwrap();
            let mut mailed = 0;
            for step in 0..58_000 {
                let now = start + TimeDelta::minutes(10 * step);
                let [first, second] = zones;
                let user = user(if step < 29_000 { first } else { second });
                if (20_000..20_288).contains(&step) {
                    continue;
                }
                let Some(day) = due(&user, had, 7, now) else {
                    continue;
                };
                let span = span(told, day, zone(&user), now);
                if let Some(told) = told {
                    assert_eq!(span.since, told, "{zones:?} on {day}");
                }
                let hours = (span.until - span.since).num_hours();
                assert!((0..=73).contains(&hours), "{zones:?} on {day}: {hours} h");
                assert!(span.until <= now - TimeDelta::hours(1));
                told = Some(span.until);
                had = Some(day);
                mailed += 1;
            }
            assert!(mailed > 395, "{zones:?}: {mailed}");
        }
        assert_eq!(
            start_of(day("2026-09-06"), Tz::America__Santiago).to_rfc3339(),
            "2026-09-06T04:00:00+00:00"
        );
    }

    #[test]
    fn summary_of_a_day_is_yesterday_and_never_more_than_a_week() {
        let now: DateTime<Utc> = "2026-11-24T06:00:00Z".parse().unwrap();
        let today = "2026-11-24".parse().unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();

        let first = span(None, today, Tz::Europe__Warsaw, now);
        let late = span(
            Some(at("2026-01-01T00:00:00Z")),
            today,
            Tz::Europe__Warsaw,
            now,
        );
        let at_midnight = span(None, today, Tz::Europe__Warsaw, at("2026-11-23T23:05:00Z"));

        assert_eq!(
            (first.since, first.until),
            (at("2026-11-22T23:00:00Z"), at("2026-11-23T23:00:00Z"))
        );
        assert_eq!(late.until - late.since, FURTHEST);
        assert_eq!(at_midnight.until, at("2026-11-23T22:00:00Z"));
    }

    #[test]
    fn attempts_grow_rare_and_end_where_they_are_of_no_use() {
        let now: DateTime<Utc> = "2026-11-24T06:00:00Z".parse().unwrap();
        let claimed = |failures| Claimed {
            told_until: None,
            failures,
        };
        let busy = MailError::Server("smtp://nowhere".into());

        let pauses: Vec<i64> = [0, 1, 5, i16::MAX]
            .into_iter()
            .filter_map(|failures| next_attempt(&busy, claimed(failures), now))
            .map(|next| (next - now).num_minutes())
            .collect();

        assert_eq!(pauses, [5, 10, 120, 120]);
        assert_eq!(next_attempt(&MailError::Address, claimed(0), now), None);
    }
}
