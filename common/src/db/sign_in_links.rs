// SPDX-License-Identifier: GPL-3.0-or-later
//! `sign_in_links`: links mailed to users who want to sign in, good for one use. Here is the SHA-256 of what they carry.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, dsl::count_star, prelude::*};
use diesel_async::RunQueryDsl;

use super::{Connection, schema::sign_in_links};
use crate::ids::ControllerId;

/// A link to be mailed.
#[derive(Insertable)]
#[diesel(table_name = sign_in_links)]
pub struct New<'a> {
    pub controller_id: &'a str,
    pub token_hash: &'a [u8],
    pub login: &'a str,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Adds a link.
pub async fn insert(link: &New<'_>, connection: &mut Connection) -> QueryResult<()> {
    diesel::insert_into(sign_in_links::table)
        .values(link)
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns how many links a login was mailed since then.
pub async fn count_since(
    controller: &ControllerId,
    login: &str,
    since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<i64> {
    sign_in_links::table
        .filter(
            sign_in_links::controller_id
                .eq(controller.as_str())
                .and(sign_in_links::login.eq(login))
                .and(sign_in_links::created_at.gt(since)),
        )
        .select(count_star())
        .first(connection)
        .await
}

/// Tells whether a link may still be used.
pub async fn is_usable(
    controllers: &[&str],
    token_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let found: i64 = sign_in_links::table
        .filter(
            sign_in_links::controller_id
                .eq_any(controllers)
                .and(sign_in_links::token_hash.eq(token_hash))
                .and(sign_in_links::used_at.is_null())
                .and(sign_in_links::expires_at.gt(now)),
        )
        .select(count_star())
        .first(connection)
        .await?;
    Ok(found > 0)
}

/// Uses a link up and returns controller and login; `None` if it is unknown, expired or used. Of two that come at once,
/// one gets it.
pub async fn use_up(
    controllers: &[&str],
    token_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Option<(String, String)>> {
    diesel::update(sign_in_links::table)
        .filter(
            sign_in_links::controller_id
                .eq_any(controllers)
                .and(sign_in_links::token_hash.eq(token_hash))
                .and(sign_in_links::used_at.is_null())
                .and(sign_in_links::expires_at.gt(now)),
        )
        .set(sign_in_links::used_at.eq(now))
        .returning((sign_in_links::controller_id, sign_in_links::login))
        .get_result(connection)
        .await
        .optional()
}

/// Returns how many links were mailed to all logins since then.
pub async fn count_all_since(
    controller: &ControllerId,
    since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<i64> {
    sign_in_links::table
        .filter(
            sign_in_links::controller_id
                .eq(controller.as_str())
                .and(sign_in_links::created_at.gt(since)),
        )
        .select(count_star())
        .first(connection)
        .await
}

/// Returns when links were mailed to a login, until when they work, and when they were used.
pub async fn of_login(
    controller: &ControllerId,
    login: &str,
    connection: &mut Connection,
) -> QueryResult<Vec<(DateTime<Utc>, DateTime<Utc>, Option<DateTime<Utc>>)>> {
    sign_in_links::table
        .filter(
            sign_in_links::controller_id
                .eq(controller.as_str())
                .and(sign_in_links::login.eq(login)),
        )
        .order(sign_in_links::created_at)
        .select((
            sign_in_links::created_at,
            sign_in_links::expires_at,
            sign_in_links::used_at,
        ))
        .load(connection)
        .await
}
