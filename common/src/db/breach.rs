// SPDX-License-Identifier: GPL-3.0-or-later
//! Counts for whoever must report a breach (GDPR, Articles 33 and 34): how many people, what kinds of data, from when to
//! when.
//!
//! It counts what is stored; what was deleted before cannot have leaked from here.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    sql_types::{BigInt, Nullable, Text, Timestamptz},
};
use diesel_async::RunQueryDsl;

use super::Connection;
use crate::ids::ControllerId;

/// A kind of data. In a query, `$1` is the controller, and `$2` and `$3` the time between which the data arose.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    pub name: &'static str,
    /// Whom the rows are about.
    pub about: &'static str,
    pub tables: &'static [&'static str],
    /// Gives `person` and `at` for each row.
    rows: &'static str,
}

/// What a kind of data comes to.
#[derive(Clone, Debug, QueryableByName)]
pub struct Count {
    #[diesel(sql_type = BigInt)]
    pub rows: i64,
    #[diesel(sql_type = BigInt)]
    pub people: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub first: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last: Option<DateTime<Utc>>,
}

/// Every kind of data that names somebody, or can be brought together with a name.
pub const CLASSES: [Class; 9] = [
    Class {
        name: "mail addresses of recipients",
        about: "recipients",
        tables: &["subjects"],
        rows: "SELECT subject_ref AS person, created_at AS at FROM subjects WHERE controller_id = $1",
    },
    Class {
        name: "statements of consent, under random names",
        about: "recipients",
        tables: &["consent_events"],
        rows: "SELECT subject_ref AS person, at FROM consent_events WHERE controller_id = $1",
    },
    Class {
        name: "evidence of consent",
        about: "recipients",
        tables: &["consent_evidence"],
        rows: "SELECT evidence.subject_ref AS person, event.at FROM consent_evidence evidence
            JOIN consent_events event USING (controller_id, seq) WHERE controller_id = $1",
    },
    Class {
        name: "messages: sender, recipients, subject, time, hosts and texts of links",
        about: "recipients",
        tables: &["messages", "message_recipients", "links", "copies", "withdrawal_keys"],
        rows: "SELECT recipient.subject_ref AS person, message.sent_at AS at FROM message_recipients recipient
            JOIN messages message ON message.controller_id = recipient.controller_id AND message.id = recipient.message_id
            WHERE recipient.controller_id = $1",
    },
    Class {
        name: "hits: time, link number, mail program, label of the network, class",
        about: "recipients",
        tables: &["hits", "arrivals", "settlements"],
        rows: "SELECT recipient.subject_ref AS person, hits.at FROM hits
            JOIN message_recipients recipient USING (controller_id, message_id) WHERE controller_id = $1",
    },
    Class {
        name: "keyed hashes of addresses: requests, suppressions, erasures",
        about: "recipients",
        tables: &["consent_requests", "suppressions", "erasures"],
        rows: "SELECT address_hash AS person, at FROM consent_requests WHERE controller_id = $1
            UNION ALL SELECT address_hash, since FROM suppressions WHERE controller_id = $1
            UNION ALL SELECT address_hash, at FROM erasures WHERE controller_id = $1 AND address_hash IS NOT NULL",
    },
    Class {
        name: "hashes of links that were mailed to recipients",
        about: "recipients",
        tables: &["recipient_links"],
        rows: "SELECT subject_ref AS person, created_at AS at FROM recipient_links WHERE controller_id = $1",
    },
    Class {
        name: "accounts of users: login, name, settings, hashes of sessions and tokens",
        about: "users",
        tables: &[
            "users",
            "sessions",
            "sign_in_links",
            "api_tokens",
            "acts",
            "digests",
            "feed_keys",
            "idempotent_answers",
            "webhooks",
        ],
        rows: "SELECT id AS person, created_at AS at FROM users WHERE controller_id = $1",
    },
    Class {
        name: "what users were told: notifications, totals by hour",
        about: "users",
        tables: &["notifications", "webhook_deliveries", "activity"],
        rows: "SELECT user_id AS person, at FROM notifications WHERE controller_id = $1
            UNION ALL SELECT user_id, hour FROM activity WHERE controller_id = $1",
    },
];

/// Counts a kind of data that arose between two moments.
pub async fn count(
    class: Class,
    controller: &ControllerId,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
    connection: &mut Connection,
) -> QueryResult<Count> {
    count_in(class.rows, controller, (since, until), connection).await
}

/// Counts the people of whom there is anything that arose between two moments, each once. Whoever is known by an address
/// and by a hash of it counts twice: the two cannot be brought together here.
pub async fn count_people(
    about: &str,
    controller: &ControllerId,
    span: (DateTime<Utc>, DateTime<Utc>),
    connection: &mut Connection,
) -> QueryResult<i64> {
    let classes = CLASSES.iter().filter(|class| class.about == about);
    let all: Vec<String> = classes
        .map(|class| format!("SELECT person::text, at FROM ({}) AS one", class.rows))
        .collect();
    let count = count_in(&all.join(" UNION ALL "), controller, span, connection).await?;
    Ok(count.people)
}

async fn count_in(
    rows: &str,
    controller: &ControllerId,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
    connection: &mut Connection,
) -> QueryResult<Count> {
    let query = format!(
        "SELECT count(*) AS rows, count(DISTINCT person) AS people, min(at) AS first, max(at) AS last
         FROM ({rows}) AS found WHERE at >= $2 AND at <= $3"
    );
    diesel::sql_query(query)
        .bind::<Text, _>(controller.as_str())
        .bind::<Timestamptz, _>(since)
        .bind::<Timestamptz, _>(until)
        .get_result(connection)
        .await
}
