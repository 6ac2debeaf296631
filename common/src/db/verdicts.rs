// SPDX-License-Identifier: GPL-3.0-or-later
//! Verdicts on stored hits: read to be judged again, written where they changed.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    sql_types::{
        Array, BigInt, Bool, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
    },
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, hits::Json, prepared::Prepare};
use crate::ids::{ControllerId, MessageId};

/// A stored hit with its verdict.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct Judged {
    #[diesel(sql_type = SqlUuid)]
    pub message_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    pub at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// `open` or `click`.
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = SmallInt)]
    pub ordinal: i16,
    #[diesel(sql_type = Jsonb)]
    pub features: Json,
    #[diesel(sql_type = Text)]
    pub class: String,
    #[diesel(sql_type = SmallInt)]
    pub confidence: i16,
    #[diesel(sql_type = Array<Text>)]
    pub reasons: Vec<String>,
    #[diesel(sql_type = Integer)]
    pub rules_version: i32,
    /// As it is stored: settled once the message is settled until then.
    #[diesel(sql_type = Bool)]
    pub settled: bool,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub duplicate_of: Option<Uuid>,
}

/// Returns hits of messages, of each from a moment on, and no more than `limit` of each: in no order, and if they are
/// more, then any of them. `until` bounds them all.
pub async fn of_messages(
    controller: &ControllerId,
    messages: &[(Uuid, DateTime<Utc>)],
    until: DateTime<Utc>,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Judged>> {
    let Some(first) = messages.iter().map(|(_, since)| *since).min() else {
        return Ok(Vec::new());
    };
    let ids: Vec<Uuid> = messages.iter().map(|(id, _)| *id).collect();
    let since: Vec<DateTime<Utc>> = messages.iter().map(|(_, since)| *since).collect();
    diesel::sql_query(OF_MESSAGES)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<Timestamptz>, _>(since)
        .bind::<Timestamptz, _>(first)
        .bind::<Timestamptz, _>(until)
        .bind::<BigInt, _>(limit)
        .prepared()
        .load(connection)
        .await
}

/// Returns the first `limit` hits of a message from a moment on, in order, with all that came at the same time as the
/// last of them, and before them the last `context` that came earlier.
pub async fn piece(
    controller: &ControllerId,
    message: MessageId,
    from: DateTime<Utc>,
    limit: i64,
    context: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Judged>> {
    diesel::sql_query(PIECE)
        .bind::<Text, _>(controller.as_str())
        .bind::<SqlUuid, _>(message.0)
        .bind::<Timestamptz, _>(from)
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(context)
        .prepared()
        .load(connection)
        .await
}

/// Writes the verdicts of hits.
pub async fn write(
    controller: &ControllerId,
    judged: &[&Judged],
    connection: &mut Connection,
) -> QueryResult<usize> {
    if judged.is_empty() {
        return Ok(0);
    }
    let reasons: Vec<String> = judged.iter().map(|hit| hit.reasons.join(",")).collect();
    diesel::sql_query(WRITE)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(column(judged, |hit| hit.message_id))
        .bind::<Array<Timestamptz>, _>(column(judged, |hit| hit.at))
        .bind::<Array<SqlUuid>, _>(column(judged, |hit| hit.id))
        .bind::<Array<Text>, _>(column(judged, |hit| hit.class.as_str()))
        .bind::<Array<SmallInt>, _>(column(judged, |hit| hit.confidence))
        .bind::<Array<Text>, _>(reasons)
        .bind::<Array<Integer>, _>(column(judged, |hit| hit.rules_version))
        .bind::<Array<Bool>, _>(column(judged, |hit| hit.settled))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(judged, |hit| hit.duplicate_of))
        .prepared()
        .execute(connection)
        .await
}

fn column<'a, T>(judged: &[&'a Judged], value: impl Fn(&'a Judged) -> T) -> Vec<T> {
    judged.iter().map(|hit| value(hit)).collect()
}

// The bounds that all share let whole partitions be left out. Nothing is put in order here: to sort each message's few
// hits would cost as much as to find them.
const OF_MESSAGES: &str = "
SELECT found.* FROM unnest($2, $3) AS wanted (message_id, since) CROSS JOIN LATERAL (
    SELECT message_id, at, id, kind, ordinal, features, class, confidence, reasons, rules_version, settled, duplicate_of
    FROM hits
    WHERE controller_id = $1 AND hits.message_id = wanted.message_id AND at >= wanted.since AND at BETWEEN $4 AND $5
    LIMIT $6) AS found";

const PIECE: &str = "
(SELECT message_id, at, id, kind, ordinal, features, class, confidence, reasons, rules_version, settled, duplicate_of
    FROM hits WHERE controller_id = $1 AND message_id = $2 AND at < $3 ORDER BY at DESC, id DESC LIMIT $5)
UNION ALL
(SELECT message_id, at, id, kind, ordinal, features, class, confidence, reasons, rules_version, settled, duplicate_of
    FROM hits WHERE controller_id = $1 AND message_id = $2 AND at >= $3 ORDER BY at FETCH FIRST $4 ROWS WITH TIES)
ORDER BY at, id";

const WRITE: &str = "
UPDATE hits SET class = new.class, confidence = new.confidence, reasons = string_to_array(new.reasons, ','),
    rules_version = new.rules_version, settled = new.settled, duplicate_of = new.duplicate_of
FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10)
    AS new (message_id, at, id, class, confidence, reasons, rules_version, settled, duplicate_of)
WHERE hits.controller_id = $1 AND hits.message_id = new.message_id AND hits.at = new.at AND hits.id = new.id";
