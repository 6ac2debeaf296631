// SPDX-License-Identifier: GPL-3.0-or-later
//! `notifications`, as they are made. Whoever listens is told at commit, by a trigger.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
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

/// Adds notifications, each about a message of a user.
pub async fn insert(
    controller: &ControllerId,
    new: &[(UserId, MessageId, New)],
    connection: &mut Connection,
) -> QueryResult<usize> {
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
