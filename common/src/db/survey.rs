// SPDX-License-Identifier: GPL-3.0-or-later
//! What the doctor asks the server about itself.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    sql_types::{Bool, Timestamptz},
};
use diesel_async::RunQueryDsl;

use super::Connection;

#[derive(QueryableByName)]
struct Time {
    #[diesel(sql_type = Timestamptz)]
    time: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// Returns the time by the server's clock.
pub async fn time(connection: &mut Connection) -> QueryResult<DateTime<Utc>> {
    let row: Time = diesel::sql_query("SELECT clock_timestamp() AS time")
        .get_result(connection)
        .await?;
    Ok(row.time)
}

/// Tells whether the role that we connect as may do everything in the whole cluster.
pub async fn is_superuser(connection: &mut Connection) -> QueryResult<bool> {
    let query = "SELECT rolsuper AS yes FROM pg_roles WHERE rolname = current_user";
    let row: Answer = diesel::sql_query(query).get_result(connection).await?;
    Ok(row.yes)
}
