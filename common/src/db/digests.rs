// SPDX-License-Identifier: GPL-3.0-or-later
//! `digests`: the last day whose summary each user got.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    QueryResult, QueryableByName,
    prelude::*,
    sql_query,
    sql_types::{BigInt, Date, Text, Timestamptz, Uuid as SqlUuid},
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

/// Returns enabled users who want a summary, in order from after the one given on, with the last day they had.
pub async fn wanted(
    after: Option<(String, Uuid)>,
    limit: i64,
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

/// Takes a day's summary on; false if it was taken on before, by whichever program.
pub async fn claim(
    controller: &ControllerId,
    user: UserId,
    day: NaiveDate,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let claimed = sql_query(
        "INSERT INTO digests AS d (controller_id, user_id, day) VALUES ($1, $2, $3) \
         ON CONFLICT (controller_id, user_id) DO UPDATE SET day = excluded.day WHERE d.day < excluded.day",
    )
    .bind::<Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .bind::<Date, _>(day)
    .execute(connection)
    .await?;
    Ok(claimed > 0)
}

/// Gives a day back whose summary was not mailed.
pub async fn release(
    controller: &ControllerId,
    user: UserId,
    day: NaiveDate,
    connection: &mut Connection,
) -> QueryResult<()> {
    sql_query(
        "UPDATE digests SET day = $3 - 1 WHERE controller_id = $1 AND user_id = $2 AND day = $3",
    )
    .bind::<Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .bind::<Date, _>(day)
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the totals of a user since a moment, as the report counts them.
pub async fn totals(
    controller: &ControllerId,
    user: UserId,
    since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Totals> {
    sql_query(
        "SELECT coalesce(sum(opens), 0)::bigint AS opens, coalesce(sum(clicks), 0)::bigint AS clicks \
         FROM activity WHERE controller_id = $1 AND user_id = $2 AND hour >= $3",
    )
    .bind::<Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .bind::<Timestamptz, _>(since)
    .get_result(connection)
    .await
}
