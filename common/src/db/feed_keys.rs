// SPDX-License-Identifier: GPL-3.0-or-later
//! `feed_keys`: what opens a user's feed. Here is its SHA-256.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;

use super::{
    Connection,
    schema::{feed_keys, users},
    users::User,
};
use crate::ids::{ControllerId, UserId};

/// Gives a user a key; an earlier one opens nothing any more.
pub async fn replace(
    controller: &ControllerId,
    user: UserId,
    key_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<()> {
    delete(controller, user, connection).await?;
    diesel::insert_into(feed_keys::table)
        .values((
            feed_keys::controller_id.eq(controller.as_str()),
            feed_keys::user_id.eq(user.0),
            feed_keys::key_hash.eq(key_hash),
            feed_keys::created_at.eq(now),
        ))
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a user's key away; false if there is none.
pub async fn delete(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let deleted = diesel::delete(feed_keys::table.find((controller.as_str(), user.0)))
        .execute(connection)
        .await?;
    Ok(deleted > 0)
}

/// Returns since when a user has a key, and when it was last used.
pub async fn of_user(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<Option<(DateTime<Utc>, Option<DateTime<Utc>>)>> {
    feed_keys::table
        .find((controller.as_str(), user.0))
        .select((feed_keys::created_at, feed_keys::used_at))
        .first(connection)
        .await
        .optional()
}

/// Returns the enabled user whose feed a key opens, and notes, once an hour, that it was used.
pub async fn find_user(
    controllers: &[&str],
    key_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Option<User>> {
    let found = feed_keys::table
        .inner_join(
            users::table.on(users::controller_id
                .eq(feed_keys::controller_id)
                .and(users::id.eq(feed_keys::user_id))),
        )
        .filter(
            feed_keys::controller_id
                .eq_any(controllers)
                .and(feed_keys::key_hash.eq(key_hash))
                .and(users::enabled),
        )
        .select((feed_keys::used_at, User::as_select()))
        .first::<(Option<DateTime<Utc>>, User)>(connection)
        .await
        .optional()?;
    let Some((used_at, user)) = found else {
        return Ok(None);
    };
    if used_at.is_none_or(|used| now - used > TimeDelta::hours(1)) {
        diesel::update(feed_keys::table.find((&user.controller_id, user.id)))
            .set(feed_keys::used_at.eq(now))
            .execute(connection)
            .await?;
    }
    Ok(Some(user))
}
