// SPDX-License-Identifier: GPL-3.0-or-later
//! The database's word that something happened to a user's data, as triggers send it.

use diesel::QueryResult;
use diesel_async::RunQueryDsl;
use futures_util::{Stream, StreamExt};

use super::Connection;

/// Listens from now on; each item is `CONTROLLER USER`.
pub async fn listen(
    connection: &mut Connection,
) -> QueryResult<impl Stream<Item = QueryResult<String>> + '_> {
    diesel::sql_query("LISTEN fairtrack_activity")
        .execute(connection)
        .await?;
    Ok(connection
        .notifications_stream()
        .map(|notification| notification.map(|notification| notification.payload)))
}
