// SPDX-License-Identifier: GPL-3.0-or-later
//! Deleting the own account: everything that is kept of a user goes at once, but for what a recipient wants kept.

use actix_web::{HttpResponse, web::Data};
use chrono::Utc;
use common::db::{DbError, Transactions, users};

use crate::{
    auth::{CheckedForm, Nothing, end_cookie},
    failure::Failure,
    journal,
    page::see,
    state::State,
};

/// `POST /settings/delete`
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn delete(
    state: Data<State>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    let current = form.current;
    let mut connection = state.db.get().await?;
    let (id, user, now) = (current.controller_id(), current.user.user_id(), Utc::now());
    connection
        .transaction(async |connection| {
            users::erase(id, user, now, connection).await?;
            Ok::<_, DbError>(())
        })
        .await?;
    journal::write_account(&state.config, id, user, now).await;
    let mut answer = see("/sign-in");
    answer
        .add_cookie(&end_cookie(&current.controller))
        .map_err(|_invalid| Failure::Internal("a session cookie was refused"))?;
    Ok(answer)
}
