// SPDX-License-Identifier: GPL-3.0-or-later
//! `settlements`: messages whose verdicts are to be looked at once more, and when; and the claim on messages that are
//! being settled.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    prepared::Prepare,
    schema::{messages, settlements},
};
use crate::ids::{ControllerId, MessageId, UserId};

/// A message that is to be looked at again.
#[derive(Clone, Debug, QueryableByName)]
#[diesel(table_name = settlements)]
pub struct Due {
    pub controller_id: String,
    pub message_id: Uuid,
    /// When the oldest hit came that is to be looked at; none for all hits of the message.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// A look at a message that is put off.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    pub message: MessageId,
    pub due_at: DateTime<Utc>,
    /// When the oldest hit came that is to be looked at then.
    pub oldest_at: DateTime<Utc>,
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
        .prepared()
        .load(connection)
        .await
}

/// Returns when the next message is due that is not frozen.
pub async fn next_due(connection: &mut Connection) -> QueryResult<Option<DateTime<Utc>>> {
    let next: Next = diesel::sql_query(NEXT)
        .prepared()
        .get_result(connection)
        .await?;
    Ok(next.due_at)
}

/// Puts messages on the list, each named once; one that is there already stays due at the earlier time, and its oldest
/// hit stays the oldest. Messages that are gone are left out.
pub async fn put(
    controller: &ControllerId,
    looks: &[Later],
    connection: &mut Connection,
) -> QueryResult<usize> {
    if looks.is_empty() {
        return Ok(0);
    }
    let messages: Vec<Uuid> = looks.iter().map(|look| look.message.0).collect();
    let times: Vec<DateTime<Utc>> = looks.iter().map(|look| look.due_at).collect();
    let oldest: Vec<DateTime<Utc>> = looks.iter().map(|look| look.oldest_at).collect();
    diesel::sql_query(PUT)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(messages)
        .bind::<Array<Timestamptz>, _>(times)
        .bind::<Array<Timestamptz>, _>(oldest)
        .prepared()
        .execute(connection)
        .await
}

/// A message that is being settled, kept from others until the transaction ends.
#[derive(Clone, Debug)]
pub struct Claim {
    pub message: MessageId,
    pub sender: UserId,
    pub sent_at: DateTime<Utc>,
    /// Whether the user wants to hear no more of it.
    pub muted: bool,
    /// The latest settled hit of a person, as counted before.
    pub last_open_at: Option<DateTime<Utc>>,
    pub last_click_at: Option<DateTime<Utc>>,
    /// Hits up to this moment are settled, except those marked otherwise.
    pub settled_until: Option<DateTime<Utc>>,
    /// Who takes the mail of the recipients; none if nobody asked.
    pub exchanger: Option<String>,
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
        .prepared()
        .load(connection)
        .await?;
    let claims = found.into_iter().map(|row| Claim {
        message: MessageId(row.id),
        sender: UserId(row.user_id),
        sent_at: row.sent_at,
        muted: row.muted,
        last_open_at: row.last_open_at,
        last_click_at: row.last_click_at,
        settled_until: row.settled_until,
        exchanger: row.exchanger,
    });
    Ok(claims.collect())
}

const TAKE: &str = "
DELETE FROM settlements WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM settlements
    WHERE due_at <= $1 AND NOT EXISTS (
        SELECT FROM messages
        WHERE messages.controller_id = settlements.controller_id AND messages.id = message_id AND frozen)
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED))
RETURNING controller_id, message_id, oldest_at";

const NEXT: &str = "
SELECT (
    SELECT due_at FROM settlements
    WHERE NOT EXISTS (
        SELECT FROM messages
        WHERE messages.controller_id = settlements.controller_id AND messages.id = message_id AND frozen)
    ORDER BY due_at LIMIT 1) AS due_at";

const PUT: &str = "
INSERT INTO settlements AS old (controller_id, message_id, due_at, oldest_at)
SELECT $1, message_id, due_at, oldest_at FROM unnest($2, $3, $4) AS new (message_id, due_at, oldest_at)
WHERE EXISTS (SELECT FROM messages WHERE controller_id = $1 AND id = new.message_id)
-- Always in the same order, so that two collectors never wait for each other.
ORDER BY message_id
ON CONFLICT (controller_id, message_id) DO UPDATE SET due_at = least(old.due_at, excluded.due_at),
    -- Not least(), which passes over what says that all hits are meant.
    oldest_at = CASE WHEN old.oldest_at < excluded.oldest_at OR old.oldest_at IS NULL THEN old.oldest_at
        ELSE excluded.oldest_at END";

const CLAIM: &str = "
SELECT id, user_id, sent_at, muted, last_open_at, last_click_at, settled_until, exchanger
FROM messages WHERE controller_id = $1 AND id = ANY ($2) AND NOT frozen
FOR NO KEY UPDATE SKIP LOCKED";

#[derive(QueryableByName)]
struct Next {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    due_at: Option<DateTime<Utc>>,
}

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
    exchanger: Option<String>,
}
