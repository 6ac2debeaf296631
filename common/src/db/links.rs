// SPDX-License-Identifier: GPL-3.0-or-later
//! `links`: the tracked links of a message; never their destinations, which stand in the links themselves.

use diesel::{QueryResult, prelude::*};
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
