// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking: one person, by an explicit act of a user, with a mail that is not observed itself.
//!
//! At most one request for each recipient in 180 days, whoever asks; at most 20 a day for each user; never after a no.
//! Silence is no. What a user hears never tells of a refusal: "not now" covers it and every other reason of that kind.

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use common::{
    address::Address,
    config::Controller,
    consent::{
        Author, Method, Profile, Purpose, Scope, State as Said, Statement,
        chain::{hex, sha256},
        is_role,
    },
    db::{
        Connection, DbError, QueryError, Transactions,
        consent_events::{self, AppendError},
        consent_requests::{self, NewRequest},
        recipient_links::{self, Link},
        standings, subjects,
        users::User,
    },
    language::Language,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    choose::Books,
    fitness::{Unfit, fit},
    mailed::Secret,
    words::{Words, fill},
};
use crate::{
    mail::{MailError, Outgoing},
    state::State,
};

/// What came of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The user has asked as many people as one may in a day.
    DailyLimit,
    /// This person cannot be asked at present; why is not told.
    NotNow,
    Sent,
}

/// What is asked, of whom.
#[derive(Clone, Debug)]
pub struct Request {
    pub address: Address,
    pub purposes: Vec<Purpose>,
    pub scope: Scope,
}

/// Why nobody was asked.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error("the database refused")]
    Query(#[from] QueryError),
    #[error("no random numbers from the operating system")]
    Random,
    #[error("failed to write the mail")]
    Render(#[from] askama::Error),
    /// What the address itself tells, so it is no secret.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("the user's organisation is not configured")]
    Unknown,
}

/// How long the link in a request works, and the question stands.
pub const LIFETIME: TimeDelta = TimeDelta::days(30);

/// The most people that a user may ask in a day.
pub const PER_DAY: i64 = 20;

#[derive(Template)]
#[template(path = "recipient/request_mail.html")]
struct Html<'a> {
    language: &'static str,
    pieces: Vec<Piece<'a>>,
    button: &'static str,
}

