// SPDX-License-Identifier: GPL-3.0-or-later
//! `POST /c/mine/SECRET` and `POST /c/mine`: what the owner of an address does: choose, see, download, freeze, erase.
//!
//! The first act uses the link up, in the transaction that does it; an untouched form does nothing and uses nothing up.
//! Further acts, of which there is an end, prove themselves by the session that the answer carries, for half an hour.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Bytes, Data, Path},
};
use chrono::{DateTime, TimeDelta, Utc};
use common::{consent::is_list, db::erasures::Suppression};

use super::{
    document::Depth,
    form::{Choice, Form},
    mailed::{Secret, open_session},
    message_show::{invalid, unavailable},
    mine_perform::{Act, ActError, Format, Proof, perform},
    mine_show::{self, Person, find, is_unused, used},
    notice::Notice,
    page, to_the_end,
    words::Words,
};
use crate::state::State;

const SESSION: TimeDelta = TimeDelta::minutes(30);

type Complaint = (StatusCode, fn(&Words) -> &'static str);

/// Takes a form on the page that a link led to.
pub async fn mine_act(
    request: HttpRequest,
    secret: Path<String>,
    body: Bytes,
    state: Data<State>,
) -> HttpResponse {
    to_the_end(act(request, secret, body, state)).await
}

async fn act(
    request: HttpRequest,
    secret: Path<String>,
    body: Bytes,
    state: Data<State>,
) -> HttpResponse {
    let Some(secret) = Secret::parse(&secret) else {
        return invalid(&request, &state);
    };
    let now = Utc::now();
    let action = format!("/c/mine/{}", secret.text());
    match find(&secret.hash(&state.keys), &state).await {
        Ok(Some(person)) if is_unused(&person.link, now) => {
            let form = Form::read(&body);
            handle(person, Proof::Link, &action, &form, &request, &state, now).await
        }
        Ok(Some(_)) => used(&request, &state),
        Ok(None) => invalid(&request, &state),
        Err(error) => unavailable(&error, &request, &state),
    }
}

/// Takes a form on a page that followed.
pub async fn mine_go_on(request: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    to_the_end(go_on(request, body, state)).await
}

async fn go_on(request: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    let form = Form::read(&body);
    let now = Utc::now();
    let hash = form
        .value("session")
        .and_then(|session| open_session(session, &state.keys));
    let Some(hash) = hash else {
        return invalid(&request, &state);
    };
    match find(&hash, &state).await {
        Ok(Some(person)) => {
            let is_open = person.link.used_at.is_some_and(|at| now < at + SESSION);
            if is_open {
                handle(
                    person,
                    Proof::Session,
                    "/c/mine",
                    &form,
                    &request,
                    &state,
                    now,
                )
                .await
            } else {
                used(&request, &state)
            }
        }
        Ok(None) => used(&request, &state),
        Err(error) => unavailable(&error, &request, &state),
    }
}

async fn handle(
    person: Person<'_>,
    proof: Proof,
    action: &str,
    form: &Form,
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> HttpResponse {
    let act = match understand(&person, form, request, state) {
        Ok(act) => act,
        Err((status, error)) => {
            return ask_again(&person, proof, action, (status, error), request, state, now).await;
        }
    };
    match perform(person, proof, act, request, state, now).await {
        Ok(response) => response,
        Err(ActError::Used) => used(request, state),
        Err(error) => unavailable(&error, request, state),
    }
}

/// Reads what is to be done, and checks that this link may do it; changes nothing.
fn understand(
    person: &Person<'_>,
    form: &Form,
    request: &HttpRequest,
    state: &State,
) -> Result<Act, Complaint> {
    let is_own = person.link.request_id.is_none();
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let act = match form.value("act") {
        Some("choose") => {
            let sender = person.sender.as_ref().map(|sender| sender.id);
            let choice = form.choice(sender).ok_or((
                unprocessable,
                (|words| words.choose_each) as fn(&Words) -> _,
            ))?;
            if choice.allows() {
                may_allow(person, form, request, state)?;
            }
            Act::Choose(choice)
        }
        Some("refuse-all") => Act::Choose(Choice::refuse_all()),
        Some("see") => Act::See,
        Some("json") => Act::Download(Depth::Everything, Format::Json),
        Some("text") => Act::Download(Depth::Everything, Format::Text),
        Some("receipt-json") => Act::Download(Depth::Receipt, Format::Json),
        Some("receipt-text") => Act::Download(Depth::Receipt, Format::Text),
        Some("freeze") => Act::Freeze,
        Some("unfreeze") => Act::Unfreeze,
        Some("erase") if !form.says("confirm", "yes") => {
            return Err((unprocessable, |words| words.choose_confirm));
        }
        Some("erase") if form.says("forget", "yes") => Act::Erase(Suppression::Forget),
        Some("erase") => Act::Erase(Suppression::Keep),
        _ => return Err((unprocessable, |words| words.choose_each)),
    };
    // A mail that asks may lie about for weeks and be passed on: its link only answers the question.
    let is_receipt = matches!(act, Act::Download(Depth::Receipt, _));
    if is_own || is_receipt || matches!(act, Act::Choose(_)) {
        Ok(act)
    } else {
        Err((StatusCode::FORBIDDEN, |words| words.used))
    }
}

fn may_allow(
    person: &Person<'_>,
    form: &Form,
    request: &HttpRequest,
    state: &State,
) -> Result<(), Complaint> {
    if is_list(&person.address) {
        return Err((StatusCode::FORBIDDEN, |words| words.list));
    }
    let language = page::language(request, person.controller);
    let notice = Notice::new(person.controller, &state.config.retention, language);
    if form.value("notice") == Some(notice.hash_hex().as_str()) {
        Ok(())
    } else {
        Err((StatusCode::CONFLICT, |words| words.changed))
    }
}

async fn ask_again(
    person: &Person<'_>,
    proof: Proof,
    action: &str,
    (status, error): Complaint,
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> HttpResponse {
    let page = match proof {
        Proof::Link => Ok(mine_show::show(person, action, request, state)),
        Proof::Session => mine_show::show_more(person, request, state, now).await,
    };
    match page {
        Ok(mut page) => {
            page.error = Some(error(page.frame.words));
            page::respond(status, &page)
        }
        Err(error) => unavailable(&error, request, state),
    }
}
