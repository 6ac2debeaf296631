// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /c/mine/SECRET`: the page that a mailed link leads to. Read-only: the link is used up by a POST, because mail
//! scanners follow links.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use chrono::{DateTime, Utc};
use common::{
    address::Address,
    config::Controller,
    consent::{Purpose, State as Said, is_list},
    db::{
        Connection, DbError,
        consent_events::{self, Recorded},
        recipient_links::{self, Link},
        standings, subjects, users,
    },
    ids::{ControllerId, SubjectRef, UserId},
};

use super::{
    mailed::{Secret, session},
    message_show::{ids, invalid, unavailable, version},
    notice::Notice,
    page::{self, Frame, Plain},
    when,
    words::{Words, fill},
};
use crate::{layout::Layout, state::State};

/// Whose link it is.
pub struct Person<'a> {
    pub controller: &'a Controller,
    pub link: Link,
    pub subject: SubjectRef,
    pub address: Address,
    pub sender: Option<Sender>,
}

/// The sender whose mail, or whose request, led here.
pub struct Sender {
    pub id: UserId,
    pub name: String,
}

/// The page.
#[derive(Template)]
#[template(path = "recipient/mine.html")]
pub struct Page {
    pub layout: Layout,
    pub frame: Frame,
    pub error: Option<&'static str>,
    /// What was just done.
    pub done: Vec<String>,
    pub intro: String,
    /// The path that forms are sent to.
    pub action: String,
    /// Shown and sent back once the link has been used.
    pub session: Option<String>,
    /// Whether the link may do more than choose.
    pub is_own: bool,
    pub is_list: bool,
    pub is_frozen: bool,
    pub scope_sender: Option<String>,
    pub scope_controller: String,
    /// What stands; shown only once the link has been used.
    pub standing: Option<Vec<String>>,
    /// The data, as text.
    pub data: Option<String>,
    /// Whether there is a receipt to download.
    pub has_receipt: bool,
    pub notice: Notice,
    pub notice_hash: String,
    pub version: String,
}

/// Shows the page.
pub async fn mine_show(
    request: HttpRequest,
    secret: Path<String>,
    state: Data<State>,
) -> HttpResponse {
    let Some(secret) = Secret::parse(&secret) else {
        return invalid(&request, &state);
    };
    match find(&secret.hash(&state.keys), &state).await {
        Ok(Some(person)) if is_unused(&person.link, Utc::now()) => {
            let page = show(
                &person,
                &format!("/c/mine/{}", secret.text()),
                &request,
                &state,
            );
            page::respond(StatusCode::OK, &page)
        }
        Ok(Some(_)) => used(&request, &state),
        Ok(None) => invalid(&request, &state),
        Err(error) => unavailable(&error, &request, &state),
    }
}

/// `GET /c/mine`: what is left when a page that followed a mailed link is loaded again.
pub async fn mine_again(request: HttpRequest, state: Data<State>) -> HttpResponse {
    used(&request, &state)
}

/// Returns whose link has that hash.
pub async fn find<'a>(hash: &[u8], state: &'a State) -> Result<Option<Person<'a>>, DbError> {
    let mut connection = state.db.get().await?;
    let Some(link) = recipient_links::find(&ids(&state.config), hash, &mut connection).await?
    else {
        return Ok(None);
    };
    let id = ControllerId(link.controller_id.clone());
    let subject = SubjectRef(link.subject_ref);
    let address = subjects::get(&id, subject, &mut connection).await?;
    let (Some(controller), Some((address, _))) = (state.config.controller(&id), address) else {
        return Ok(None);
    };
    let sender = match link.scope_user {
        Some(user) => users::get(&id, UserId(user), &mut connection)
            .await?
            .map(|user| Sender {
                id: user.user_id(),
                name: user.display_name.unwrap_or(user.login),
            }),
        None => None,
    };
    Ok(Some(Person {
        controller,
        link,
        subject,
        address,
        sender,
    }))
}

/// Tells whether a link may still be used.
pub fn is_unused(link: &Link, now: DateTime<Utc>) -> bool {
    link.used_at.is_none() && now < link.expires_at
}

