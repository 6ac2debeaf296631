// SPDX-License-Identifier: GPL-3.0-or-later
//! The monthly partitions of `hits`: made ahead, dropped when all of a month is over its retention.

use chrono::{DateTime, Months, NaiveDate, Utc};
use diesel::{
    QueryResult, QueryableByName,
    sql_types::{Date, Text},
};
use diesel_async::RunQueryDsl;

use super::Connection;

/// Months that are made ahead of the current one.
const AHEAD: u32 = 2;

/// Makes the partitions of this month and of the next ones. Nothing happens to those that are there.
///
/// Hits of a month whose partition was never made lie in the default partition; then it cannot be made any more, which
/// harms nothing but the ease of dropping it.
pub async fn create_ahead(now: DateTime<Utc>, connection: &mut Connection) -> QueryResult<()> {
    for month in 0..=AHEAD {
        let Some(day) = now.date_naive().checked_add_months(Months::new(month)) else {
            break;
        };
        diesel::sql_query("SELECT create_hits_partition($1)")
            .bind::<Date, _>(day)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Tells whether next month's partition is made.
pub async fn are_ahead(now: DateTime<Utc>, connection: &mut Connection) -> QueryResult<bool> {
    let Some(next) = now.date_naive().checked_add_months(Months::new(1)) else {
        return Ok(true);
    };
    let wanted = next.format("hits_%Y_%m").to_string();
    Ok(names(connection).await?.contains(&wanted))
}

/// Returns the partitions whose months ended before a moment, oldest first.
pub async fn ended_before(
    moment: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Vec<String>> {
    let ended = names(connection)
        .await?
        .into_iter()
        .filter(|name| month_after(name).is_some_and(|end| end <= moment.date_naive()));
    Ok(ended.collect())
}

/// Drops a partition that [`ended_before`] named.
pub async fn drop(name: &str, connection: &mut Connection) -> QueryResult<()> {
    if month_after(name).is_some() {
        diesel::sql_query("SELECT drop_hits_partition($1)")
            .bind::<Text, _>(name)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn names(connection: &mut Connection) -> QueryResult<Vec<String>> {
    let rows: Vec<Named> = diesel::sql_query(
        "SELECT relid::text AS name FROM pg_partition_tree('hits') WHERE isleaf ORDER BY 1",
    )
    .load(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Returns the first day after the month that a partition's name carries.
fn month_after(name: &str) -> Option<NaiveDate> {
    let (year, month) = name.strip_prefix("hits_")?.split_once('_')?;
    let first = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)?;
    first.checked_add_months(Months::new(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_partition_says_when_its_month_ends() {
        assert_eq!(
            month_after("hits_2026_12"),
            NaiveDate::from_ymd_opt(2027, 1, 1)
        );
        for name in [
            "hits_default",
            "hits",
            "hits_2026_13",
            "hits_x_y; DROP TABLE users",
            "messages",
        ] {
            assert_eq!(month_after(name), None, "{name}");
        }
    }
}
