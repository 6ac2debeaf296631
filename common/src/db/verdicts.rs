// SPDX-License-Identifier: GPL-3.0-or-later
//! Verdicts on stored hits: read to be judged again, written where they changed.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{Array, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{Connection, schema::hits};
use crate::ids::{ControllerId, MessageId};

/// A stored hit with its verdict.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = hits)]
pub struct Judged {
    pub at: DateTime<Utc>,
    pub id: Uuid,
    /// `open` or `click`.
    pub kind: String,
    pub ordinal: i16,
    pub features: Value,
    pub class: String,
    pub confidence: i16,
    pub reasons: Vec<String>,
    pub rules_version: i32,
    pub settled: bool,
    pub duplicate_of: Option<Uuid>,
}

/// Returns hits of a message from a moment on, in order, but no more than `limit`.
pub async fn of_message(
    controller: &ControllerId,
    message: MessageId,
    since: DateTime<Utc>,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Judged>> {
    hits::table
        .filter(
            hits::controller_id
                .eq(controller.as_str())
                .and(hits::message_id.eq(message.0))
                .and(hits::at.ge(since)),
        )
        .order((hits::at, hits::id))
        .select(Judged::as_select())
        .limit(limit)
        .load(connection)
        .await
}

/// Returns when the oldest hit of a message came whose verdict is not settled.
pub async fn oldest_unsettled(
    controller: &ControllerId,
    message: MessageId,
    connection: &mut Connection,
) -> QueryResult<Option<DateTime<Utc>>> {
    hits::table
        .filter(
            hits::controller_id
                .eq(controller.as_str())
                .and(hits::message_id.eq(message.0))
                .and(hits::settled.eq(false)),
        )
        .select(diesel::dsl::min(hits::at))
        .first(connection)
        .await
}

/// Writes the verdicts of hits of one message.
pub async fn write(
    controller: &ControllerId,
    message: MessageId,
    judged: &[&Judged],
    connection: &mut Connection,
) -> QueryResult<usize> {
    let reasons: Vec<String> = judged.iter().map(|hit| hit.reasons.join(",")).collect();
    diesel::sql_query(WRITE)
        .bind::<Text, _>(controller.as_str())
        .bind::<SqlUuid, _>(message.0)
        .bind::<Array<Timestamptz>, _>(column(judged, |hit| hit.at))
        .bind::<Array<SqlUuid>, _>(column(judged, |hit| hit.id))
        .bind::<Array<Text>, _>(column(judged, |hit| hit.class.as_str()))
        .bind::<Array<SmallInt>, _>(column(judged, |hit| hit.confidence))
        .bind::<Array<Text>, _>(reasons)
        .bind::<Array<Integer>, _>(column(judged, |hit| hit.rules_version))
        .bind::<Array<Bool>, _>(column(judged, |hit| hit.settled))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(judged, |hit| hit.duplicate_of))
        .execute(connection)
        .await
}

fn column<'a, T>(judged: &[&'a Judged], value: impl Fn(&'a Judged) -> T) -> Vec<T> {
    judged.iter().map(|hit| value(hit)).collect()
}

const WRITE: &str = "
UPDATE hits SET class = new.class, confidence = new.confidence, reasons = string_to_array(new.reasons, ','),
    rules_version = new.rules_version, settled = new.settled, duplicate_of = new.duplicate_of
FROM unnest($3, $4, $5, $6, $7, $8, $9, $10)
    AS new (at, id, class, confidence, reasons, rules_version, settled, duplicate_of)
WHERE hits.controller_id = $1 AND hits.message_id = $2 AND hits.at = new.at AND hits.id = new.id";
