// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /api/v1/me`: who is asking, as we see it.

use actix_web::{HttpResponse, web::Data};
use common::db::notifications_feed;
use serde_json::json;

use crate::{auth::CurrentUser, failure::Failure, state::State};

/// `GET /api/v1/me`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn show(current: CurrentUser, state: Data<State>) -> Result<HttpResponse, Failure> {
    let mut connection = state.db.get().await?;
    let unread =
        notifications_feed::unread(current.controller_id(), current.id(), &mut connection).await?;
    Ok(HttpResponse::Ok().json(json!({
        "id": current.user.id,
        "login": current.user.login,
        "display_name": current.user.display_name,
        "controller": { "id": current.controller.id, "name": current.controller.name },
        "language": current.language().code(),
        "time_zone": current.user.time_zone,
        "is_admin": current.user.is_admin,
        "unread": unread,
    })))
}