/// A paragraph of a mail.
enum Piece<'a> {
    Link(&'a str),
    Text(Vec<&'a str>),
}

/// Asks.
///
/// # Errors
///
/// Fails if the address can never be asked, or if database or mail server do not serve; then nobody was asked, unless the
/// mail server broke off before it said whether it took the mail.
pub async fn send(
    state: &State,
    user: &User,
    request: &Request,
    now: DateTime<Utc>,
) -> Result<Outcome, RequestError> {
    let controller = state
        .config
        .controller(&user.controller())
        .ok_or(RequestError::Unknown)?;
    let books = Books {
        config: &state.config,
        controller,
        keys: &state.keys,
    };
    check(request, books)?;
    let secret = Secret::random().ok_or(RequestError::Random)?;
    let mail = write(books, user, request, &link(controller, &secret, user))?;
    // Whoever has refused is written to by nobody; a server that is down must not tell who that is.
    state.mailer.reach().await?;
    let hash = standings::suppression_hash(&state.keys, &request.address);
    let mut connection = state.db.get().await?;
    let outcome = connection
        .transaction(async |connection| {
            let sealed = (secret.hash(&state.keys), sha256(&mail.text));
            note(books, user, request, &hash, sealed, now, connection).await
        })
        .await?;
    if outcome == Outcome::Sent
        && let Err(error) = state.mailer.send(mail).await
    {
        // So that the user may try again where nobody has been asked; in doubt the person has been.
        if !error.is_uncertain() {
            consent_requests::forget(&controller.id, &hash, &mut connection).await?;
        }
        return Err(error.into());
    }
    Ok(outcome)
}

/// Returns the mail exactly as [`send`] would write it, but for its link.
///
/// # Errors
///
/// Fails if the address can never be asked.
pub fn preview(state: &State, user: &User, request: &Request) -> Result<Outgoing, RequestError> {
    let controller = state
        .config
        .controller(&user.controller())
        .ok_or(RequestError::Unknown)?;
    let books = Books {
        config: &state.config,
        controller,
        keys: &state.keys,
    };
    check(request, books)?;
    let url = format!("{}/c/mine/…", controller.base_url());
    write(books, user, request, &url)
}

fn check(request: &Request, books: Books<'_>) -> Result<(), Unfit> {
    let (address, controller) = (&request.address, books.controller);
    if request.purposes.is_empty() {
        return Err(Unfit::Purposes);
    }
    fit(address, books)?;
    if is_role(address) {
        return Err(Unfit::Role);
    }
    if controller.owns(address.domain()) {
        return Err(Unfit::Internal);
    }
    Ok(())
}

/// Writes the request down, unless the person cannot be asked now.
async fn note(
    books: Books<'_>,
    user: &User,
    request: &Request,
    address_hash: &[u8],
    (token_hash, mail_sha256): (Vec<u8>, [u8; 32]),
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Outcome, RequestError> {
    let id = &books.controller.id;
    consent_events::lock(id, connection).await?;
    consent_requests::lock(address_hash, connection).await?;
    let day = now - TimeDelta::days(1);
    if consent_requests::by_user_since(id, user.user_id(), day, connection).await? >= PER_DAY {
        return Ok(Outcome::DailyLimit);
    }
    if consent_requests::was_asked_since(
        id,
        address_hash,
        now - consent_requests::PAUSE,
        connection,
    )
    .await?
    {
        return Ok(Outcome::NotNow);
    }
    let one = std::slice::from_ref(&request.address);
    let found = subjects::find_or_create(id, one, connection).await?;
    let Some(subject) = found.first().copied() else {
        return Ok(Outcome::NotNow);
    };
    let request_id = Uuid::new_v4();
    let statements: Vec<Statement> = request
        .purposes
        .iter()
        .map(|purpose| Statement {
            subject,
            purpose: *purpose,
            scope: request.scope,
            state: Said::Requested,
            author: Author::Sender,
            expires_at: Some(now + LIFETIME),
            profile: Profile::CURRENT,
            notice: None,
            language: Some(language(user, books.controller)),
            method: Method::RequestMail,
            evidence: json!({
                "request": request_id.to_string(),
                "asked_by": user.login,
                "mail_sha256": hex(&mail_sha256),
            }),
        })
        .collect();
    match consent_events::append(id, &statements, books.keys, now, connection).await {
        Ok(_) => {}
        Err(AppendError::Inadmissible { .. }) => return Ok(Outcome::NotNow),
        Err(error) => return Err(error.into()),
    }
    let sent = NewRequest {
        controller_id: id.as_str(),
        request_id,
        user_id: user.id,
        address_hash,
        at: now,
    };
    consent_requests::create(&sent, connection).await?;
    let link = Link {
        controller_id: id.as_str().to_owned(),
        token_hash,
        subject_ref: subject.0,
        scope_user: Some(user.id),
        request_id: Some(request_id),
        created_at: now,
        expires_at: now + LIFETIME,
        used_at: None,
    };
    recipient_links::create(&link, connection).await?;
    Ok(Outcome::Sent)
}

fn write(
    books: Books<'_>,
    user: &User,
    request: &Request,
    url: &str,
) -> Result<Outgoing, RequestError> {
    let (controller, retention) = (books.controller, &books.config.retention);
    let language = language(user, controller);
    let words = Words::of(language);
    let sender = user.display_name.as_deref().unwrap_or(&user.login);
    let names = [("sender", sender), ("controller", controller.name.as_str())];
    let purposes: String = [
        (Purpose::Open, words.mail_request_open),
        (Purpose::Click, words.mail_request_click),
    ]
    .into_iter()
    .filter(|(purpose, _)| request.purposes.contains(purpose))
    .map(|(_, line)| format!("{line}\n"))
    .collect();
    let scope = match request.scope {
        Scope::Controller => fill(words.mail_request_controller, &names),
        Scope::Sender(_) => fill(words.mail_request_sender, &names),
    };
    let days = (retention.hits.0.as_secs() / 86_400).to_string();
    let months = (retention.grant.0.as_secs() / 86_400 / 30).to_string();
    let places = [
        ("sender", sender),
        ("controller", controller.name.as_str()),
        ("postal", &controller.address),
        ("contact", &controller.contact),
        ("scope", &scope),
        ("purposes", &purposes),
        ("days", &days),
        ("months", &months),
        ("url", url),
    ];
    let text = fill(words.mail_request, &places);
    let html = Html {
        language: language.code(),
        pieces: pieces(&text, url),
        button: words.mail_request_button,
    }
    .render()?;
    Ok(Outgoing {
        to: request.address.as_str().to_owned(),
        subject: fill(words.mail_request_subject, &places),
        text,
        html: Some(html),
    })
}

fn pieces<'a>(text: &'a str, url: &'a str) -> Vec<Piece<'a>> {
    text.split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .map(|paragraph| {
            if paragraph.contains(url) {
                Piece::Link(url)
            } else {
                Piece::Text(paragraph.lines().collect())
            }
        })
        .collect()
}

fn link(controller: &Controller, secret: &Secret, user: &User) -> String {
    let language = language(user, controller).code();
    format!(
        "{}/c/mine/{}?lang={language}",
        controller.base_url(),
        secret.text()
    )
}

fn language(user: &User, controller: &Controller) -> Language {
    user.language().unwrap_or(controller.language)
}
