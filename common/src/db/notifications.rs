// SPDX-License-Identifier: GPL-3.0-or-later
//! `notifications`, as they are made. Whoever listens is told at commit, by a trigger.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;

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

/// Adds a notification.
pub async fn insert(
    controller: &ControllerId,
    user: UserId,
    message: MessageId,
    new: New,
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::insert_into(notifications::table)
        .values((
            notifications::controller_id.eq(controller.as_str()),
            notifications::user_id.eq(user.0),
            notifications::message_id.eq(message.0),
            notifications::kind.eq(new.kind),
            notifications::ordinal.eq(new.ordinal),
            notifications::at.eq(new.at),
        ))
        .execute(connection)
        .await
}

/// Returns what was told about a message: kinds and times.
pub async fn of_message(
    controller: &ControllerId,
    message: MessageId,
    connection: &mut Connection,
) -> QueryResult<Vec<(String, DateTime<Utc>)>> {
    notifications::table
        .filter(
            notifications::controller_id
                .eq(controller.as_str())
                .and(notifications::message_id.eq(message.0))
                .and(notifications::kind.ne("warning")),
        )
        .select((notifications::kind, notifications::at))
        .order(notifications::id)
        .load(connection)
        .await
}
