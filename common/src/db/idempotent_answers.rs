// SPDX-License-Identifier: GPL-3.0-or-later
//! `idempotent_answers`: requests that a program named, and what they were answered.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_query,
    sql_types::{Binary, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use super::{Connection, schema::idempotent_answers};
use crate::ids::{ControllerId, UserId};

/// A request under its name.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub controller: &'a ControllerId,
    pub user: UserId,
    pub name: &'a str,
}

/// What was kept of a request.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = idempotent_answers)]
pub struct Kept {
    pub request_hash: Vec<u8>,
    /// `None` while it is worked on.
    pub status: Option<i16>,
    /// `None` where the answer holds a secret.
    pub body: Option<Vec<u8>>,
}

/// A claim whose program died is free again after this, for the same request.
const CLAIM: TimeDelta = TimeDelta::minutes(5);
/// A name stands for its request for so long.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Claims a name; false if it stands for a request already.
pub async fn claim(
    named: Named<'_>,
    request_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let claimed = sql_query(
        "INSERT INTO idempotent_answers AS a (controller_id, user_id, name, request_hash, claimed_at) \
         VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (controller_id, user_id, name) DO UPDATE \
         SET request_hash = excluded.request_hash, claimed_at = excluded.claimed_at, status = NULL, body = NULL \
         WHERE a.claimed_at < $7 \
            OR (a.status IS NULL AND a.claimed_at < $6 AND a.request_hash = excluded.request_hash)",
    )
    .bind::<Text, _>(named.controller.as_str())
    .bind::<SqlUuid, _>(named.user.0)
    .bind::<Text, _>(named.name)
    .bind::<Binary, _>(request_hash)
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(now - CLAIM)
    .bind::<Timestamptz, _>(now - KEPT)
    .execute(connection)
    .await?;
    Ok(claimed > 0)
}

/// Returns what was kept under a name.
pub async fn find(named: Named<'_>, connection: &mut Connection) -> QueryResult<Option<Kept>> {
    idempotent_answers::table
        .find((named.controller.as_str(), named.user.0, named.name))
        .select(Kept::as_select())
        .first(connection)
        .await
        .optional()
}

/// Keeps the answer to a request whose name was claimed.
pub async fn keep(
    named: Named<'_>,
    status: i16,
    body: Option<&[u8]>,
    connection: &mut Connection,
) -> QueryResult<()> {
    let key = (named.controller.as_str(), named.user.0, named.name);
    diesel::update(idempotent_answers::table.find(key))
        .set((
            idempotent_answers::status.eq(status),
            idempotent_answers::body.eq(body),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Gives a claimed name back: nothing was done.
pub async fn release(named: Named<'_>, connection: &mut Connection) -> QueryResult<()> {
    let key = (named.controller.as_str(), named.user.0, named.name);
    diesel::delete(idempotent_answers::table.find(key))
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns the names that a user's requests had, when they came and what status they were answered with.
pub async fn of_user(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<Vec<(String, DateTime<Utc>, Option<i16>)>> {
    idempotent_answers::table
        .filter(
            idempotent_answers::controller_id
                .eq(controller.as_str())
                .and(idempotent_answers::user_id.eq(user.0)),
        )
        .order((idempotent_answers::claimed_at, idempotent_answers::name))
        .select((
            idempotent_answers::name,
            idempotent_answers::claimed_at,
            idempotent_answers::status,
        ))
        .load(connection)
        .await
}
