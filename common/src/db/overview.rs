// SPDX-License-Identifier: GPL-3.0-or-later
//! Counts for administrators: how much, never what.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName, sql_query,
    sql_types::{BigInt, Bool, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;

use super::Connection;
use crate::ids::ControllerId;

/// Counts of one controller since a moment, and what waits now.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub struct Counts {
    #[diesel(sql_type = BigInt)]
    pub users: i64,
    #[diesel(sql_type = BigInt)]
    pub messages: i64,
    #[diesel(sql_type = BigInt)]
    pub instrumented: i64,
    #[diesel(sql_type = BigInt)]
    pub opens: i64,
    #[diesel(sql_type = BigInt)]
    pub clicks: i64,
    #[diesel(sql_type = BigInt)]
    pub automatic: i64,
    /// Batches of hits, verdicts and deliveries that were due before. What waits because it is frozen is not overdue, and
    /// would tell that somebody is.
    #[diesel(sql_type = BigInt)]
    pub overdue: i64,
}

/// A user, with a count.
#[derive(Clone, Debug, QueryableByName)]
pub struct UserCount {
    #[diesel(sql_type = Text)]
    pub login: String,
    #[diesel(sql_type = Bool)]
    pub enabled: bool,
    #[diesel(sql_type = BigInt)]
    pub messages: i64,
}

/// How many statements hold, by purpose and state.
#[derive(Clone, Debug, QueryableByName)]
pub struct ConsentCount {
    #[diesel(sql_type = Text)]
    pub purpose: String,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = BigInt)]
    pub count: i64,
}

/// Counts what is a controller's.
pub async fn counts(
    controller: &ControllerId,
    since: DateTime<Utc>,
    overdue_before: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Counts> {
    sql_query(
        "SELECT (SELECT count(*) FROM users WHERE controller_id = $1 AND enabled) AS users, \
            m.messages, m.instrumented, a.opens, a.clicks, a.automatic, \
            (SELECT count(*) FROM arrivals WHERE controller_id = $1 AND due_at < $3) \
            + (SELECT count(*) FROM settlements s WHERE controller_id = $1 AND due_at < $3 AND NOT EXISTS (\
                SELECT FROM messages f WHERE f.controller_id = s.controller_id AND f.id = s.message_id AND f.frozen)) \
            + (SELECT count(*) FROM webhook_deliveries WHERE controller_id = $1 AND next_at < $3) AS overdue \
         FROM (SELECT count(*) AS messages, count(*) FILTER (WHERE opens OR links) AS instrumented \
               FROM messages WHERE controller_id = $1 AND sent_at >= $2) m, \
              (SELECT coalesce(sum(opens), 0)::bigint AS opens, coalesce(sum(clicks), 0)::bigint AS clicks, \
                      coalesce(sum(automatic), 0)::bigint AS automatic \
               FROM activity WHERE controller_id = $1 AND hour >= $2) a",
    )
    .bind::<Text, _>(controller.as_str())
    .bind::<Timestamptz, _>(since)
    .bind::<Timestamptz, _>(overdue_before)
    .get_result(connection)
    .await
}

/// Returns users, by login, with how many messages they sent since a moment.
pub async fn users(
    controller: &ControllerId,
    since: DateTime<Utc>,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<UserCount>> {
    sql_query(
        "SELECT u.login, u.enabled, (SELECT count(*) FROM messages m WHERE m.controller_id = u.controller_id \
            AND m.user_id = u.id AND m.sent_at >= $2) AS messages \
         FROM users u WHERE u.controller_id = $1 ORDER BY u.login LIMIT $3",
    )
    .bind::<Text, _>(controller.as_str())
    .bind::<Timestamptz, _>(since)
    .bind::<BigInt, _>(limit)
    .load(connection)
    .await
}

/// Counts the newest statement of each person, purpose and scope.
pub async fn consents(
    controller: &ControllerId,
    connection: &mut Connection,
) -> QueryResult<Vec<ConsentCount>> {
    sql_query(
        "SELECT purpose, state, count(*) AS count FROM (\
            SELECT DISTINCT ON (subject_ref, purpose, scope_user) purpose, state FROM consent_events \
            WHERE controller_id = $1 ORDER BY subject_ref, purpose, scope_user, seq DESC) newest \
         GROUP BY purpose, state ORDER BY purpose, state",
    )
    .bind::<Text, _>(controller.as_str())
    .load(connection)
    .await
}
