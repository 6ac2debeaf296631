// SPDX-License-Identifier: GPL-3.0-or-later
//! `/api/v1/webhooks`: where programs want to be told. A secret is shown when it is made, and never again.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use chrono::{DateTime, Utc};
use common::db::{
    webhook_deliveries::{self, Delivery},
    webhooks::{self, Webhook},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::idempotency::secretive;
use crate::{
    auth::{CheckedJson, CurrentUser},
    failure::Failure,
    state::State,
    webhooks::{guard, signature},
};

/// Nobody has more receivers than this.
const MOST: usize = 10;
/// Deliveries that are shown.
pub const HISTORY: i64 = 100;

/// A webhook to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    url: String,
}

/// Switches a webhook on that was switched off because it failed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    enabled: bool,
}

/// A delivery that shall be made again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Again {
    delivery: Uuid,
}

/// A webhook as the API shows it.
#[derive(Serialize)]
pub(super) struct WebhookJson {
    id: Uuid,
    url: String,
    created_at: DateTime<Utc>,
    rotated_at: Option<DateTime<Utc>>,
    failing_since: Option<DateTime<Utc>>,
    enabled: bool,
    /// In the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<DeliveryJson>>,
}

/// A delivery as the API shows it.
#[derive(Serialize)]
pub(super) struct DeliveryJson {
    id: Uuid,
    notification: i64,
    created_at: DateTime<Utc>,
    attempts: i16,
    tried_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    next_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
}

impl WebhookJson {
    pub(super) fn new(row: Webhook) -> Self {
        Self {
            id: row.id,
            url: row.url,
            created_at: row.created_at,
            rotated_at: row.rotated_at,
            failing_since: row.failing_since,
            enabled: row.disabled_at.is_none(),
            secret: None,
            deliveries: None,
        }
    }

    pub(super) fn with_deliveries(self, deliveries: Vec<DeliveryJson>) -> Self {
        Self {
            deliveries: Some(deliveries),
            ..self
        }
    }

    fn with_secret(row: Webhook, state: &State) -> Self {
        let secret = signature::secret(&state.keys, &row);
        Self {
            secret: Some(secret),
            ..Self::new(row)
        }
    }
}

impl From<Delivery> for DeliveryJson {
    fn from(row: Delivery) -> Self {
        Self {
            id: row.id,
            notification: row.notification_id,
            created_at: row.created_at,
            attempts: row.attempts,
            tried_at: row.tried_at,
            delivered_at: row.delivered_at,
            next_at: row.next_at,
            outcome: row.outcome,
        }
    }
}

/// `GET /api/v1/webhooks`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn list(current: CurrentUser, state: Data<State>) -> Result<HttpResponse, Failure> {
    let mut connection = state.db.get().await?;
    let rows = webhooks::of_user(current.controller_id(), current.id(), &mut connection).await?;
    let webhooks: Vec<WebhookJson> = rows.into_iter().map(WebhookJson::new).collect();
    Ok(HttpResponse::Ok().json(json!({ "webhooks": webhooks })))
}

/// `POST /api/v1/webhooks`
///
/// # Errors
///
/// Fails if the URL must not be called, there are too many, or the database does not answer.
pub async fn create(
    wanted: CheckedJson<Wanted>,
    state: Data<State>,
) -> Result<HttpResponse, Failure> {
    let row = make(&wanted.current, &state, &wanted.body.url).await?;
    let answer =
        HttpResponse::build(StatusCode::CREATED).json(WebhookJson::with_secret(row, &state));
    Ok(secretive(answer))
}

/// `GET /api/v1/webhooks/{id}`: with the newest deliveries.
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn show(
    current: CurrentUser,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    let (webhook, deliveries) = find(&current, &state, *id).await?;
    let deliveries = deliveries.into_iter().map(DeliveryJson::from).collect();
    Ok(HttpResponse::Ok().json(WebhookJson::new(webhook).with_deliveries(deliveries)))
}

