// SPDX-License-Identifier: GPL-3.0-or-later
//! `/messages/{id}`: everything about one message, and the two things that can be done with it.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use askama::Template;
use chrono::Utc;
use common::{
    db::{
        links::{self, Link},
        report::{self as rows, Message},
    },
    ids::MessageId,
};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    frame::{Place, frame, locale},
    marks::{reason, state, subject},
    record::{Part, SkippedLink, parts, skipped_links},
    texts::Texts,
    timeline::{Timeline, shown, timeline},
};
use crate::{
    auth::{CheckedForm, CurrentUser, Nothing},
    failure::Failure,
    layout::Layout,
    page::{html, see},
    report::{Status, status},
    state::State,
};

/// The newest hits; the rest is counted.
const MOST: i64 = 200;

#[derive(Template)]
#[template(path = "message.html")]
struct Page {
    layout: Layout,
    t: &'static Texts,
    csrf: String,
    path: String,
    subject: String,
    recipients: Vec<String>,
    sent: String,
    sent_iso: String,
    tracked: &'static str,
    state: String,
    hint: String,
    several: Option<String>,
    is_tracked: bool,
    is_muted: bool,
    timeline: Timeline,
    machines: String,
    more: Option<String>,
    links: Vec<LinkRow>,
    parts: Vec<Part>,
    skipped: Vec<SkippedLink>,
}

struct LinkRow {
    text: String,
    host: String,
    clicks: String,
}

/// Whether a message shall be mute.
#[derive(Deserialize)]
pub struct Muting {
    muted: bool,
}

/// `GET /messages/{id}`
///
/// # Errors
///
/// Fails if the user has no such message, or the database does not answer.
pub async fn show(
    current: CurrentUser,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    let id = MessageId(*id);
    let controller = current.controller_id();
    let texts = Texts::of(current.language());
    let mut connection = state.db.get().await?;
    let (message, record) = rows::message(controller, current.id(), id, &mut connection)
        .await?
        .ok_or(Failure::NotFound)?;
    let title = subject(&message, texts);
    let layout = frame(&current, Place::Report, title, &mut connection).await?;
    let recipients = rows::recipients(controller, &[id.0], &mut connection)
        .await?
        .remove(&id.0)
        .unwrap_or_default();
    let links = links::of_message(controller, id, &mut connection).await?;
    let hits = rows::hits(controller, id, MOST, &mut connection).await?;
    drop(connection);
    let now = Utc::now();
    let locale = locale(&current);
    let is_full = i64::try_from(hits.len()).is_ok_and(|count| count >= MOST);
    let timeline = timeline(&hits, &links, &locale, now);
    html(&page(
        Found {
            layout,
            message,
            record,
            recipients,
            links,
            timeline,
            is_full,
        },
        &current,
        texts,
    ))
}

struct Found {
    layout: Layout,
    message: Message,
    record: Option<Value>,
    recipients: Vec<String>,
    links: Vec<Link>,
    timeline: Timeline,
    is_full: bool,
}

fn page(found: Found, current: &CurrentUser, texts: &'static Texts) -> Page {
    let t = &texts.message;
    let locale = locale(current);
    let message = &found.message;
    let record = found.record.unwrap_or_default();
    let several = found.recipients.len() > 1;
    Page {
        csrf: current.csrf().into(),
        path: format!("/messages/{}", message.id),
        subject: subject(message, texts),
        sent: locale.full_time(message.sent_at),
        sent_iso: message.sent_at.to_rfc3339(),
        tracked: match (message.opens, message.links) {
            (true, true) => t.opens_and_links,
            (true, false) => t.only_opens,
            (false, true) => t.only_links,
            (false, false) => t.nothing_tracked,
        },
        state: state(message, &locale),
        hint: hint(message, texts).into(),
        several: several.then(|| {
            let number = i64::try_from(found.recipients.len()).unwrap_or(i64::MAX);
            t.several.replace("{n}", &locale.number(number))
        }),
        is_tracked: status(message) != Status::Untracked,
        is_muted: message.muted,
        machines: t.machines.replace(
            "{n}",
            &locale.number(i64::try_from(found.timeline.machines.len()).unwrap_or(i64::MAX)),
        ),
        more: found
            .is_full
            .then(|| t.only_newest.replace("{n}", &locale.number(MOST))),
        links: found
            .links
            .iter()
            .map(|link| LinkRow {
                text: shown(link).into(),
                host: link.host.clone(),
                clicks: locale.number(link.click_count),
            })
            .collect(),
        parts: parts(&record, t),
        skipped: skipped_links(&record, t),
        layout: found.layout,
        recipients: found.recipients,
        timeline: found.timeline,
        t: texts,
    }
}

fn hint(message: &Message, texts: &Texts) -> &'static str {
    let t = &texts.state;
    match status(message) {
        Status::Automatic => t.automatic_hint,
        Status::Clicked => t.clicked_hint,
        Status::Opened => t.opened_hint,
        Status::Quiet => t.quiet_hint,
        Status::Unclear => t.unclear_hint,
        Status::Untracked => reason(message, texts).unwrap_or_default(),
    }
}

/// `POST /messages/{id}/mute`
///
/// # Errors
///
/// Fails if the user has no such message, or the database does not answer.
pub async fn mute(
    state: Data<State>,
    id: Path<Uuid>,
    form: CheckedForm<Muting>,
) -> Result<HttpResponse, Failure> {
    let (controller, user) = (form.current.controller_id(), form.current.id());
    let mut connection = state.db.get().await?;
    let message = MessageId(*id);
    if rows::mute(controller, user, message, form.form.muted, &mut connection).await? {
        Ok(see(format!("/messages/{id}")))
    } else {
        Err(Failure::NotFound)
    }
}

/// `POST /messages/{id}/delete`
///
/// # Errors
///
/// Fails if the user has no such message, or the database does not answer.
pub async fn delete(
    state: Data<State>,
    id: Path<Uuid>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    let (controller, user) = (form.current.controller_id(), form.current.id());
    let mut connection = state.db.get().await?;
    let now = Utc::now();
    let is_found = rows::delete(controller, user, MessageId(*id), now, &mut connection).await?;
    if is_found {
        Ok(see("/"))
    } else {
        Err(Failure::NotFound)
    }
}
