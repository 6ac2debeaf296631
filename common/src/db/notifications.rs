// SPDX-License-Identifier: GPL-3.0-or-later
//! `notifications`, as they are made. Whoever listens is told at commit, by a trigger.
//!
//! Design note: readers go on from the last number that they saw, but numbers are given before the commit. So whoever is
//! about to notify a user takes that user's lock first and has it until the commit: of two transactions, the one with
//! the higher numbers is committed last, and nobody who has seen them has missed a lower one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{Array, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, schema::notifications};
use crate::ids::{ControllerId, MessageId, UserId};

/// A notification about a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct New {
    /// `first-open`, `first-click` or `repeat-open`.
    pub kind: &'static str,
    /// Of a click: the number of the link.
    pub ordinal: Option<i16>,
    pub at: DateTime<Utc>,
}

/// Adds notifications, each about a message of a user. Belongs into a transaction.
pub async fn insert(
    controller: &ControllerId,
    new: &[(UserId, MessageId, New)],
    connection: &mut Connection,
) -> QueryResult<usize> {
    let users: Vec<Uuid> = new.iter().map(|(user, ..)| user.0).collect();
    lock_numbers(controller, &users, connection).await?;
    let rows: Vec<_> = new
        .iter()
        .map(|(user, message, new)| {
            (
                notifications::controller_id.eq(controller.as_str()),
                notifications::user_id.eq(user.0),
                notifications::message_id.eq(message.0),
                notifications::kind.eq(new.kind),
                notifications::ordinal.eq(new.ordinal),
                notifications::at.eq(new.at),
            )
        })
        .collect();
    diesel::insert_into(notifications::table)
        .values(rows)
        .execute(connection)
        .await
}

/// Keeps others from notifying these users until the transaction ends. Belongs before the insertion, and into the
/// transaction that makes it.
pub(super) async fn lock_numbers(
    controller: &ControllerId,
    users: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<()> {
    diesel::sql_query(LOCK_NUMBERS)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(users)
        .execute(connection)
        .await?;
    Ok(())
}

// Always in the same order, so that two transactions that notify several users never wait for each other.
const LOCK_NUMBERS: &str = "
SELECT pg_advisory_xact_lock(key) FROM (
    SELECT DISTINCT hashtextextended('notifications|' || $1 || '|' || id, 0) AS key
    FROM unnest($2) AS id ORDER BY key) AS ordered";

/// What was told about a message: kinds and times, in order.
pub type Told = Vec<(String, DateTime<Utc>)>;

/// Returns what was told about messages; nothing for those about which nothing was.
pub async fn of_messages(
    controller: &ControllerId,
    messages: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashMap<MessageId, Told>> {
    let rows: Vec<(Option<Uuid>, String, DateTime<Utc>)> = notifications::table
        .filter(
            notifications::controller_id
                .eq(controller.as_str())
                .and(notifications::message_id.eq_any(messages))
                .and(notifications::kind.ne("warning")),
        )
        .select((
            notifications::message_id,
            notifications::kind,
            notifications::at,
        ))
        .order(notifications::id)
        .load(connection)
        .await?;
    let mut told: HashMap<MessageId, Told> = HashMap::new();
    for (message, kind, at) in rows {
        let Some(message) = message else { continue };
        told.entry(MessageId(message)).or_default().push((kind, at));
    }
    Ok(told)
}
