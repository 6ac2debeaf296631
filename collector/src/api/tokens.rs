// SPDX-License-Identifier: GPL-3.0-or-later
//! `/api/v1/tokens`: what programs show instead of a session. A token is shown once, when it is made.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use chrono::{DateTime, Utc};
use common::db::api_tokens::{self, ApiToken};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::idempotency::secretive;
use crate::{
    auth::{CheckedJson, CurrentUser, secret},
    failure::Failure,
    state::State,
};

/// Nobody has more programs than this.
const MOST: usize = 50;
const LONGEST_NAME: usize = 100;

/// A token to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    #[serde(default)]
    name: String,
}

/// A token as the API shows it.
#[derive(Serialize)]
pub(super) struct TokenJson {
    id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
    used_at: Option<DateTime<Utc>>,
    /// In the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl TokenJson {
    pub(super) fn new(row: ApiToken, token: Option<String>) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            used_at: row.used_at,
            token,
        }
    }
}

/// `GET /api/v1/tokens`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn list(current: CurrentUser, state: Data<State>) -> Result<HttpResponse, Failure> {
    let mut connection = state.db.get().await?;
    let tokens: Vec<TokenJson> =
        api_tokens::of_user(current.controller_id(), current.id(), &mut connection)
            .await?
            .into_iter()
            .map(|row| TokenJson::new(row, None))
            .collect();
    Ok(HttpResponse::Ok().json(json!({ "tokens": tokens })))
}

/// `POST /api/v1/tokens`
///
/// # Errors
///
/// Fails if the name is too long, there are too many tokens, or the database does not answer.
pub async fn create(
    wanted: CheckedJson<Wanted>,
    state: Data<State>,
) -> Result<HttpResponse, Failure> {
    let (row, token) = make(&wanted.current, &state, &wanted.body.name).await?;
    let answer = HttpResponse::build(StatusCode::CREATED).json(TokenJson::new(row, Some(token)));
    Ok(secretive(answer))
}

/// `DELETE /api/v1/tokens/{id}`
///
/// # Errors
///
/// Fails if the user has no such token, or the database does not answer.
pub async fn delete(
    current: CurrentUser,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    let mut connection = state.db.get().await?;
    let is_found =
        api_tokens::delete(current.controller_id(), current.id(), *id, &mut connection).await?;
    if is_found {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Failure::NotFound)
    }
}

/// Makes a token; the second value is what the program must show.
///
/// # Errors
///
/// Fails if the name is too long, there are too many tokens, or the database does not answer.
pub async fn make(
    current: &CurrentUser,
    state: &State,
    name: &str,
) -> Result<(ApiToken, String), Failure> {
    let name = name.trim();
    if name.chars().count() > LONGEST_NAME || name.contains('\0') {
        return Err(Failure::Unprocessable(format!(
            "\"name\" is longer than {LONGEST_NAME} characters"
        )));
    }
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    let count = api_tokens::of_user(controller, user, &mut connection)
        .await?
        .len();
    if count >= MOST {
        return Err(Failure::Conflict(format!(
            "there are {MOST} tokens already; revoke one first"
        )));
    }
    let token = secret::api_token()
        .map_err(|_none| Failure::Internal("no random numbers from the operating system"))?;
    let hash = secret::hash(&token);
    let row =
        api_tokens::insert(controller, user, name, &hash, Utc::now(), &mut connection).await?;
    Ok((row, token))
}
