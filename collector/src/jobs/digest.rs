// SPDX-License-Identifier: GPL-3.0-or-later
//! Mails the daily summary, once a day, in each user's morning. Whichever collector takes a day on mails it; a day whose
//! mail was not taken is given back.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use common::db::{
    DbError, digests,
    notifications_feed::{self, Reading},
    users::User,
};

use crate::{mail::digest, state::State};

const PERIOD: Duration = Duration::from_secs(60);
/// Users that are looked at together.
const SOME: i64 = 500;
/// Notifications of a day that are looked at; a user with more reads the report.
const MOST: i64 = 500;

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
        let some = digests::wanted(after, SOME, &mut connection).await?;
        drop(connection);
        let Some((last, _)) = some.last() else {
            return Ok(());
        };
        after = Some((last.controller_id.clone(), last.id));
        for (user, had) in &some {
            let day = due(user, *had, state.config.mail.digest_hour, now);
            if let Some(day) = day {
                mail(state, user, day, now).await?;
            }
        }
    }
}

/// Returns the day, in the user's time zone, whose summary is due.
fn due(user: &User, had: Option<NaiveDate>, hour: u32, now: DateTime<Utc>) -> Option<NaiveDate> {
    let zone: Tz = user.time_zone.parse().unwrap_or(Tz::UTC);
    let local = now.with_timezone(&zone);
    let day = local.date_naive();
    (local.hour() >= hour && had.is_none_or(|had| had < day)).then_some(day)
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
    if !digests::claim(&controller_id, id, day, &mut connection).await? {
        return Ok(());
    }
    let since = now - TimeDelta::days(1);
    let totals = digests::totals(&controller_id, id, since, &mut connection).await?;
    let newest = Reading::Before(i64::MAX);
    let mut news =
        notifications_feed::read(&controller_id, id, newest, MOST, &mut connection).await?;
    drop(connection);
    news.retain(|row| row.at >= since);
    let Some(outgoing) = digest::write(user, controller, totals, &news, now) else {
        return Ok(());
    };
    if let Err(error) = state.mailer.send(outgoing).await {
        tracing::warn!("a summary was not mailed: {error}");
        let mut connection = state.db.get().await?;
        digests::release(&controller_id, id, day, &mut connection).await?;
    }
    Ok(())
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
}
