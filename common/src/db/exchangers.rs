// SPDX-License-Identifier: GPL-3.0-or-later
//! Who takes the mail of a message's recipients: a column of `messages`, and the domains from which it is found out.

use std::collections::HashMap;

use diesel::{
    QueryResult, QueryableByName,
    sql_types::{Array, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, prepared::Prepare};
use crate::ids::ControllerId;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    message_id: Uuid,
    #[diesel(sql_type = Text)]
    domain: String,
}

/// Returns the domain of the recipients of each message, where all have the same.
pub async fn domains(
    controller: &ControllerId,
    messages: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashMap<Uuid, String>> {
    let rows: Vec<Row> = diesel::sql_query(DOMAINS)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(messages)
        .prepared()
        .load(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.message_id, row.domain))
        .collect())
}

/// Writes down who takes the mail of the recipients of messages.
pub async fn write(
    controller: &ControllerId,
    messages: &[Uuid],
    exchangers: &[&str],
    connection: &mut Connection,
) -> QueryResult<usize> {
    if messages.is_empty() {
        return Ok(0);
    }
    diesel::sql_query(WRITE)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(messages)
        .bind::<Array<Text>, _>(exchangers)
        .prepared()
        .execute(connection)
        .await
}

const DOMAINS: &str = "
SELECT message_id, min(domain) AS domain
FROM message_recipients JOIN subjects USING (controller_id, subject_ref),
    LATERAL (SELECT lower(substring(address FROM '[^@]*$'))) AS part (domain)
WHERE controller_id = $1 AND message_id = ANY ($2)
GROUP BY message_id HAVING count(DISTINCT domain) = 1";

const WRITE: &str = "
UPDATE messages SET exchanger = new.exchanger FROM unnest($2, $3) AS new (message_id, exchanger)
WHERE messages.controller_id = $1 AND messages.id = new.message_id";
