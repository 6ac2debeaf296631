// SPDX-License-Identifier: GPL-3.0-or-later
//! `api_tokens`: what programs of a user show instead of a session. Here is their SHA-256.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::{api_tokens, users},
    users::User,
};
use crate::ids::{ControllerId, UserId};

/// A token, as its owner sees it.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = api_tokens)]
pub struct ApiToken {
    pub id: Uuid,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

/// Adds a token and returns it.
pub async fn insert(
    controller: &ControllerId,
    user: UserId,
    name: &str,
    token_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<ApiToken> {
    diesel::insert_into(api_tokens::table)
        .values((
            api_tokens::controller_id.eq(controller.as_str()),
            api_tokens::user_id.eq(user.0),
            api_tokens::id.eq(Uuid::new_v4()),
            api_tokens::name.eq(name),
            api_tokens::token_hash.eq(token_hash),
            api_tokens::created_at.eq(now),
        ))
        .returning(ApiToken::as_returning())
        .get_result(connection)
        .await
}

/// Returns the enabled user to whom a token belongs, and notes, once an hour, that it was used.
pub async fn find_user(
    controllers: &[&str],
    token_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Option<User>> {
    let found = api_tokens::table
        .inner_join(
            users::table.on(users::controller_id
                .eq(api_tokens::controller_id)
                .and(users::id.eq(api_tokens::user_id))),
        )
        .filter(
            api_tokens::controller_id
                .eq_any(controllers)
                .and(api_tokens::token_hash.eq(token_hash))
                .and(users::enabled),
        )
        .select((api_tokens::id, api_tokens::used_at, User::as_select()))
        .first::<(Uuid, Option<DateTime<Utc>>, User)>(connection)
        .await
        .optional()?;
    let Some((id, used_at, user)) = found else {
        return Ok(None);
    };
    if used_at.is_none_or(|used| now - used > TimeDelta::hours(1)) {
        diesel::update(api_tokens::table.find((&user.controller_id, user.id, id)))
            .set(api_tokens::used_at.eq(now))
            .execute(connection)
            .await?;
    }
    Ok(Some(user))
}

/// Returns the tokens of a user, oldest first.
pub async fn of_user(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<Vec<ApiToken>> {
    api_tokens::table
        .filter(
            api_tokens::controller_id
                .eq(controller.as_str())
                .and(api_tokens::user_id.eq(user.0)),
        )
        .order((api_tokens::created_at, api_tokens::id))
        .select(ApiToken::as_select())
        .load(connection)
        .await
}

/// Revokes a token; false if the user has none with that id.
pub async fn delete(
    controller: &ControllerId,
    user: UserId,
    id: Uuid,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let deleted = diesel::delete(api_tokens::table.find((controller.as_str(), user.0, id)))
        .execute(connection)
        .await?;
    Ok(deleted > 0)
}
