// SPDX-License-Identifier: GPL-3.0-or-later
//! `digests`: how far each user was told in daily summaries, and which collector is at the next.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    QueryResult, QueryableByName,
    prelude::*,
    sql_query,
    sql_types::{BigInt, Date, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::{digests, users},
    users::User,
};
use crate::ids::{ControllerId, UserId};

/// What people did with a user's mail in a span of time.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Totals {
    #[diesel(sql_type = BigInt)]
    pub opens: i64,
    #[diesel(sql_type = BigInt)]
    pub clicks: i64,
}

/// A day's summary that is ours to mail.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Claimed {
    /// Until when the user was told; `None` before the first summary.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub told_until: Option<DateTime<Utc>>,
    /// Attempts in a row that failed before this one.
    #[diesel(sql_type = SmallInt)]
    pub failures: i16,
}

/// Returns enabled users who want a summary and whom no collector is at, with the last day that is done.
///
/// They come in order, from after the one given on.
pub async fn wanted(
    after: Option<(String, Uuid)>,
    limit: i64,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Vec<(User, Option<NaiveDate>)>> {
    let (controller, id) = after.unwrap_or_default();
    users::table
        .left_join(
            digests::table.on(digests::controller_id
                .eq(users::controller_id)
                .and(digests::user_id.eq(users::id))),
        )
        .filter(users::enabled.and(users::digest.eq("daily")))
        .filter(
            digests::next_at
                .nullable()
                .is_null()
                .or(digests::next_at.nullable().le(now)),
        )
        .filter(
            users::controller_id
                .gt(&controller)
                .or(users::controller_id.eq(&controller).and(users::id.gt(id))),
        )
        .order((users::controller_id, users::id))
        .limit(limit)
        .select((User::as_select(), digests::day.nullable()))
        .load(connection)
        .await
}

/// Returns the last day of a user that is done, and until when the user is told.
pub async fn of_user(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<Option<(Option<NaiveDate>, Option<DateTime<Utc>>)>> {
    digests::table
        .find((controller.as_str(), user.0))
        .select((digests::day, digests::told_until))
        .first(connection)
        .await
        .optional()
}

/// Takes a day's summary on until a moment, after which another may; `None` if it is done, or another is at it.
pub async fn claim(
    controller: &ControllerId,
    user: UserId,
    day: NaiveDate,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Option<Claimed>> {
    sql_query(
        "INSERT INTO digests AS d (controller_id, user_id, next_at) VALUES ($1, $2, $5) \
         ON CONFLICT (controller_id, user_id) DO UPDATE SET next_at = excluded.next_at \
         WHERE (d.day IS NULL OR d.day < $3) AND (d.next_at IS NULL OR d.next_at <= $4) \
         RETURNING told_until, failures",
    )
    .bind::<Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .bind::<Date, _>(day)
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(until)
    .get_result(connection)
    .await
    .optional()
}

/// Writes down that a day is done, and until when its user is told now.
pub async fn finish(
    controller: &ControllerId,
    user: UserId,
    day: NaiveDate,
    told_until: Option<DateTime<Utc>>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::update(digests::table.find((controller.as_str(), user.0)))
        .set((
            digests::day.eq(day),
            digests::told_until.eq(told_until),
            digests::next_at.eq(None::<DateTime<Utc>>),
            digests::failures.eq(0),
        ))
        .execute(connection)
        .await
}

/// Writes down that a summary was not taken, and when to try again.
pub async fn put_off(
    controller: &ControllerId,
    user: UserId,
    next_at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::update(digests::table.find((controller.as_str(), user.0)))
        .set((
            digests::next_at.eq(next_at),
            digests::failures.eq(digests::failures + 1),
        ))
        .execute(connection)
        .await
}

/// Returns the totals of a user for the hours that began in a span of time, as the report counts them.
pub async fn totals(
    controller: &ControllerId,
    user: UserId,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Totals> {
    sql_query(
        "SELECT coalesce(sum(opens), 0)::bigint AS opens, coalesce(sum(clicks), 0)::bigint AS clicks \
         FROM activity WHERE controller_id = $1 AND user_id = $2 AND hour >= $3 AND hour < $4",
    )
    .bind::<Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .bind::<Timestamptz, _>(since)
    .bind::<Timestamptz, _>(until)
    .get_result(connection)
    .await
}
