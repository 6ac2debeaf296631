// SPDX-License-Identifier: GPL-3.0-or-later
//! `POST /c/TOKEN`: stops recording, at once.
//!
//! Whoever holds the message may do it, so it can refuse and withdraw and nothing else; for the rest it has a link mailed
//! to the address that received the message.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Bytes, Data, Path},
};
use chrono::{DateTime, Utc};
use common::{
    consent::{Author, Method},
    db::{
        DbError, QueryError, Transactions,
        consent_events::{AppendError, Recorded},
        withdrawals,
    },
    ids::{MessageId, SubjectRef, UserId},
};
use serde_json::{Map, Value};

use super::{
    choose::{self, Books, Circumstances},
    claim::Claim,
    desk::{self, Order, Whom},
    form::{Choice, Form},
    message_show::{self, Found, StandsFor, look_up},
    page::{self, Frame, Plain},
    to_the_end,
};
use crate::{journal, state::State};

/// Takes the form, or the one-click withdrawal.
pub async fn message_save(
    request: HttpRequest,
    token: Path<String>,
    body: Bytes,
    state: Data<State>,
) -> HttpResponse {
    to_the_end(save(request, token, body, state)).await
}

async fn save(
    request: HttpRequest,
    token: Path<String>,
    body: Bytes,
    state: Data<State>,
) -> HttpResponse {
    let Some(claim) = Claim::open(&state.keys, &token) else {
        return message_show::invalid(&request, &state);
    };
    let found = match look_up(claim, &request, &state).await {
        Ok(Some(found)) => found,
        Ok(None) => return message_show::invalid(&request, &state),
        Err(error) => return message_show::unavailable(&error, &request, &state),
    };
    let form = Form::read(&body);
    let now = Utc::now();
    match act(&found, &form, &request, &state, now).await {
        Ok(response) => response,
        Err(error) => message_show::unavailable(&error, &request, &state),
    }
}

#[derive(Debug, thiserror::Error)]
enum SaveError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the database refused")]
    Query(#[from] QueryError),
}

async fn act(
    found: &Found<'_>,
    form: &Form,
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> Result<HttpResponse, SaveError> {
    let method = if form.is_one_click() {
        Method::OneClick
    } else {
        Method::Page
    };
    let stops_all = form.is_one_click() || form.says("act", "stop");
    match &found.stands_for {
        StandsFor::Message { message, .. } => {
            let message_id = MessageId(message.id);
            match found.stands_for.only_recipient() {
                Some(subject) if !form.says("act", "stop-message") => {
                    let one = One {
                        subject,
                        sender: Some(UserId(message.user_id)),
                        message: Some(message_id),
                    };
                    act_for_one(&one, found, form, (method, stops_all), request, state, now).await
                }
                _ if stops_all || form.says("act", "stop-message") => {
                    let mut connection = state.db.get().await?;
                    let id = &found.controller.id;
                    let is_new = connection
                        .transaction(async |connection| {
                            withdrawals::stop_message(id, message_id, now, connection).await
                        })
                        .await?;
                    if is_new {
                        journal::write_stop(&state.config, id, message_id, now).await;
                    }
                    Ok(said(found, request, |words| words.done_stopped_message))
                }
                _ => Ok(asks_again(found, request, state)),
            }
        }
        StandsFor::Person { subject, sender } => {
            let one = One {
                subject: *subject,
                sender: *sender,
                message: None,
            };
            act_for_one(&one, found, form, (method, stops_all), request, state, now).await
        }
        // Stopping what is not there has been done already.
        StandsFor::Nothing if stops_all => Ok(said(found, request, |words| words.message_gone)),
        StandsFor::Nothing => Ok(asks_again(found, request, state)),
    }
}

/// The one person for whom a token may speak.
struct One {
    subject: SubjectRef,
    sender: Option<UserId>,
    message: Option<MessageId>,
}

async fn act_for_one(
    one: &One,
    found: &Found<'_>,
    form: &Form,
    (method, stops_all): (Method, bool),
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> Result<HttpResponse, SaveError> {
    if form.says("act", "link") {
        let order = Order {
            controller: found.controller.id.clone(),
            whom: Whom::Subject(one.subject),
            language: page::language(request, found.controller),
            sender: one.sender,
        };
        let from = desk::asker(request, state);
        state.desk.take(order, from, state, now);
        return Ok(said(found, request, |words| words.link_sent));
    }
    let choice = if stops_all {
        Some(Choice::refuse_all())
    } else {
        form.choice(one.sender)
    };
    let Some(choice) = choice else {
        return Ok(asks_again(found, request, state));
    };
    if choice.allows() {
        return Ok(forbidden(found, request));
    }
    if !choice.refuses() {
        return Ok(said(found, request, |words| words.done_kept));
    }
    let recorded = refuse(one, found, &choice, method, request, state, now).await?;
    let frame = Frame::new(found.controller, request, |words| words.done_title);
    let mut page = Plain::said(frame, vec![]);
    page.lines = vec![page.frame.words.done_stopped.to_owned()];
    page.receipt = (!recorded.is_empty()).then(|| short_receipt(&recorded));
    Ok(page::respond(StatusCode::OK, &page))
}

async fn refuse(
    one: &One,
    found: &Found<'_>,
    choice: &Choice,
    method: Method,
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> Result<Vec<Recorded>, SaveError> {
    let books = Books {
        config: &state.config,
        controller: found.controller,
        keys: &state.keys,
    };
    let language = (method == Method::Page).then(|| page::language(request, found.controller));
    let mut evidence = Map::new();
    evidence.insert("by".into(), "the link in a message".into());
    if let Some(message) = one.message {
        evidence.insert("message".into(), Value::from(message.0.to_string()));
    }
    let mut connection = state.db.get().await?;
    let entries = connection
        .transaction(async |connection| {
            let circumstances = Circumstances {
                author: Author::Recipient,
                method,
                language,
                evidence: evidence.clone(),
            };
            let subject = one.subject;
            choose::record(books, subject, choice, circumstances, now, connection).await
        })
        .await?;
    journal::write_statements(books, &entries, &mut connection).await;
    Ok(entries)
}

/// Names the records without naming the person: whoever holds the message may see this.
fn short_receipt(recorded: &[Recorded]) -> String {
    recorded
        .iter()
        .map(|entry| {
            format!(
                "{} {} {} {}\n",
                entry.at.format("%Y-%m-%dT%H:%M:%SZ"),
                entry.purpose,
                entry.state,
                entry.event_id
            )
        })
        .collect()
}

fn said(
    found: &Found<'_>,
    request: &HttpRequest,
    line: fn(&super::words::Words) -> &'static str,
) -> HttpResponse {
    let frame = Frame::new(found.controller, request, |words| words.done_title);
    let lines = vec![line(frame.words).to_owned()];
    page::respond(StatusCode::OK, &Plain::said(frame, lines))
}

fn asks_again(found: &Found<'_>, request: &HttpRequest, state: &State) -> HttpResponse {
    let mut page = message_show::show(found, None, request, state);
    page.error = Some(page.frame.words.choose_each);
    page::respond(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn forbidden(found: &Found<'_>, request: &HttpRequest) -> HttpResponse {
    let frame = Frame::new(found.controller, request, |words| words.forbidden_title);
    let lines = [frame.words.unchanged, frame.words.forbidden];
    let mut page = Plain::alert(frame, &lines);
    page.offers_link = true;
    page::respond(StatusCode::FORBIDDEN, &page)
}
