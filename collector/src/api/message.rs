// SPDX-License-Identifier: GPL-3.0-or-later
//! `/api/v1/messages/{id}`: one message with its links and everything that was seen.

use std::collections::HashMap;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use chrono::{DateTime, Utc};
use common::{
    db::{
        links::{self, Link},
        report::{self as rows, Hit},
    },
    ids::MessageId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::messages::MessageJson;
use crate::{
    auth::{CheckedJson, CurrentUser},
    failure::Failure,
    sender::client,
    state::State,
};

/// The newest hits are shown; a message that was swept by machines all day has more than anybody reads.
const MOST_EVENTS: i64 = 1000;

#[derive(Serialize)]
pub(super) struct Event {
    id: Uuid,
    kind: String,
    at: DateTime<Utc>,
    class: String,
    confidence: i16,
    settled: bool,
    reasons: Vec<String>,
    client: Option<String>,
    link: Option<EventLink>,
    /// Known where the message went to one recipient only; even then it may have been passed on.
    recipient: Option<String>,
    duplicate_of: Option<Uuid>,
}

#[derive(Clone, Serialize)]
struct EventLink {
    ordinal: i16,
    host: String,
    text: String,
}

#[derive(Serialize)]
pub(super) struct LinkJson {
    ordinal: i16,
    host: String,
    text: String,
    click_count: i32,
}

/// What may be changed about a message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    muted: bool,
}

/// `GET /api/v1/messages/{id}`
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
    let mut connection = state.db.get().await?;
    let (message, record) = rows::message(controller, current.id(), id, &mut connection)
        .await?
        .ok_or(Failure::NotFound)?;
    let recipients = rows::recipients(controller, &[id.0], &mut connection)
        .await?
        .remove(&id.0)
        .unwrap_or_default();
    let links = links::of_message(controller, id, &mut connection).await?;
    let hits = rows::hits(controller, id, MOST_EVENTS, &mut connection).await?;

    let alone = match recipients.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    };
    let by_ordinal: HashMap<i16, &Link> = links.iter().map(|link| (link.ordinal, link)).collect();
    let mut events: Vec<Event> = hits
        .into_iter()
        .map(|hit| event(hit, &by_ordinal, alone.as_ref()))
        .collect();
    events.reverse();
    let links: Vec<LinkJson> = links.iter().map(link).collect();
    let mut answer = json!(MessageJson::new(message, recipients));
    if let Value::Object(answer) = &mut answer {
        answer.insert("events".into(), json!(events));
        // In place of the word whether links were rewritten: here stand those that were.
        answer.insert("links".into(), json!(links));
        answer.insert("record".into(), json!(record));
    }
    Ok(HttpResponse::Ok().json(answer))
}

/// `PATCH /api/v1/messages/{id}`: whether it notifies.
///
/// # Errors
///
/// Fails if the user has no such message, or the database does not answer.
pub async fn change(
    change: CheckedJson<Change>,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    let current = &change.current;
    let mut connection = state.db.get().await?;
    let is_found = rows::mute(
        current.controller_id(),
        current.id(),
        MessageId(*id),
        change.body.muted,
        &mut connection,
    )
    .await?;
    if is_found {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Failure::NotFound)
    }
}

/// `DELETE /api/v1/messages/{id}`: the message and everything recorded about it.
///
/// # Errors
///
/// Fails if the user has no such message, or the database does not answer.
pub async fn delete(
    current: CurrentUser,
    state: Data<State>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Failure> {
    let mut connection = state.db.get().await?;
    let (controller, user) = (current.controller_id(), current.id());
    let now = Utc::now();
    let is_found = rows::delete(controller, user, MessageId(*id), now, &mut connection).await?;
    if is_found {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Failure::NotFound)
    }
}

pub(super) fn event(hit: Hit, links: &HashMap<i16, &Link>, recipient: Option<&String>) -> Event {
    let link = links.get(&hit.ordinal).map(|link| EventLink {
        ordinal: link.ordinal,
        host: link.host.clone(),
        text: link.label.clone(),
    });
    let client = client(&hit).map(str::to_owned);
    Event {
        id: hit.id,
        kind: hit.kind,
        at: hit.at,
        class: hit.class,
        confidence: hit.confidence,
        settled: hit.settled,
        reasons: hit.reasons,
        client,
        link,
        recipient: recipient.cloned(),
        duplicate_of: hit.duplicate_of,
    }
}

pub(super) fn link(link: &Link) -> LinkJson {
    LinkJson {
        ordinal: link.ordinal,
        host: link.host.clone(),
        text: link.label.clone(),
        click_count: link.click_count,
    }
}
