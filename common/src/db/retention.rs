// SPDX-License-Identifier: GPL-3.0-or-later
//! The end of what is kept: which rows of which table are over, counted or deleted.
//!
//! What belongs to a message goes with it: recipients, links, hits, notifications, settlements.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    sql_types::{BigInt, Timestamptz},
};
use diesel_async::RunQueryDsl;

use super::Connection;

/// Where retention ends, by what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Hits before this are over.
    pub hits: DateTime<Utc>,
    /// Messages sent before this are over.
    pub messages: DateTime<Utc>,
    /// What expired before this is over.
    pub expired: DateTime<Utc>,
}

/// A rule: rows of a table that are over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    pub table: &'static str,
    condition: &'static str,
    /// The columns that name a row.
    key: &'static str,
    end: End,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Expired,
    Hits,
    Messages,
}

/// Every rule, in the order in which they are applied.
pub const RULES: [Rule; 9] = [
    Rule {
        table: "hits",
        condition: "at < $1",
        key: "controller_id, message_id, at, id",
        end: End::Hits,
    },
    Rule {
        table: "messages",
        condition: "sent_at < $1",
        key: "controller_id, id",
        end: End::Messages,
    },
    // What an erased account left because a recipient had it frozen.
    Rule {
        table: "users",
        condition: "login = 'erased-' || id AND created_at < $1 AND NOT EXISTS (SELECT FROM messages \
            WHERE messages.controller_id = users.controller_id AND messages.user_id = users.id AND frozen)",
        key: "controller_id, id",
        end: End::Expired,
    },
    Rule {
        table: "notifications",
        condition: "at < $1",
        key: "controller_id, user_id, id",
        end: End::Messages,
    },
    Rule {
        table: "activity",
        condition: "hour < $1",
        key: "controller_id, user_id, hour",
        end: End::Messages,
    },
    Rule {
        table: "sessions",
        condition: "expires_at < $1",
        key: "controller_id, token_hash",
        end: End::Expired,
    },
    Rule {
        table: "sign_in_links",
        condition: "expires_at < $1",
        key: "controller_id, token_hash",
        end: End::Expired,
    },
    Rule {
        table: "recipient_links",
        condition: "expires_at < $1",
        key: "controller_id, token_hash",
        end: End::Expired,
    },
    Rule {
        table: "idempotent_answers",
        condition: "claimed_at < $1 - interval '1 day'",
        key: "controller_id, user_id, name",
        end: End::Expired,
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
pub async fn count(rule: Rule, ends: Ends, connection: &mut Connection) -> QueryResult<i64> {
    let Rule {
        table, condition, ..
    } = rule;
    let query = format!("SELECT count(*) AS count FROM {table} WHERE {condition}");
    let row: Count = diesel::sql_query(query)
        .bind::<Timestamptz, _>(rule.moment(ends))
        .get_result(connection)
        .await?;
    Ok(row.count)
}

/// Deletes some of the rows that are over by a rule and returns how many; none means that no more are left.
pub async fn delete_some(
    rule: Rule,
    ends: Ends,
    connection: &mut Connection,
) -> QueryResult<usize> {
    let Rule {
        table,
        condition,
        key,
        ..
    } = rule;
    let statement = format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {PIECE})"
    );
    diesel::sql_query(statement)
        .bind::<Timestamptz, _>(rule.moment(ends))
        .execute(connection)
        .await
}

impl Rule {
    fn moment(self, ends: Ends) -> DateTime<Utc> {
        match self.end {
            End::Expired => ends.expired,
            End::Hits => ends.hits,
            End::Messages => ends.messages,
        }
    }
}
