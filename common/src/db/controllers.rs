// SPDX-License-Identifier: GPL-3.0-or-later
//! `controllers`: a copy of the configured controllers, so that other rows can refer to them.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*, upsert::excluded};
use diesel_async::RunQueryDsl;

use super::{Connection, schema::controllers};
use crate::config::Controller;

#[derive(Insertable)]
#[diesel(table_name = controllers)]
struct Row<'a> {
    id: &'a str,
    name: &'a str,
    address: &'a str,
    contact: &'a str,
    authority: &'a str,
    updated_at: DateTime<Utc>,
}

/// Writes the configured controllers down; each program does so at start, before anything refers to them.
pub async fn save(
    configured: &[Controller],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    let rows: Vec<Row<'_>> = configured
        .iter()
        .map(|controller| Row {
            id: controller.id.as_str(),
            name: &controller.name,
            address: &controller.address,
            contact: &controller.contact,
            authority: &controller.authority,
            updated_at: now,
        })
        .collect();
    diesel::insert_into(controllers::table)
        .values(&rows)
        .on_conflict(controllers::id)
        .do_update()
        .set((
            controllers::name.eq(excluded(controllers::name)),
            controllers::address.eq(excluded(controllers::address)),
            controllers::contact.eq(excluded(controllers::contact)),
            controllers::authority.eq(excluded(controllers::authority)),
            controllers::updated_at.eq(excluded(controllers::updated_at)),
        ))
        .execute(connection)
        .await
}
