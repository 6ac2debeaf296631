// SPDX-License-Identifier: GPL-3.0-or-later
//! `users`: people who write mail and have an account, with their settings.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection, consent_events, consent_retention,
    schema::{messages, sign_in_links, users},
};
use crate::{
    ids::{ControllerId, UserId},
    language::Language,
};

/// A user.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct User {
    pub controller_id: String,
    pub id: Uuid,
    /// In normal form: lower case, with a domain.
    pub login: String,
    pub display_name: Option<String>,
    pub enabled: bool,
    pub is_admin: bool,
    pub opens: bool,
    pub links: bool,
    pub text_links: bool,
    /// `none`, `clicks` or `all`.
    pub notifications: String,
    /// `off` or `daily`.
    pub digest: String,
    pub remember_choice: bool,
    pub language: Option<String>,
    pub time_zone: String,
}

/// A change of a user's settings: what is `None` stays as it is.
#[derive(AsChangeset, Clone, Debug, Default)]
#[diesel(table_name = users)]
pub struct Changes {
    pub display_name: Option<String>,
    pub opens: Option<bool>,
    pub links: Option<bool>,
    pub text_links: Option<bool>,
    pub notifications: Option<String>,
    pub digest: Option<String>,
    pub remember_choice: Option<bool>,
    pub language: Option<Option<String>>,
    pub time_zone: Option<String>,
}

impl User {
    /// Returns the user's name within its controller.
    pub fn user_id(&self) -> UserId {
        UserId(self.id)
    }

    /// Tells whether only the row is left, because a recipient has frozen messages of an account that was erased.
    pub fn is_erased(&self) -> bool {
        self.login == format!("erased-{}", self.id)
    }

    /// Returns the controller's name.
    pub fn controller(&self) -> ControllerId {
        ControllerId(self.controller_id.clone())
    }

    /// Returns the user's language, if one is chosen.
    pub fn language(&self) -> Option<Language> {
        self.language.as_deref().and_then(Language::from_code)
    }
}

/// Returns the user with that login, given in normal form.
pub async fn find(
    controller: &ControllerId,
    login: &str,
    connection: &mut Connection,
) -> QueryResult<Option<User>> {
    users::table
        .filter(
            users::controller_id
                .eq(controller.as_str())
                .and(users::login.eq(login)),
        )
        .select(User::as_select())
        .first(connection)
        .await
        .optional()
}

/// Returns the user with that id.
pub async fn get(
    controller: &ControllerId,
    id: UserId,
    connection: &mut Connection,
) -> QueryResult<Option<User>> {
    users::table
        .find((controller.as_str(), id.0))
        .select(User::as_select())
        .first(connection)
        .await
        .optional()
}

/// Returns the user with that id, and lets nobody else change it until the transaction ends.
pub async fn lock(
    controller: &ControllerId,
    id: UserId,
    connection: &mut Connection,
) -> QueryResult<Option<User>> {
    users::table
        .find((controller.as_str(), id.0))
        .select(User::as_select())
        .for_update()
        .first(connection)
        .await
        .optional()
}

