// SPDX-License-Identifier: GPL-3.0-or-later
//! `suppressions`: keyed hashes of addresses that asked never to be asked or observed again.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;

use super::{Connection, schema::suppressions};
use crate::ids::ControllerId;

/// Puts a hash on the list. Tells whether it was not there yet.
pub async fn add(
    controller: &ControllerId,
    hash: &[u8],
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let added = diesel::insert_into(suppressions::table)
        .values((
            suppressions::controller_id.eq(controller.as_str()),
            suppressions::address_hash.eq(hash),
            suppressions::since.eq(at),
        ))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    Ok(added > 0)
}

/// Takes a hash off the list: only the person may ask for it. Tells whether it was there.
pub async fn lift(
    controller: &ControllerId,
    hash: &[u8],
    connection: &mut Connection,
) -> QueryResult<bool> {
    let lifted = diesel::delete(suppressions::table.find((controller.as_str(), hash)))
        .execute(connection)
        .await?;
    Ok(lifted > 0)
}

/// Takes a hash off the list if it did not come there later: for a wish of that time, after a restore.
pub async fn lift_as_of(
    controller: &ControllerId,
    hash: &[u8],
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let listed = suppressions::table.find((controller.as_str(), hash));
    let lifted = diesel::delete(listed.filter(suppressions::since.le(at)))
        .execute(connection)
        .await?;
    Ok(lifted > 0)
}
