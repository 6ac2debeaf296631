// SPDX-License-Identifier: GPL-3.0-or-later
//! The end of what belongs to consent: requests, evidence, people about whom nothing is kept any more, old acts.
//!
//! A refusal has no end but erasure: forgetting it would undo it. The events themselves stay too; they name nobody.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use super::Connection;
use crate::ids::{ControllerId, MessageId, UserId};

/// Rows of a table that are over. In a condition, `$1` is now and `$2` the moment before which proof is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    pub table: &'static str,
    condition: &'static str,
    /// The columns that name a row; the oldest go first.
    key: &'static str,
}

/// Every rule, in the order in which they are applied.
pub const RULES: [Rule; 5] = [
    Rule {
        table: "consent_requests",
        condition: "row.at < $1 - interval '180 days' AND $2 IS NOT NULL",
        key: "controller_id, request_id",
    },
    Rule {
        table: "withdrawal_keys",
        condition: "$2 IS NOT NULL AND NOT EXISTS (
            SELECT FROM consent_events event
            WHERE event.controller_id = row.controller_id AND event.subject_ref = row.subject_ref
                AND event.state = 'granted' AND (event.expires_at IS NULL OR event.expires_at > $1))",
        key: "controller_id, message_id",
    },
    Rule {
        table: "consent_evidence",
        condition: "$1 IS NOT NULL AND EXISTS (
            SELECT FROM consent_events event
            WHERE event.controller_id = row.controller_id AND event.seq = row.seq
                AND coalesce(event.expires_at, event.at) < $2)",
        key: "controller_id, seq",
    },
    // People who never answered, were never written to, or whose last word has lost its force long ago.
    Rule {
        table: "subjects",
        condition: "row.created_at < $1 - interval '1 day' AND NOT row.restricted
            AND NOT EXISTS (SELECT FROM message_recipients m
                WHERE m.controller_id = row.controller_id AND m.subject_ref = row.subject_ref)
            AND NOT EXISTS (SELECT FROM recipient_links l
                WHERE l.controller_id = row.controller_id AND l.subject_ref = row.subject_ref AND l.expires_at > $1)
            AND NOT EXISTS (SELECT FROM consent_events event
                WHERE event.controller_id = row.controller_id AND event.subject_ref = row.subject_ref
                    AND CASE event.state
                        WHEN 'denied' THEN true
                        WHEN 'withdrawn' THEN true
                        WHEN 'requested' THEN event.expires_at > $1
                        ELSE coalesce(event.expires_at, event.at) > $2 END)",
        key: "controller_id, subject_ref",
    },
    // The trigger lets them go after 360 days, by the database's clock.
    Rule {
        table: "acts",
        condition: "row.at < least($1, now()) - interval '365 days' AND $2 IS NOT NULL",
        key: "controller_id, seq",
    },
];

/// Rows that one transaction deletes, so that nobody waits long for it.
const PIECE: i64 = 1000;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Returns how many rows are over by a rule.
pub async fn count(
    rule: Rule,
    now: DateTime<Utc>,
    proof: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<i64> {
    let Rule {
        table, condition, ..
    } = rule;
    let query = format!("SELECT count(*) AS count FROM {table} row WHERE {condition}");
    let row: Count = diesel::sql_query(query)
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(proof)
        .get_result(connection)
        .await?;
    Ok(row.count)
}

/// Deletes some of the rows that are over by a rule and returns how many; none means that no more are left.
pub async fn delete_some(
    rule: Rule,
    now: DateTime<Utc>,
    proof: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    let Rule {
        table,
        condition,
        key,
    } = rule;
    let statement = format!(
        "DELETE FROM {table} WHERE ({key}) IN (
            SELECT {key} FROM {table} row WHERE {condition} ORDER BY {key} LIMIT {PIECE})"
    );
    diesel::sql_query(statement)
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(proof)
        .execute(connection)
        .await
}

/// Keeps, of instrumented messages to one person that are about to go, what the link in them needs to withdraw a
/// permission that may still hold.
pub async fn keep_withdrawal_keys(
    messages_before: DateTime<Utc>,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::sql_query(keep_keys("message.sent_at < $2"))
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(messages_before)
        .execute(connection)
        .await
}

/// Does the same for the messages of a user who is about to go.
pub(super) async fn keep_withdrawal_keys_of(
    controller: &ControllerId,
    user: UserId,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::sql_query(keep_keys(
        "message.controller_id = $2 AND message.user_id = $3 AND NOT message.frozen",
    ))
    .bind::<Timestamptz, _>(now)
    .bind::<Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .execute(connection)
    .await
}

/// Does the same for one message, unless it is another user's or frozen.
pub(super) async fn keep_withdrawal_key(
    controller: &ControllerId,
    user: UserId,
    id: MessageId,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::sql_query(keep_keys(
        "message.controller_id = $2 AND message.user_id = $3 AND message.id = $4 AND NOT message.frozen",
    ))
    .bind::<Timestamptz, _>(now)
    .bind::<Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .bind::<SqlUuid, _>(id.0)
    .execute(connection)
    .await
}

fn keep_keys(going: &str) -> String {
    format!(
        "
INSERT INTO withdrawal_keys (controller_id, message_id, subject_ref, user_id)
SELECT message.controller_id, message.id, (array_agg(recipient.subject_ref))[1], message.user_id
FROM messages message JOIN message_recipients recipient
    ON recipient.controller_id = message.controller_id AND recipient.message_id = message.id
WHERE {going} AND message.reason IS NULL AND NOT message.to_several
GROUP BY message.controller_id, message.id
HAVING count(*) = 1 AND EXISTS (
    SELECT FROM consent_events event
    WHERE event.controller_id = message.controller_id AND event.subject_ref = (array_agg(recipient.subject_ref))[1]
        AND event.state = 'granted' AND (event.expires_at IS NULL OR event.expires_at > $1))
ON CONFLICT DO NOTHING"
    )
}
