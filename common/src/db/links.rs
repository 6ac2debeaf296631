// SPDX-License-Identifier: GPL-3.0-or-later
//! `tracked_links`: the tracked links of messages, as their decision records tell; never their destinations, which stand
//! in the links themselves.

use std::collections::HashMap;

use diesel::{
    QueryResult, QueryableByName,
    dsl::count_star,
    prelude::*,
    sql_types::{Integer, SmallInt, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::{messages, notifications},
};
use crate::ids::{ControllerId, MessageId};

diesel::table! {
    /// A view.
    tracked_links (controller_id, message_id, ordinal) {
        controller_id -> Text,
        message_id -> Uuid,
        ordinal -> Int2,
        host -> Text,
        label -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(tracked_links, messages);
diesel::allow_tables_to_appear_in_same_query!(tracked_links, notifications);

/// A tracked link of a message.
#[derive(Clone, Debug, QueryableByName)]
pub struct Link {
    /// From 1, in reading order.
    #[diesel(sql_type = SmallInt)]
    pub ordinal: i16,
    #[diesel(sql_type = Text)]
    pub host: String,
    /// The visible text.
    #[diesel(sql_type = Text)]
    pub label: String,
    /// How often likely people followed it.
    #[diesel(sql_type = Integer)]
    pub click_count: i32,
}

/// Returns the tracked links of a message, in their order.
pub async fn of_message(
    controller: &ControllerId,
    message: MessageId,
    connection: &mut Connection,
) -> QueryResult<Vec<Link>> {
    diesel::sql_query(OF_MESSAGE)
        .bind::<Text, _>(controller.as_str())
        .bind::<SqlUuid, _>(message.0)
        .load(connection)
        .await
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
    let rows: Vec<(Uuid, i64)> = tracked_links::table
        .filter(
            tracked_links::controller_id
                .eq(controller.as_str())
                .and(tracked_links::message_id.eq_any(messages)),
        )
        .group_by(tracked_links::message_id)
        .select((tracked_links::message_id, count_star()))
        .load(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Returns the hosts of the tracked links of these messages, by message and number.
pub async fn hosts(
    controller: &ControllerId,
    messages: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashMap<(Uuid, i16), String>> {
    let rows: Vec<(Uuid, i16, String)> = tracked_links::table
        .filter(
            tracked_links::controller_id
                .eq(controller.as_str())
                .and(tracked_links::message_id.eq_any(messages)),
        )
        .select((
            tracked_links::message_id,
            tracked_links::ordinal,
            tracked_links::host,
        ))
        .load(connection)
        .await?;
    let by_number = |(message, ordinal, host)| ((message, ordinal), host);
    Ok(rows.into_iter().map(by_number).collect())
}

const OF_MESSAGE: &str = "
SELECT ordinal, host, label, coalesce(clicks.count, 0)::integer AS click_count
FROM tracked_links LEFT JOIN (
    SELECT hits.ordinal, count(*) AS count
    FROM messages JOIN hits ON hits.controller_id = messages.controller_id AND hits.message_id = messages.id
    WHERE messages.controller_id = $1 AND messages.id = $2 AND hits.kind = 'click' AND hits.settled
        AND hits.at <= messages.settled_until AND hits.class IN ('human', 'image-proxy-on-open')
    GROUP BY hits.ordinal) AS clicks USING (ordinal)
WHERE controller_id = $1 AND message_id = $2
ORDER BY ordinal";
