// SPDX-License-Identifier: GPL-3.0-or-later
//! `settlements`: messages with hits whose verdicts are to be settled, and when.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, define_sql_function, prelude::*, sql_types::Timestamptz, upsert::excluded,
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::settlements,
    unnest::{unnest_text, unnest_time, unnest_uuid},
};
use crate::ids::{ControllerId, MessageId};

/// A message whose verdicts are to be settled at a time.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Settlement {
    pub controller: ControllerId,
    pub message: MessageId,
    pub due_at: DateTime<Utc>,
}

/// Puts messages on the list; for one that is there, the earlier time counts.
///
/// Rows must be sorted and each message named once: two collectors that wrote in different orders could wait for each
/// other.
pub async fn schedule(rows: &[Settlement], connection: &mut Connection) -> QueryResult<usize> {
    let controllers: Vec<&str> = rows.iter().map(|row| row.controller.as_str()).collect();
    let messages: Vec<Uuid> = rows.iter().map(|row| row.message.0).collect();
    let times: Vec<DateTime<Utc>> = rows.iter().map(|row| row.due_at).collect();
    diesel::insert_into(settlements::table)
        .values(diesel::select((
            unnest_text(controllers),
            unnest_uuid(messages),
            unnest_time(times),
        )))
        .into_columns((
            settlements::controller_id,
            settlements::message_id,
            settlements::due_at,
        ))
        .on_conflict((settlements::controller_id, settlements::message_id))
        .do_update()
        .set(settlements::due_at.eq(least(settlements::due_at, excluded(settlements::due_at))))
        .execute(connection)
        .await
}

/// Returns when the next settlement is due.
pub async fn next_due(connection: &mut Connection) -> QueryResult<Option<DateTime<Utc>>> {
    settlements::table
        .select(diesel::dsl::min(settlements::due_at))
        .first(connection)
        .await
}

/// Takes one message that is due, leaving those that another collector is at; it stays locked until the transaction
/// ends.
pub async fn take_due(
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Option<Settlement>> {
    let found: Option<(String, Uuid, DateTime<Utc>)> = settlements::table
        .filter(settlements::due_at.le(now))
        .order(settlements::due_at)
        .select((
            settlements::controller_id,
            settlements::message_id,
            settlements::due_at,
        ))
        .for_update()
        .skip_locked()
        .first(connection)
        .await
        .optional()?;
    Ok(found.map(|(controller, message, due_at)| Settlement {
        controller: ControllerId(controller),
        message: MessageId(message),
        due_at,
    }))
}

/// Puts a message off until the time its verdicts are to be looked at next, or takes it off the list.
pub async fn reschedule(
    settlement: &Settlement,
    next: Option<DateTime<Utc>>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    let row = settlements::table.find((settlement.controller.as_str(), settlement.message.0));
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

define_sql_function! { fn least(one: Timestamptz, other: Timestamptz) -> Timestamptz; }
