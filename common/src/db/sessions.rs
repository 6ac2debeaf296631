// SPDX-License-Identifier: GPL-3.0-or-later
//! `sessions`: signed-in browsers of users. The secret is in the browser; here is its SHA-256.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::{sessions, users},
    users::User,
};
use crate::ids::{ControllerId, UserId};

/// A session.
#[derive(Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct Session {
    pub controller_id: String,
    /// SHA-256 of the secret in the cookie.
    pub token_hash: Vec<u8>,
    pub user_id: Uuid,
    /// What forms of this session carry.
    pub csrf: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Adds a session.
pub async fn insert(session: &Session, connection: &mut Connection) -> QueryResult<()> {
    diesel::insert_into(sessions::table)
        .values(session)
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns an unexpired session, seen since `seen_after`, and its user, who must be enabled.
pub async fn find(
    controllers: &[&str],
    token_hash: &[u8],
    seen_after: DateTime<Utc>,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Option<(Session, User)>> {
    sessions::table
        .inner_join(
            users::table.on(users::controller_id
                .eq(sessions::controller_id)
                .and(users::id.eq(sessions::user_id))),
        )
        .filter(
            sessions::controller_id
                .eq_any(controllers)
                .and(sessions::token_hash.eq(token_hash))
                .and(sessions::expires_at.gt(now))
                .and(sessions::seen_at.gt(seen_after))
                .and(users::enabled),
        )
        .select((Session::as_select(), User::as_select()))
        .first(connection)
        .await
        .optional()
}

/// Returns the sessions of a user, the one seen last first.
pub async fn of_user(
    controller: &ControllerId,
    user: UserId,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Vec<Session>> {
    sessions::table
        .filter(
            sessions::controller_id
                .eq(controller.as_str())
                .and(sessions::user_id.eq(user.0))
                .and(sessions::expires_at.gt(now)),
        )
        .order(sessions::seen_at.desc())
        .limit(100)
        .select(Session::as_select())
        .load(connection)
        .await
}

/// Returns whose the sessions are that have not expired, by their hashes.
pub async fn owners(
    controllers: &[&str],
    token_hashes: &[&[u8]],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<HashMap<Vec<u8>, (ControllerId, UserId)>> {
    let rows: Vec<(Vec<u8>, String, Uuid)> = sessions::table
        .filter(
            sessions::controller_id
                .eq_any(controllers)
                .and(sessions::token_hash.eq_any(token_hashes))
                .and(sessions::expires_at.gt(now)),
        )
        .select((
            sessions::token_hash,
            sessions::controller_id,
            sessions::user_id,
        ))
        .load(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(hash, controller, user)| (hash, (ControllerId(controller), UserId(user))))
        .collect())
}

/// Notes that a session was used.
pub async fn touch(
    controller: &ControllerId,
    token_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<()> {
    diesel::update(sessions::table.find((controller.as_str(), token_hash)))
        .set(sessions::seen_at.eq(now))
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends one session, whoever's it is: the secret is what entitles.
pub async fn delete(
    controllers: &[&str],
    token_hash: &[u8],
    connection: &mut Connection,
) -> QueryResult<()> {
    diesel::delete(sessions::table)
        .filter(
            sessions::controller_id
                .eq_any(controllers)
                .and(sessions::token_hash.eq(token_hash)),
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends every session of a user.
pub async fn delete_all(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<()> {
    diesel::delete(sessions::table)
        .filter(
            sessions::controller_id
                .eq(controller.as_str())
                .and(sessions::user_id.eq(user.0)),
        )
        .execute(connection)
        .await?;
    Ok(())
}
