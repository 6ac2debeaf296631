// SPDX-License-Identifier: GPL-3.0-or-later
//! `/api/v1/notifications`: what the user is told, and what of it was read.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use chrono::{DateTime, Utc};
use common::{
    db::notifications_feed::{self, Notification, Reading},
    language::Language,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    auth::{CheckedJson, CurrentUser},
    failure::Failure,
    sender::texts::notification,
    state::State,
};

const USUAL: i64 = 100;
const MOST: i64 = 500;

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    after: Option<i64>,
    limit: Option<i64>,
}

/// Up to where the user has read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    up_to: i64,
}

/// A notification as the API shows it.
#[derive(Serialize)]
pub struct NotificationJson {
    pub id: i64,
    kind: String,
    message: Option<Uuid>,
    at: DateTime<Utc>,
    text: String,
    read: bool,
}

impl NotificationJson {
    /// Brings a row into the shape of the API, in the user's language.
    pub fn new(row: Notification, language: Language) -> Self {
        Self {
            id: row.id,
            text: notification::line(&row, language),
            kind: row.kind,
            message: row.message_id,
            at: row.at,
            read: row.read_at.is_some(),
        }
    }
}

/// `GET /api/v1/notifications`: those after a number, the oldest first; without one the newest, the newest first.
///
/// # Errors
///
/// Fails if what is asked for makes no sense, or the database does not answer.
pub async fn list(
    current: CurrentUser,
    state: Data<State>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let limit = asked.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Failure::BadRequest(format!(
            "\"limit\" must be from 1 to {MOST}"
        )));
    }
    if asked.after.is_some_and(|after| after < 0) {
        return Err(Failure::BadRequest("\"after\" must not be negative".into()));
    }
    let reading = asked
        .after
        .map_or(Reading::Before(i64::MAX), Reading::After);
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    let found = notifications_feed::read(controller, user, reading, limit, &mut connection).await?;
    let unread = notifications_feed::unread(controller, user, &mut connection).await?;
    let language = current.language();
    let notifications: Vec<NotificationJson> = found
        .into_iter()
        .map(|row| NotificationJson::new(row, language))
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "notifications": notifications, "unread": unread })))
}

/// `POST /api/v1/notifications/read`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn read(read: CheckedJson<Read>, state: Data<State>) -> Result<HttpResponse, Failure> {
    let current = &read.current;
    if read.body.up_to < 0 {
        return Err(Failure::Unprocessable(
            "\"up_to\" must not be negative".into(),
        ));
    }
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    notifications_feed::mark_read(
        controller,
        user,
        read.body.up_to,
        Utc::now(),
        &mut connection,
    )
    .await?;
    let unread = notifications_feed::unread(controller, user, &mut connection).await?;
    Ok(HttpResponse::Ok().json(json!({ "unread": unread })))
}
