// SPDX-License-Identifier: GPL-3.0-or-later
//! `settlements`: messages whose verdicts are to be looked at once more, and when; and the claim on messages that are
//! being settled.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    prelude::*,
    sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::{messages, settlements},
};
use crate::ids::{ControllerId, MessageId, UserId};

/// A message that is to be looked at again.
#[derive(Clone, Debug, QueryableByName)]
#[diesel(table_name = settlements)]
pub struct Due {
    pub controller_id: String,
    pub message_id: Uuid,
}

/// Takes messages off the list that are due, the earliest first, leaving those that another collector is at, and those
/// that a recipient has frozen, until they are no more.
pub async fn take(
    now: DateTime<Utc>,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Due>> {
    diesel::sql_query(TAKE)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(limit)
        .load(connection)
        .await
}

/// Returns when the next message is due.
pub async fn next_due(connection: &mut Connection) -> QueryResult<Option<DateTime<Utc>>> {
    settlements::table
        .select(settlements::due_at)
        .order(settlements::due_at)
        .first(connection)
        .await
        .optional()
}

/// Puts messages on the list, each named once; one that is there already stays due at the earlier time. Messages that
/// are gone are left out.
pub async fn put(
    controller: &ControllerId,
    when: &[(MessageId, DateTime<Utc>)],
    connection: &mut Connection,
) -> QueryResult<usize> {
    if when.is_empty() {
        return Ok(0);
    }
    let messages: Vec<Uuid> = when.iter().map(|(message, _)| message.0).collect();
    let times: Vec<DateTime<Utc>> = when.iter().map(|(_, time)| *time).collect();
    diesel::sql_query(PUT)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(messages)
        .bind::<Array<Timestamptz>, _>(times)
        .execute(connection)
        .await
}

/// A message that is being settled, kept from others until the transaction ends.
#[derive(Clone, Debug)]
pub struct Claim {
    pub message: MessageId,
    pub sender: UserId,
    pub sent_at: DateTime<Utc>,
    /// How many tracked links it has.
    pub links: u32,
    /// Whether the user wants to hear no more of it.
    pub muted: bool,
    /// The latest settled hit of a person, as counted before.
    pub last_open_at: Option<DateTime<Utc>>,
    pub last_click_at: Option<DateTime<Utc>>,
    /// Hits up to this moment are settled, except those marked otherwise.
    pub settled_until: Option<DateTime<Utc>>,
}

/// Claims those of the messages that exist, are not frozen, and that nobody else is at: neither another collector nor a
/// withdrawal.
///
/// Design note: nothing is waited for, so two transactions that each hold many messages never wait for each other.
pub async fn claim(
    controller: &ControllerId,
    messages: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<Vec<Claim>> {
    let found: Vec<Claimed> = diesel::sql_query(CLAIM)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(messages)
        .load(connection)
        .await?;
    let claims = found.into_iter().map(|row| Claim {
        message: MessageId(row.id),
        sender: UserId(row.user_id),
        sent_at: row.sent_at,
        links: u32::try_from(row.links).unwrap_or_default(),
        muted: row.muted,
        last_open_at: row.last_open_at,
        last_click_at: row.last_click_at,
        settled_until: row.settled_until,
    });
    Ok(claims.collect())
}

/// Returns those of the messages that exist.
pub async fn existing(
    controller: &ControllerId,
    ids: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    messages::table
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::id.eq_any(ids)),
        )
        .select(messages::id)
        .load(connection)
        .await
}

const TAKE: &str = "
DELETE FROM settlements WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM settlements
    WHERE due_at <= $1 AND NOT EXISTS (
        SELECT FROM messages
        WHERE messages.controller_id = settlements.controller_id AND messages.id = message_id AND frozen)
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED))
RETURNING controller_id, message_id";

const PUT: &str = "
INSERT INTO settlements AS old (controller_id, message_id, due_at)
SELECT $1, message_id, due_at FROM unnest($2, $3) AS new (message_id, due_at)
WHERE EXISTS (SELECT FROM messages WHERE controller_id = $1 AND id = new.message_id)
-- Always in the same order, so that two collectors never wait for each other.
ORDER BY message_id
ON CONFLICT (controller_id, message_id) DO UPDATE SET due_at = least(old.due_at, excluded.due_at)";

const CLAIM: &str = "
SELECT id, user_id, sent_at, muted, last_open_at, last_click_at, settled_until,
    (SELECT count(*) FROM links WHERE links.controller_id = $1 AND links.message_id = messages.id) AS links
FROM messages WHERE controller_id = $1 AND id = ANY ($2) AND NOT frozen
FOR NO KEY UPDATE SKIP LOCKED";

#[derive(QueryableByName)]
#[diesel(table_name = messages)]
struct Claimed {
    id: Uuid,
    user_id: Uuid,
    sent_at: DateTime<Utc>,
    muted: bool,
    last_open_at: Option<DateTime<Utc>>,
    last_click_at: Option<DateTime<Utc>>,
    settled_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = BigInt)]
    links: i64,
}
