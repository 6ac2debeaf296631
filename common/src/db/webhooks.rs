// SPDX-License-Identifier: GPL-3.0-or-later
//! `webhooks`: where a user's programs want to be told.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    prelude::*,
    sql_query,
    sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use super::{Connection, schema::webhooks, warnings};
use crate::ids::{ControllerId, UserId};

/// A webhook.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = webhooks)]
pub struct Webhook {
    pub controller_id: String,
    pub user_id: Uuid,
    pub id: Uuid,
    pub url: String,
    /// Of the secret.
    pub generation: i32,
    pub rotated_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub failing_since: Option<DateTime<Utc>>,
    pub disabled_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct Failing {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    failing_since: Option<DateTime<Utc>>,
}

/// Adds a webhook and returns it.
pub async fn insert(
    controller: &ControllerId,
    user: UserId,
    url: &str,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Webhook> {
    diesel::insert_into(webhooks::table)
        .values((
            webhooks::controller_id.eq(controller.as_str()),
            webhooks::user_id.eq(user.0),
            webhooks::id.eq(Uuid::new_v4()),
            webhooks::url.eq(url),
            webhooks::created_at.eq(now),
        ))
        .returning(Webhook::as_returning())
        .get_result(connection)
        .await
}

/// Returns the webhooks of a user, the oldest first.
pub async fn of_user(
    controller: &ControllerId,
    user: UserId,
    connection: &mut Connection,
) -> QueryResult<Vec<Webhook>> {
    webhooks::table
        .filter(
            webhooks::controller_id
                .eq(controller.as_str())
                .and(webhooks::user_id.eq(user.0)),
        )
        .order((webhooks::created_at, webhooks::id))
        .select(Webhook::as_select())
        .load(connection)
        .await
}

/// Returns a webhook of a user.
pub async fn find(
    controller: &ControllerId,
    user: UserId,
    id: Uuid,
    connection: &mut Connection,
) -> QueryResult<Option<Webhook>> {
    webhooks::table
        .find((controller.as_str(), user.0, id))
        .select(Webhook::as_select())
        .first(connection)
        .await
        .optional()
}

/// Gives a webhook a new secret; `None` if the user has none with that id.
pub async fn rotate(
    controller: &ControllerId,
    user: UserId,
    id: Uuid,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Option<Webhook>> {
    diesel::update(webhooks::table.find((controller.as_str(), user.0, id)))
        .set((
            webhooks::generation.eq(webhooks::generation + 1),
            webhooks::rotated_at.eq(now),
        ))
        .returning(Webhook::as_returning())
        .get_result(connection)
        .await
        .optional()
}

/// Switches a webhook off, or on again; false if the user has none with that id.
pub async fn switch(
    controller: &ControllerId,
    user: UserId,
    id: Uuid,
    disabled_at: Option<DateTime<Utc>>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let changed = diesel::update(webhooks::table.find((controller.as_str(), user.0, id)))
        .set((
            webhooks::disabled_at.eq(disabled_at),
            webhooks::failing_since.eq(None::<DateTime<Utc>>),
            webhooks::failed_at.eq(None::<DateTime<Utc>>),
        ))
        .execute(connection)
        .await?;
    Ok(changed > 0)
}

/// Deletes a webhook with its history; false if the user has none with that id.
pub async fn delete(
    controller: &ControllerId,
    user: UserId,
    id: Uuid,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let deleted = diesel::delete(webhooks::table.find((controller.as_str(), user.0, id)))
        .execute(connection)
        .await?;
    Ok(deleted > 0)
}

/// Notes that a delivery succeeded.
pub async fn succeed(webhook: &Webhook, connection: &mut Connection) -> QueryResult<usize> {
    diesel::update(webhooks::table.find((&webhook.controller_id, webhook.user_id, webhook.id)))
        .filter(webhooks::failing_since.is_not_null())
        .set((
            webhooks::failing_since.eq(None::<DateTime<Utc>>),
            webhooks::failed_at.eq(None::<DateTime<Utc>>),
        ))
        .execute(connection)
        .await
}

/// Notes that a delivery failed and returns since when they fail; `None` if the webhook is gone.
///
/// If none failed after `begun_anew`, that is since now.
pub async fn fail(
    webhook: &Webhook,
    begun_anew: DateTime<Utc>,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Option<DateTime<Utc>>> {
    let found: Option<Failing> = sql_query(
        "UPDATE webhooks SET failed_at = $5, failing_since = CASE WHEN failed_at >= $4 THEN failing_since ELSE $5 END \
         WHERE controller_id = $1 AND user_id = $2 AND id = $3 RETURNING failing_since",
    )
    .bind::<Text, _>(&webhook.controller_id)
    .bind::<SqlUuid, _>(webhook.user_id)
    .bind::<SqlUuid, _>(webhook.id)
    .bind::<Timestamptz, _>(begun_anew)
    .bind::<Timestamptz, _>(now)
    .get_result(connection)
    .await
    .optional()?;
    Ok(found.and_then(|found| found.failing_since))
}

/// Switches a webhook off and tells its user so, once.
pub async fn disable(
    webhook: &Webhook,
    warning: &str,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<()> {
    let key = (&webhook.controller_id, webhook.user_id, webhook.id);
    connection
        .transaction(async |connection| {
            let changed = diesel::update(webhooks::table.find(key))
                .filter(webhooks::disabled_at.is_null())
                .set(webhooks::disabled_at.eq(now))
                .execute(connection)
                .await?;
            if changed > 0 {
                let (controller, user) = (
                    ControllerId(webhook.controller_id.clone()),
                    UserId(webhook.user_id),
                );
                warnings::tell(&controller, user, warning, now, connection).await?;
            }
            Ok(())
        })
        .await
}
