// SPDX-License-Identifier: GPL-3.0-or-later
//! `/settings/webhooks`: receivers of a user, what they were told, and telling them again.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use askama::Template;
use chrono::Utc;
use common::db::{
    webhook_deliveries::Delivery,
    webhooks::{self, Webhook},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    frame::{Place, frame, locale},
    locale::Locale,
    texts::{Texts, webhooks::Webhooks as Words},
};
use crate::{
    api::webhooks as acts,
    auth::{CheckedForm, CurrentUser, Nothing},
    failure::Failure,
    layout::Layout,
    page::{html, see},
    state::State,
    webhooks::signature,
};

#[derive(Template)]
#[template(path = "webhooks.html")]
struct List {
    layout: Layout,
    t: &'static Texts,
    w: &'static Words,
    csrf: String,
    rows: Vec<Row>,
    trouble: Option<String>,
    url: String,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct One {
    layout: Layout,
    t: &'static Texts,
    w: &'static Words,
    csrf: String,
    row: Row,
    secret: Option<String>,
    deliveries: Vec<DeliveryRow>,
}

struct Row {
    id: Uuid,
    url: String,
    since: String,
    is_on: bool,
    failing: Option<String>,
}

struct DeliveryRow {
    id: Uuid,
    time: String,
    attempts: i16,
    outcome: String,
    is_delivered: bool,
    next: Option<String>,
}

/// A receiver to be added.
#[derive(Deserialize)]
pub struct Wanted {
    url: String,
}

/// A delivery to be made again.
#[derive(Deserialize)]
pub struct Again {
    delivery: Uuid,
}

/// `GET /settings/webhooks`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn list(current: CurrentUser, state: Data<State>) -> Result<HttpResponse, Failure> {
    list_page(&current, &state, None, String::new()).await
}

/// `POST /settings/webhooks`
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn create(
    state: Data<State>,
    form: CheckedForm<Wanted>,
) -> Result<HttpResponse, Failure> {
    let w = Words::of(form.current.language());
    match acts::make(&form.current, &state, &form.form.url).await {
        Ok(row) => {
            let secret = signature::secret(&state.keys, &row);
            one_page(&form.current, &state, row.id, Some(secret)).await
        }
        Err(Failure::Unprocessable(_)) => {
            list_page(&form.current, &state, Some(w.refused.into()), form.form.url).await
        }
        Err(Failure::Conflict(_)) => {
            list_page(
                &form.current,
                &state,
                Some(w.too_many.into()),
                form.form.url,
            )
            .await
        }
        Err(failure) => Err(failure),
    }
}

/// `GET /settings/webhooks/{id}`
///
/// # Errors
///
/// Fails if the user has no such webhook, or the database does not answer.
pub async fn show(
    current: CurrentUser,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    one_page(&current, &state, *id, None).await
}

/// `POST /settings/webhooks/{id}/rotate`
///
/// # Errors
///
/// Fails if the user has no such webhook, the form came from elsewhere or the database does not answer.
pub async fn rotate(
    state: Data<State>,
    id: Path<Uuid>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    let row = acts::renew(&form.current, &state, *id).await?;
    let secret = signature::secret(&state.keys, &row);
    one_page(&form.current, &state, *id, Some(secret)).await
}

/// `POST /settings/webhooks/{id}/enable`
///
/// # Errors
///
/// Fails if the user has no such webhook, the form came from elsewhere or the database does not answer.
pub async fn enable(
    state: Data<State>,
    id: Path<Uuid>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    acts::switch(&form.current, &state, *id, true).await?;
    Ok(see(format!("/settings/webhooks/{id}")))
}

/// `POST /settings/webhooks/{id}/delete`
///
/// # Errors
///
/// Fails if the user has no such webhook, the form came from elsewhere or the database does not answer.
pub async fn delete(
    state: Data<State>,
    id: Path<Uuid>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    acts::remove(&form.current, &state, *id).await?;
    Ok(see("/settings/webhooks"))
}

/// `POST /settings/webhooks/{id}/resend`
///
/// # Errors
///
/// Fails if the user has no such webhook or delivery, the form came from elsewhere or the database does not answer.
pub async fn resend(
    state: Data<State>,
    id: Path<Uuid>,
    form: CheckedForm<Again>,
) -> Result<HttpResponse, Failure> {
    acts::send_again(&form.current, &state, *id, form.form.delivery).await?;
    Ok(see(format!("/settings/webhooks/{id}")))
}

async fn list_page(
    current: &CurrentUser,
    state: &State,
    trouble: Option<String>,
    url: String,
) -> Result<HttpResponse, Failure> {
    let language = current.language();
    let w = Words::of(language);
    let mut connection = state.db.get().await?;
    let layout = frame(current, Place::Settings, w.title, &mut connection).await?;
    let rows = webhooks::of_user(current.controller_id(), current.id(), &mut connection).await?;
    drop(connection);
    let locale = locale(current);
    html(&List {
        layout,
        t: Texts::of(language),
        w,
        csrf: current.csrf().into(),
        rows: rows.into_iter().map(|row| of_row(row, &locale)).collect(),
        trouble,
        url,
    })
}

async fn one_page(
    current: &CurrentUser,
    state: &State,
    id: Uuid,
    secret: Option<String>,
) -> Result<HttpResponse, Failure> {
    let (row, deliveries) = acts::find(current, state, id).await?;
    let language = current.language();
    let w = Words::of(language);
    let mut connection = state.db.get().await?;
    let layout = frame(current, Place::Settings, w.title, &mut connection).await?;
    drop(connection);
    let locale = locale(current);
    let deliveries = deliveries
        .into_iter()
        .map(|delivery| of_delivery(delivery, &locale, w));
    html(&One {
        layout,
        t: Texts::of(language),
        w,
        csrf: current.csrf().into(),
        deliveries: deliveries.collect(),
        row: of_row(row, &locale),
        secret,
    })
}

fn of_row(row: Webhook, locale: &Locale) -> Row {
    let now = Utc::now();
    Row {
        id: row.id,
        url: row.url,
        since: locale.time(row.created_at, now),
        is_on: row.disabled_at.is_none(),
        failing: row.failing_since.map(|since| locale.time(since, now)),
    }
}

fn of_delivery(row: Delivery, locale: &Locale, w: &Words) -> DeliveryRow {
    let now = Utc::now();
    let outcome = match row.outcome.as_deref() {
        _ if row.delivered_at.is_some() => w.delivered.to_owned(),
        None => w.waiting.to_owned(),
        Some("late") => w.late.to_owned(),
        Some("no-connection") => w.no_connection.to_owned(),
        Some("refused") => w.forbidden.to_owned(),
        Some("gone" | "off" | "untracked") => w.nothing.to_owned(),
        Some(status) => w.status.replace("{status}", status),
    };
    DeliveryRow {
        id: row.id,
        time: locale.time(row.created_at, now),
        attempts: row.attempts,
        outcome,
        is_delivered: row.delivered_at.is_some(),
        next: row
            .next_at
            .filter(|_| row.attempts > 0)
            .map(|next| locale.time(next, now)),
    }
}
