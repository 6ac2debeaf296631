// SPDX-License-Identifier: GPL-3.0-or-later
//! `settlements`: messages with hits whose verdicts are to be settled, and when.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{BigInt, Timestamptz},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::{messages, settlements},
};
use crate::ids::{ControllerId, MessageId, UserId};

/// Returns when the next settlement is due.
pub async fn next_due(connection: &mut Connection) -> QueryResult<Option<DateTime<Utc>>> {
    settlements::table
        .select(diesel::dsl::min(settlements::due_at))
        .first(connection)
        .await
}

/// A message whose verdicts are due, claimed until the transaction ends.
#[derive(Clone, Debug)]
pub struct Claim {
    pub controller: ControllerId,
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
}

/// Claims one message that is due, leaving those that another collector, or a withdrawal, is at.
///
/// Design note: the message's row is locked, not the settlement's, so that hits can still come in; and in the same
/// order as everywhere, message before settlement, so that no two transactions wait for each other.
pub async fn claim(now: DateTime<Utc>, connection: &mut Connection) -> QueryResult<Option<Claim>> {
    let found: Option<Claimed> = diesel::sql_query(CLAIM)
        .bind::<Timestamptz, _>(now)
        .get_result(connection)
        .await
        .optional()?;
    Ok(found.map(|row| Claim {
        controller: ControllerId(row.controller_id),
        message: MessageId(row.id),
        sender: UserId(row.user_id),
        sent_at: row.sent_at,
        links: u32::try_from(row.links).unwrap_or_default(),
        muted: row.muted,
        last_open_at: row.last_open_at,
        last_click_at: row.last_click_at,
    }))
}

const CLAIM: &str = "
SELECT messages.controller_id, messages.id, user_id, sent_at, muted, last_open_at, last_click_at,
    (SELECT count(*) FROM links WHERE links.controller_id = messages.controller_id AND links.message_id = messages.id)
        AS links
FROM settlements JOIN messages ON messages.controller_id = settlements.controller_id
    AND messages.id = settlements.message_id
WHERE due_at <= $1 AND NOT messages.frozen ORDER BY due_at LIMIT 1
FOR NO KEY UPDATE OF messages SKIP LOCKED";

#[derive(QueryableByName)]
#[diesel(table_name = messages)]
struct Claimed {
    controller_id: String,
    id: Uuid,
    user_id: Uuid,
    sent_at: DateTime<Utc>,
    muted: bool,
    last_open_at: Option<DateTime<Utc>>,
    last_click_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = BigInt)]
    links: i64,
}

/// Keeps others from changing when a claimed message is due, until the transaction ends: hits that are counted after
/// this call are all there will be.
pub async fn freeze(claim: &Claim, connection: &mut Connection) -> QueryResult<usize> {
    let found: Vec<Uuid> = settlements::table
        .find((claim.controller.as_str(), claim.message.0))
        .select(settlements::message_id)
        .for_update()
        .load(connection)
        .await?;
    Ok(found.len())
}

/// Puts a message off until its verdicts are to be looked at next, or takes it off the list.
pub async fn reschedule(
    claim: &Claim,
    next: Option<DateTime<Utc>>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    let row = settlements::table.find((claim.controller.as_str(), claim.message.0));
    match next {
        Some(due_at) => {
            diesel::update(row)
                .set(settlements::due_at.eq(due_at))
                .execute(connection)
                .await
        }
        None => diesel::delete(row).execute(connection).await,
    }
}
