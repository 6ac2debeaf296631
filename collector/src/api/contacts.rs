// SPDX-License-Identifier: GPL-3.0-or-later
//! `/api/v1/contacts`, `/api/v1/consent-requests` and `/api/v1/consents`: recipients, asking them, and writing down what
//! they said elsewhere. No answer tells of a refusal.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use chrono::Utc;
use common::{
    address::Address,
    consent::{Purpose, Scope},
    db::DbError,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::messages::known_cursor;
use crate::{
    auth::{CheckedJson, CurrentUser},
    contacts::{Contact, page, scope},
    failure::Failure,
    moment,
    recipient::{
        attest::{self, AttestError, Attestation},
        request::{self, Outcome, Request, RequestError},
    },
    state::State,
};

const USUAL: usize = 50;
const MOST: usize = 200;
const LONGEST_SEARCH: usize = 200;

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default)]
    q: String,
    limit: Option<usize>,
    before: Option<String>,
}

/// Somebody who shall be asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    recipient: String,
    purposes: Vec<String>,
    #[serde(default = "sender")]
    scope: String,
}

/// What somebody said elsewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    recipient: String,
    purposes: Vec<String>,
    #[serde(default = "sender")]
    scope: String,
    /// A time (RFC 3339), or a date.
    given_at: String,
    channel: String,
    evidence: String,
}

/// `GET /api/v1/contacts`
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
    if asked.q.chars().count() > LONGEST_SEARCH {
        return Err(Failure::BadRequest(format!(
            "\"q\" is longer than {LONGEST_SEARCH} characters"
        )));
    }
    let before = asked.before.as_deref().map(known_cursor).transpose()?;
    let mut connection = state.db.get().await?;
    let page = page(
        &current,
        &state,
        asked.q.trim(),
        before,
        limit,
        &mut connection,
    )
    .await?;
    let contacts: Vec<Value> = page.contacts.iter().map(contact).collect();
    Ok(HttpResponse::Ok().json(json!({ "contacts": contacts, "next": page.next })))
}

/// Brings a contact into the shape of the API.
pub(super) fn contact(contact: &Contact) -> Value {
    json!({
        "address": contact.address,
        "tracking": if contact.is_tracked { "on" } else { "off" },
        "messages": contact.messages,
        "last_sent_at": contact.last_sent_at,
    })
}

/// `POST /api/v1/consent-requests`
///
/// # Errors
///
/// Fails if the request makes no sense by itself, or the database or the mail server does not serve.
pub async fn ask(asking: CheckedJson<Asking>, state: Data<State>) -> Result<HttpResponse, Failure> {
    let body = &asking.body;
    let request = Request {
        address: address(&body.recipient)?,
        purposes: purposes(&body.purposes)?,
        scope: scope_named(&body.scope, &asking.current)?,
    };
    send(&state, &asking.current, &request).await?;
    Ok(HttpResponse::build(StatusCode::ACCEPTED).json(json!({ "status": "accepted" })))
}

/// `POST /api/v1/consents`
///
/// # Errors
///
/// Fails if the attestation makes no sense by itself, or the database does not answer.
pub async fn attest(said: CheckedJson<Said>, state: Data<State>) -> Result<HttpResponse, Failure> {
    let body = &said.body;
    let attestation = Attestation {
        address: address(&body.recipient)?,
        purposes: purposes(&body.purposes)?,
        scope: scope_named(&body.scope, &said.current)?,
        given_at: moment::read(&body.given_at).ok_or_else(|| {
            Failure::Unprocessable("\"given_at\" must be a time or a date".into())
        })?,
        channel: body.channel.clone(),
        evidence: body.evidence.clone(),
        notice: None,
        role_reason: None,
    };
    write(&state, &said.current, &attestation).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(json!({ "status": "recorded" })))
}

/// Asks somebody. That a person cannot be asked now is not told.
///
/// # Errors
///
/// Fails if the request makes no sense by itself, too many were asked today, or database or mail server do not serve.
pub async fn send(state: &State, current: &CurrentUser, request: &Request) -> Result<(), Failure> {
    match request::send(state, &current.user, request, Utc::now()).await {
        Ok(Outcome::DailyLimit) => Err(Failure::TooOften),
        Ok(Outcome::NotNow | Outcome::Sent) => Ok(()),
        Err(error) => Err(asking_failed(error)),
    }
}

/// Puts a failure to ask into our terms.
pub fn asking_failed(error: RequestError) -> Failure {
    match error {
        RequestError::Db(error) => error.into(),
        RequestError::Query(error) => error.into(),
        RequestError::Unfit(unfit) => Failure::Unprocessable(unfit.to_string()),
        RequestError::Mail(error) => error.into(),
        _ => Failure::Internal("a request for consent failed"),
    }
}

/// Writes down what somebody said elsewhere.
///
/// # Errors
///
/// Fails if it makes no sense by itself, or the database does not answer.
pub async fn write(
    state: &State,
    current: &CurrentUser,
    attestation: &Attestation,
) -> Result<(), Failure> {
    match attest::record(state, &current.user, attestation, Utc::now()).await {
        Ok(()) => Ok(()),
        Err(AttestError::Unfit(unfit)) => Err(Failure::Unprocessable(unfit.to_string())),
        Err(AttestError::Db(error)) => Err(error.into()),
        Err(AttestError::Query(error)) => Err(DbError::from(error).into()),
        Err(AttestError::Append(_)) => Err(Failure::Internal("an attestation was not written")),
    }
}

fn address(text: &str) -> Result<Address, Failure> {
    Address::parse(text)
        .ok_or_else(|| Failure::Unprocessable("\"recipient\" must be a mail address".into()))
}

fn purposes(names: &[String]) -> Result<Vec<Purpose>, Failure> {
    let wrong = || Failure::Unprocessable("\"purposes\" must be open, click or both".into());
    if names.is_empty() || names.len() > Purpose::ALL.len() {
        return Err(wrong());
    }
    names
        .iter()
        .map(|name| Purpose::from_code(name).ok_or_else(wrong))
        .collect()
}

fn scope_named(name: &str, current: &CurrentUser) -> Result<Scope, Failure> {
    scope(name, current.id())
        .ok_or_else(|| Failure::Unprocessable("\"scope\" must be sender or controller".into()))
}

fn sender() -> String {
    "sender".into()
}
