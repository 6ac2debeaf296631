// SPDX-License-Identifier: GPL-3.0-or-later
//! API tokens on the settings page: a new one is shown in the answer that makes it, and never again.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use common::db::api_tokens;
use serde::Deserialize;
use uuid::Uuid;

use super::settings::{self, Fresh};
use crate::{
    api::tokens::make,
    auth::{CheckedForm, Nothing},
    failure::Failure,
    page::see,
    state::State,
};

/// What a new token is for.
#[derive(Deserialize)]
pub struct Wanted {
    name: String,
}

/// `POST /settings/tokens`
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn create(
    state: Data<State>,
    form: CheckedForm<Wanted>,
) -> Result<HttpResponse, Failure> {
    let (_, token) = make(&form.current, &state, &form.form.name).await?;
    let mut connection = state.db.get().await?;
    settings::page(&form.current, false, Fresh::Token(token), &mut connection).await
}

/// `POST /settings/tokens/{id}/revoke`
///
/// # Errors
///
/// Fails if the user has no such token, the form came from elsewhere or the database does not answer.
pub async fn revoke(
    state: Data<State>,
    id: Path<Uuid>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    let (controller, user) = (form.current.controller_id(), form.current.id());
    let mut connection = state.db.get().await?;
    if api_tokens::delete(controller, user, *id, &mut connection).await? {
        Ok(see("/settings#tokens"))
    } else {
        Err(Failure::NotFound)
    }
}
