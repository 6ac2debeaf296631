// SPDX-License-Identifier: GPL-3.0-or-later
//! Whom a user has written to, out of the newest messages on record.
//!
//! Those whose data are frozen are left out, and so are the messages that went to them and to others: a count must not
//! tell of what is not shown.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName, sql_query,
    sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, report::pattern};
use crate::ids::{ControllerId, UserId};

/// Somebody who was written to.
#[derive(Clone, Debug, QueryableByName)]
pub struct Contact {
    #[diesel(sql_type = SqlUuid)]
    pub subject_ref: Uuid,
    #[diesel(sql_type = Text)]
    pub address: String,
    #[diesel(sql_type = BigInt)]
    pub messages: i64,
    #[diesel(sql_type = Timestamptz)]
    pub last_sent_at: DateTime<Utc>,
}

/// Messages that are looked at, the newest: what a page costs does not grow with an archive.
pub const MESSAGES: i64 = 10_000;

/// Returns contacts, the one written to last first, from after the one given on.
pub async fn of_user(
    controller: &ControllerId,
    user: UserId,
    search: &str,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Contact>> {
    let (at, id) = before.unzip();
    sql_query(
        "SELECT s.subject_ref, s.address, count(*) AS messages, max(m.sent_at) AS last_sent_at \
         FROM (SELECT controller_id, id, sent_at FROM messages \
               WHERE controller_id = $1 AND user_id = $2 AND NOT frozen ORDER BY sent_at DESC, id DESC LIMIT $7) m \
         JOIN message_recipients r ON r.controller_id = m.controller_id AND r.message_id = m.id \
         JOIN subjects s ON s.controller_id = r.controller_id AND s.subject_ref = r.subject_ref \
         WHERE NOT s.restricted AND s.address ILIKE $3 \
         GROUP BY s.subject_ref, s.address \
         HAVING $4 IS NULL OR (max(m.sent_at), s.subject_ref) < ($4, $5) \
         ORDER BY last_sent_at DESC, s.subject_ref DESC LIMIT $6",
    )
    .bind::<Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .bind::<Text, _>(pattern(search))
    .bind::<Nullable<Timestamptz>, _>(at)
    .bind::<Nullable<SqlUuid>, _>(id)
    .bind::<BigInt, _>(limit)
    .bind::<BigInt, _>(MESSAGES)
    .load(connection)
    .await
}