/// Returns those of the users that exist.
pub async fn by_ids(
    controller: &ControllerId,
    ids: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<Vec<User>> {
    users::table
        .filter(
            users::controller_id
                .eq(controller.as_str())
                .and(users::id.eq_any(ids)),
        )
        .select(User::as_select())
        .load(connection)
        .await
}

/// Returns the user with that login, making one with everything switched off if there is none.
pub async fn find_or_create(
    controller: &ControllerId,
    login: &str,
    connection: &mut Connection,
) -> QueryResult<User> {
    diesel::insert_into(users::table)
        .values((
            users::controller_id.eq(controller.as_str()),
            users::id.eq(Uuid::new_v4()),
            users::login.eq(login),
        ))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    users::table
        .filter(
            users::controller_id
                .eq(controller.as_str())
                .and(users::login.eq(login)),
        )
        .select(User::as_select())
        .first(connection)
        .await
}

/// Returns every user of every controller, in order.
pub async fn all(connection: &mut Connection) -> QueryResult<Vec<User>> {
    users::table
        .select(User::as_select())
        .order((users::controller_id, users::login))
        .load(connection)
        .await
}

/// Changes settings and returns the user as it is then; `None` if there is no such user.
pub async fn change(
    controller: &ControllerId,
    id: UserId,
    changes: &Changes,
    connection: &mut Connection,
) -> QueryResult<Option<User>> {
    let change = diesel::update(users::table.find((controller.as_str(), id.0)))
        .set(changes)
        .returning(User::as_returning())
        .get_result(connection)
        .await;
    match change {
        // Diesel refuses an update that sets nothing.
        Err(diesel::result::Error::QueryBuilderError(_)) => get(controller, id, connection).await,
        other => other.optional(),
    }
}

/// Switches a user on or off; false if there is no such user.
pub async fn enable(
    controller: &ControllerId,
    login: &str,
    enabled: bool,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let changed = diesel::update(users::table)
        .filter(
            users::controller_id
                .eq(controller.as_str())
                .and(users::login.eq(login)),
        )
        .set(users::enabled.eq(enabled))
        .execute(connection)
        .await?;
    Ok(changed > 0)
}

/// Makes a user an administrator; false if there is no such user.
pub async fn appoint(
    controller: &ControllerId,
    login: &str,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let changed = diesel::update(users::table)
        .filter(
            users::controller_id
                .eq(controller.as_str())
                .and(users::login.eq(login)),
        )
        .set(users::is_admin.eq(true))
        .execute(connection)
        .await?;
    Ok(changed > 0)
}

/// Deletes a user with everything that belongs to the account; false if there is no such user.
///
/// Consent events stay: they name the account by a random number, and are the recipients' proof. So does what the links
/// in the user's messages need to withdraw a permission that may hold for others too. Messages that a recipient has frozen
/// stay too, under a name that says nothing, until they are set free. Belongs into a transaction.
pub async fn erase(
    controller: &ControllerId,
    user: UserId,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let Some(user) = get(controller, user, connection).await? else {
        return Ok(false);
    };
    // First: from here to the end of the transaction nobody freezes a message or sets one free, for both wait for the
    // same lock; so what goes is what keys were kept of.
    consent_events::begin_epoch(controller, connection).await?;
    diesel::delete(sign_in_links::table)
        .filter(
            sign_in_links::controller_id
                .eq(controller.as_str())
                .and(sign_in_links::login.eq(&user.login)),
        )
        .execute(connection)
        .await?;
    consent_retention::keep_withdrawal_keys_of(controller, user.user_id(), now, connection).await?;
    diesel::delete(messages::table)
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::user_id.eq(user.id))
                .and(messages::frozen.eq(false)),
        )
        .execute(connection)
        .await?;
    let frozen: i64 = messages::table
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::user_id.eq(user.id)),
        )
        .count()
        .get_result(connection)
        .await?;
    if frozen > 0 {
        empty(&user, connection).await?;
    } else {
        diesel::delete(users::table.find((controller.as_str(), user.id)))
            .execute(connection)
            .await?;
    }
    Ok(true)
}

/// Leaves nothing of a user but the row that frozen messages hang on.
async fn empty(user: &User, connection: &mut Connection) -> QueryResult<()> {
    for table in [
        "activity",
        "api_tokens",
        "digests",
        "feed_keys",
        "idempotent_answers",
        "notifications",
        "sessions",
        "webhooks",
    ] {
        diesel::sql_query(format!(
            "DELETE FROM {table} WHERE controller_id = $1 AND user_id = $2"
        ))
        .bind::<Text, _>(&user.controller_id)
        .bind::<SqlUuid, _>(user.id)
        .execute(connection)
        .await?;
    }
    diesel::sql_query(
        "UPDATE users SET login = 'erased-' || id, display_name = NULL, enabled = false, is_admin = false, \
            opens = DEFAULT, links = DEFAULT, text_links = DEFAULT, notifications = DEFAULT, digest = DEFAULT, \
            remember_choice = DEFAULT, language = NULL, time_zone = DEFAULT WHERE controller_id = $1 AND id = $2",
    )
    .bind::<Text, _>(&user.controller_id)
    .bind::<SqlUuid, _>(user.id)
    .execute(connection)
    .await?;
    Ok(())
}
