// SPDX-License-Identifier: GPL-3.0-or-later
//! Work that one program at a time does, whichever it is.

use diesel::{
    QueryResult, QueryableByName,
    sql_types::{BigInt, Bool},
};
use diesel_async::RunQueryDsl;

use super::Connection;

/// What is done by one at a time. The numbers are ours alone in the database.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    Retention = 0x6674_0001,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    is_ours: bool,
}

/// Tells whether the task is ours until [`release`], or until the connection ends; false if another is at it.
pub async fn try_take(task: Task, connection: &mut Connection) -> QueryResult<bool> {
    ask(
        "SELECT pg_try_advisory_lock($1) AS is_ours",
        task,
        connection,
    )
    .await
}

/// Lets others have the task.
pub async fn release(task: Task, connection: &mut Connection) -> QueryResult<bool> {
    ask("SELECT pg_advisory_unlock($1) AS is_ours", task, connection).await
}

async fn ask(query: &str, task: Task, connection: &mut Connection) -> QueryResult<bool> {
    let answer: Answer = diesel::sql_query(query)
        .bind::<BigInt, _>(task as i64)
        .get_result(connection)
        .await?;
    Ok(answer.is_ours)
}
