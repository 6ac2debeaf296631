// SPDX-License-Identifier: GPL-3.0-or-later
//! `notifications`, as the user reads them; whoever settles verdicts writes them. What is about a message that a recipient
//! has frozen is not shown.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    links::tracked_links,
    schema::{messages, notifications},
};
use crate::ids::{ControllerId, UserId};

/// A notification, with the words of its message that make a line of text.
#[derive(Clone, Debug, Queryable)]
pub struct Notification {
    pub id: i64,
    pub message_id: Option<Uuid>,
    /// `first-open`, `first-click`, `repeat-open` or `warning`.
    pub kind: String,
    pub detail: Option<String>,
    pub at: DateTime<Utc>,
    pub read_at: Option<DateTime<Utc>>,
    /// The message's subject.
    pub subject: Option<String>,
    /// The visible text and the host of the link that was followed.
    pub label: Option<String>,
    pub host: Option<String>,
}

/// Which way to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// Those after this one, the oldest first.
    After(i64),
    /// Those before this one, the newest first.
    Before(i64),
    /// Those of a span of time, the newest first.
    Within(DateTime<Utc>, DateTime<Utc>),
}

/// Returns notifications of a user.
pub async fn read(
    controller: &ControllerId,
    user: UserId,
    reading: Reading,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Notification>> {
    let query = notifications::table
        .left_join(
            messages::table.on(messages::controller_id
                .eq(notifications::controller_id)
                .and(notifications::message_id.eq(messages::id.nullable()))),
        )
        .left_join(
            tracked_links::table.on(tracked_links::controller_id
                .eq(notifications::controller_id)
                .and(notifications::message_id.eq(tracked_links::message_id.nullable()))
                .and(notifications::ordinal.eq(tracked_links::ordinal.nullable()))),
        )
        .filter(
            notifications::controller_id
                .eq(controller.as_str())
                .and(notifications::user_id.eq(user.0))
                .and(messages::frozen.nullable().is_distinct_from(true)),
        )
        .select((
            notifications::id,
            notifications::message_id,
            notifications::kind,
            notifications::detail,
            notifications::at,
            notifications::read_at,
            messages::subject.nullable(),
            tracked_links::label.nullable(),
            tracked_links::host.nullable(),
        ))
        .limit(limit);
    match reading {
        Reading::After(id) => {
            query
                .filter(notifications::id.gt(id))
                .order(notifications::id.asc())
                .load(connection)
                .await
        }
        Reading::Before(id) => {
            query
                .filter(notifications::id.lt(id))
                .order(notifications::id.desc())
                .load(connection)
                .await
        }
        Reading::Within(since, until) => {
            query
                .filter(notifications::at.ge(since))
                .filter(notifications::at.lt(until))
                .order((notifications::at.desc(), notifications::id.desc()))
                .load(connection)
                .await
        }
    }
}

/// Returns one notification of a user.
pub async fn one(
    controller: &ControllerId,
    user: UserId,
    id: i64,
    connection: &mut Connection,
) -> QueryResult<Option<Notification>> {
    let next = Reading::After(id - 1);
    let found = read(controller, user, next, 1, connection).await?;
    Ok(found.into_iter().find(|row| row.id == id))
}

/// Returns how many a user has not read, counting no further than a thousand.
pub async fn unread(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<i64> {
    let frozen = messages::table
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::user_id.eq(user.0))
                .and(messages::frozen),
        )
        .select(messages::id.nullable());
    let some: Vec<i64> = notifications::table
        .filter(
            notifications::controller_id
                .eq(controller.as_str())
                .and(notifications::user_id.eq(user.0))
                .and(notifications::read_at.is_null())
                .and(
                    notifications::message_id
                        .is_null()
                        .or(notifications::message_id.ne_all(frozen)),
                ),
        )
        .select(notifications::id)
        .limit(1000)
        .load(connection)
        .await?;
    Ok(i64::try_from(some.len()).unwrap_or(1000))
}

/// Returns the number of the newest notification of a user, 0 if there is none.
pub async fn newest(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<i64> {
    let newest: Option<i64> = notifications::table
        .filter(
            notifications::controller_id
                .eq(controller.as_str())
                .and(notifications::user_id.eq(user.0)),
        )
        .select(diesel::dsl::max(notifications::id))
        .first(connection)
        .await?;
    Ok(newest.unwrap_or(0))
}

/// Marks as read what a user has up to this one, and returns how many were new.
pub async fn mark_read(
    controller: &ControllerId,
    user: UserId,
    up_to: i64,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::update(notifications::table)
        .filter(
            notifications::controller_id
                .eq(controller.as_str())
                .and(notifications::user_id.eq(user.0))
                .and(notifications::id.le(up_to))
                .and(notifications::read_at.is_null()),
        )
        .set(notifications::read_at.eq(now))
        .execute(connection)
        .await
}
