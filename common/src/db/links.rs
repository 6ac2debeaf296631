// SPDX-License-Identifier: GPL-3.0-or-later
//! `links`: the tracked links of a message; never their destinations, which stand in the links themselves.

use std::collections::HashMap;

use diesel::{
    QueryResult,
    dsl::count_star,
    prelude::*,
    sql_types::{Array, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, schema::links};
use crate::ids::{ControllerId, MessageId};

/// A tracked link, as it is written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewLink {
    /// From 1, in reading order.
    pub ordinal: i16,
    pub host: String,
    /// The visible text.
    pub label: String,
}

#[derive(Insertable)]
#[diesel(table_name = links)]
struct Row<'a> {
    controller_id: &'a str,
    message_id: Uuid,
    ordinal: i16,
    host: &'a str,
    label: &'a str,
}

/// Writes the links of a message down.
pub async fn insert(
    controller: &ControllerId,
    message: MessageId,
    new: &[NewLink],
    connection: &mut Connection,
) -> QueryResult<usize> {
    let rows: Vec<Row<'_>> = new
        .iter()
        .map(|link| Row {
            controller_id: controller.as_str(),
            message_id: message.0,
            ordinal: link.ordinal,
            host: &link.host,
            label: &link.label,
        })
        .collect();
    let mut written = 0;
    // A statement takes 65,535 values at most.
    for rows in rows.chunks(10_000) {
        written += diesel::insert_into(links::table)
            .values(rows)
            .execute(connection)
            .await?;
    }
    Ok(written)
}

/// Returns how many tracked links each of the messages has.
pub async fn numbers(
    controller: &ControllerId,
    messages: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashMap<Uuid, i64>> {
    if messages.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, i64)> = links::table
        .filter(
            links::controller_id
                .eq(controller.as_str())
                .and(links::message_id.eq_any(messages)),
        )
        .group_by(links::message_id)
        .select((links::message_id, count_star()))
        .load(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Counts the settled clicks on the links of messages.
pub async fn recount(
    controller: &ControllerId,
    messages: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<usize> {
    if messages.is_empty() {
        return Ok(0);
    }
    diesel::sql_query(RECOUNT)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(messages)
        .execute(connection)
        .await
}

const RECOUNT: &str = "
UPDATE links SET click_count = clicks.count
FROM (
    SELECT links.message_id, links.ordinal, count(hits.id) AS count
    FROM messages JOIN links ON links.controller_id = messages.controller_id AND links.message_id = messages.id
    LEFT JOIN hits ON hits.controller_id = links.controller_id AND hits.message_id = links.message_id
        AND hits.ordinal = links.ordinal AND hits.kind = 'click' AND hits.settled AND hits.at <= messages.settled_until
        AND hits.class IN ('human', 'image-proxy-on-open')
    WHERE messages.controller_id = $1 AND messages.id = ANY ($2)
    GROUP BY links.message_id, links.ordinal) AS clicks
WHERE links.controller_id = $1 AND links.message_id = clicks.message_id AND links.ordinal = clicks.ordinal
    AND links.click_count <> clicks.count";

/// Takes the links of a message away.
pub async fn delete(
    controller: &ControllerId,
    message: MessageId,
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::delete(
        links::table.filter(
            links::controller_id
                .eq(controller.as_str())
                .and(links::message_id.eq(message.0)),
        ),
    )
    .execute(connection)
    .await
}