/// `PATCH /api/v1/webhooks/{id}`
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn change(
    change: CheckedJson<Change>,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    switch(&change.current, &state, *id, change.body.enabled).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `DELETE /api/v1/webhooks/{id}`
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn delete(
    current: CurrentUser,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    remove(&current, &state, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/v1/webhooks/{id}/rotate`: a new secret; the one before signs too for a day.
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn rotate(
    current: CurrentUser,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    let row = renew(&current, &state, *id).await?;
    Ok(secretive(
        HttpResponse::Ok().json(WebhookJson::with_secret(row, &state)),
    ))
}

/// `POST /api/v1/webhooks/{id}/resend`
///
/// # Errors
///
/// Fails if the user has no such webhook or delivery, or the database does not answer.
pub async fn resend(
    again: CheckedJson<Again>,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    send_again(&again.current, &state, *id, again.body.delivery).await?;
    Ok(HttpResponse::Accepted().json(json!({ "status": "accepted" })))
}

/// Makes a webhook.
///
/// # Errors
///
/// Fails if the URL must not be called, there are too many, or the database does not answer.
pub async fn make(current: &CurrentUser, state: &State, url: &str) -> Result<Webhook, Failure> {
    let url = guard::read(url, &state.config.collector.webhook_networks)
        .map_err(|refusal| Failure::Unprocessable(format!("\"url\": {refusal}")))?;
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    let count = webhooks::of_user(controller, user, &mut connection)
        .await?
        .len();
    if count >= MOST {
        return Err(Failure::Conflict(format!(
            "there are {MOST} webhooks already; delete one first"
        )));
    }
    let row = webhooks::insert(controller, user, url.as_str(), Utc::now(), &mut connection).await?;
    Ok(row)
}

/// Returns a webhook and its newest deliveries.
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn find(
    current: &CurrentUser,
    state: &State,
    id: Uuid,
) -> Result<(Webhook, Vec<Delivery>), Failure> {
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    let webhook = webhooks::find(controller, user, id, &mut connection)
        .await?
        .ok_or(Failure::NotFound)?;
    let deliveries = webhook_deliveries::of_webhook(&webhook, HISTORY, &mut connection).await?;
    Ok((webhook, deliveries))
}

/// Switches a webhook on or off.
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn switch(
    current: &CurrentUser,
    state: &State,
    id: Uuid,
    enabled: bool,
) -> Result<(), Failure> {
    let (controller, user) = (current.controller_id(), current.id());
    let disabled_at = (!enabled).then(Utc::now);
    let mut connection = state.db.get().await?;
    if webhooks::switch(controller, user, id, disabled_at, &mut connection).await? {
        Ok(())
    } else {
        Err(Failure::NotFound)
    }
}

/// Gives a webhook a new secret.
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn renew(current: &CurrentUser, state: &State, id: Uuid) -> Result<Webhook, Failure> {
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    webhooks::rotate(controller, user, id, Utc::now(), &mut connection)
        .await?
        .ok_or(Failure::NotFound)
}

/// Deletes a webhook.
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn remove(current: &CurrentUser, state: &State, id: Uuid) -> Result<(), Failure> {
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    if webhooks::delete(controller, user, id, &mut connection).await? {
        Ok(())
    } else {
        Err(Failure::NotFound)
    }
}

/// Lets a delivery be made again.
///
/// # Errors
///
/// Fails if the user has no such webhook or delivery, or the database does not answer.
pub async fn send_again(
    current: &CurrentUser,
    state: &State,
    webhook: Uuid,
    delivery: Uuid,
) -> Result<(), Failure> {
    let (controller, user, now) = (current.controller_id(), current.id(), Utc::now());
    let mut connection = state.db.get().await?;
    if webhook_deliveries::again(controller, user, webhook, delivery, now, &mut connection).await? {
        state.live.wake();
        Ok(())
    } else {
        Err(Failure::NotFound)
    }
}
