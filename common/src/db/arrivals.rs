// SPDX-License-Identifier: GPL-3.0-or-later
//! `arrivals`: which messages were hit, batch by batch, and when their verdicts are due. The database's function that
//! writes hits adds a row for each batch; settling takes it away.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    prelude::*,
    sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, prepared::Prepare, schema::arrivals};

/// A batch of hits whose verdicts are due.
#[derive(Debug, QueryableByName)]
pub struct Arrival {
    #[diesel(sql_type = Text)]
    pub controller_id: String,
    /// When the oldest of the hits came.
    #[diesel(sql_type = Timestamptz)]
    pub oldest_at: DateTime<Utc>,
    /// A message for each hit: some may be named more than once.
    #[diesel(sql_type = Array<SqlUuid>)]
    pub message_ids: Vec<Uuid>,
}

/// Takes batches away that are due, the earliest first, until they hold so many hits; those that another collector is at
/// are left.
pub async fn take(
    now: DateTime<Utc>,
    hits: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Arrival>> {
    diesel::sql_query(TAKE)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(hits)
        .prepared()
        .load(connection)
        .await
}

/// Returns when the next batch is due.
pub async fn next_due(connection: &mut Connection) -> QueryResult<Option<DateTime<Utc>>> {
    arrivals::table
        .select(arrivals::due_at)
        .order(arrivals::due_at)
        .first(connection)
        .await
        .optional()
}

const TAKE: &str = "
WITH due AS MATERIALIZED (
    SELECT ctid, due_at, id, cardinality(message_ids) AS hits FROM arrivals
    WHERE due_at <= $1 ORDER BY due_at, id LIMIT 1000 FOR UPDATE SKIP LOCKED),
numbered AS (SELECT ctid, sum(hits) OVER (ORDER BY due_at, id) - hits AS before FROM due)
DELETE FROM arrivals WHERE ctid = ANY (ARRAY(SELECT ctid FROM numbered WHERE before < $2))
RETURNING controller_id, oldest_at, message_ids";