/// Makes the page as a stranger to the mailbox may see it: the address masked, nothing about what stands.
pub fn show(person: &Person<'_>, action: &str, request: &HttpRequest, state: &State) -> Page {
    let controller = person.controller;
    let frame = Frame::new(controller, request, |words| words.mine_title);
    let words = frame.words;
    let notice = Notice::new(controller, &state.config.retention, frame.language);
    let places = [
        ("address", person.address.masked()),
        ("controller", controller.name.clone()),
    ]
    .map(|(place, value)| (place, value));
    let places: Vec<(&str, &str)> = places
        .iter()
        .map(|(place, value)| (*place, value.as_str()))
        .collect();
    Page {
        layout: frame.layout(),
        error: None,
        done: Vec::new(),
        intro: fill(words.mine_intro, &places),
        action: format!("{action}?lang={}", frame.language.code()),
        session: None,
        is_own: person.link.request_id.is_none(),
        is_list: is_list(&person.address),
        is_frozen: false,
        scope_sender: person
            .sender
            .as_ref()
            .map(|sender| fill(words.scope_sender, &[("sender", &sender.name)])),
        scope_controller: fill(words.scope_controller, &places),
        standing: None,
        data: None,
        has_receipt: false,
        version: version(&notice, &frame),
        notice_hash: notice.hash_hex(),
        notice,
        frame,
    }
}

/// Makes the page that follows the use of a link: the whole address, what stands, and the session.
pub async fn show_more(
    person: &Person<'_>,
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> Result<Page, DbError> {
    let mut page = show(person, "/c/mine", request, state);
    let words = page.frame.words;
    page.frame.has_languages = false;
    page.intro = fill(
        words.mine_intro,
        &[
            ("address", person.address.as_str()),
            ("controller", &person.controller.name),
        ],
    );
    page.session = Some(session(&person.link, &state.keys));
    let mut connection = state.db.get().await?;
    let id = &person.controller.id;
    let standing = standings::by_subject(id, &[person.subject], &state.keys, &mut connection)
        .await?
        .remove(&person.subject)
        .unwrap_or_default();
    let events = consent_events::of_subject(id, person.subject, &mut connection).await?;
    let mut lines = Vec::new();
    if standing.is_suppressed {
        lines.push(words.suppressed.to_owned());
    }
    if standing.is_restricted {
        lines.push(words.frozen.to_owned());
    }
    page.is_frozen = standing.is_restricted;
    lines.extend(stands(person, &events, words, now, &mut connection).await?);
    page.standing = Some(lines);
    page.has_receipt = !events.is_empty();
    Ok(page)
}

/// Answers that a link has been used or has expired.
pub fn used(request: &HttpRequest, state: &State) -> HttpResponse {
    let Some(controller) = page::controller_of(state, request) else {
        return HttpResponse::Gone().finish();
    };
    let frame = Frame::new(controller, request, |words| words.used_title);
    let line = frame.words.used;
    page::respond(StatusCode::GONE, &Plain::alert(frame, &[line]))
}

/// Returns the newest statement about each purpose and scope, in words.
async fn stands(
    person: &Person<'_>,
    events: &[Recorded],
    words: &'static Words,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<String>, DbError> {
    let mut newest: Vec<&Recorded> = Vec::new();
    for event in events {
        newest.retain(|other| {
            (&other.purpose, other.scope_user) != (&event.purpose, event.scope_user)
        });
        newest.push(event);
    }
    let mut lines = Vec::new();
    for event in newest {
        let purpose = match Purpose::from_code(&event.purpose) {
            Some(Purpose::Click) => words.legend_click,
            Some(Purpose::Open) => words.legend_open,
            None => continue,
        };
        let scope = match event.scope_user {
            None => fill(
                words.scope_controller,
                &[("controller", &person.controller.name)],
            ),
            Some(user) => {
                let user = users::get(&person.controller.id, UserId(user), connection).await?;
                let name =
                    user.map_or_else(String::new, |user| user.display_name.unwrap_or(user.login));
                fill(words.scope_sender, &[("sender", &name)])
            }
        };
        let ended = event.expires_at.filter(|end| *end <= now);
        let state = match (Said::from_code(&event.state), ended) {
            (Some(Said::Granted), Some(_)) | (Some(Said::Expired), _) => words.expired,
            (Some(Said::Granted), None) => words.granted,
            (Some(Said::Denied), _) => words.denied,
            (Some(Said::Invalidated), _) => words.invalidated,
            (Some(Said::Requested), _) => words.requested,
            (Some(Said::Withdrawn), _) => words.withdrawn,
            (None, _) => continue,
        };
        let until = event
            .expires_at
            .filter(|end| *end > now)
            .map_or_else(String::new, |end| {
                format!(", {}", fill(words.until, &[("date", &when(end))]))
            });
        lines.push(format!(
            "{purpose} · {scope}: {state} ({}{until})",
            when(event.at)
        ));
    }
    if lines.is_empty() {
        lines.push(words.now_nothing.to_owned());
    }
    Ok(lines)
}
