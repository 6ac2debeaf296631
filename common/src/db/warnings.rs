// SPDX-License-Identifier: GPL-3.0-or-later
//! `notifications` of the kind `warning`, the inserting side: what a user is told besides opens and clicks.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;

use super::{Connection, messages::NewMessage, notifications::lock_numbers, schema::notifications};
use crate::ids::{ControllerId, UserId};

/// Tells the author of a message something about it, each text a notification of its own. Belongs into a transaction.
pub async fn insert(
    message: &NewMessage,
    warnings: &[String],
    connection: &mut Connection,
) -> QueryResult<()> {
    let rows: Vec<_> = warnings
        .iter()
        .map(|warning| {
            (
                notifications::controller_id.eq(message.controller.as_str()),
                notifications::user_id.eq(message.user.0),
                notifications::message_id.eq(message.id.0),
                notifications::kind.eq("warning"),
                notifications::detail.eq(warning),
                notifications::at.eq(message.sent_at),
            )
        })
        .collect();
    if !rows.is_empty() {
        let user = [message.user.0];
        lock_numbers(&message.controller, &user, connection).await?;
        diesel::insert_into(notifications::table)
            .values(&rows)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Tells a user something that is about no message. Belongs into a transaction.
pub async fn tell(
    controller: &ControllerId,
    user: UserId,
    warning: &str,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    lock_numbers(controller, &[user.0], connection).await?;
    diesel::insert_into(notifications::table)
        .values((
            notifications::controller_id.eq(controller.as_str()),
            notifications::user_id.eq(user.0),
            notifications::kind.eq("warning"),
            notifications::detail.eq(warning),
            notifications::at.eq(at),
        ))
        .execute(connection)
        .await
}
