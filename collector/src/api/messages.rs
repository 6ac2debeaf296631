// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /api/v1/messages`: the report as data, page by page, and the shape of a message.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use chrono::{DateTime, Utc};
use common::db::report::{self as rows, Filter, Message, Wanted};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    auth::CurrentUser,
    failure::Failure,
    report::{Cursor, filter, status},
    state::State,
};

const USUAL: i64 = 50;
const MOST: i64 = 200;
/// Nobody searches for more than this.
const LONGEST_SEARCH: usize = 200;

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    state: Option<String>,
    q: Option<String>,
    limit: Option<i64>,
    before: Option<String>,
}

/// A message as the API shows it.
#[derive(Serialize)]
pub struct MessageJson {
    id: Uuid,
    message_id: Option<String>,
    subject: String,
    recipients: Vec<String>,
    sent_at: DateTime<Utc>,
    opens: bool,
    links: bool,
    reason: Option<String>,
    status: &'static str,
    open_count: i32,
    first_open_at: Option<DateTime<Utc>>,
    last_open_at: Option<DateTime<Utc>>,
    click_count: i32,
    first_click_at: Option<DateTime<Utc>>,
    last_click_at: Option<DateTime<Utc>>,
    automatic_count: i32,
    muted: bool,
}

#[derive(Serialize)]
struct Answer {
    messages: Vec<MessageJson>,
    next: Option<String>,
}

impl MessageJson {
    /// Brings a row and its recipients into the shape of the API.
    pub fn new(row: Message, recipients: Vec<String>) -> Self {
        let status = status(&row).code();
        Self {
            id: row.id,
            message_id: row.message_id_header,
            subject: row.subject,
            recipients,
            sent_at: row.sent_at,
            opens: row.opens,
            links: row.links,
            reason: row.reason,
            status,
            open_count: row.open_count,
            first_open_at: row.first_open_at,
            last_open_at: row.last_open_at,
            click_count: row.click_count,
            first_click_at: row.first_click_at,
            last_click_at: row.last_click_at,
            automatic_count: row.automatic_count,
            muted: row.muted,
        }
    }
}

/// `GET /api/v1/messages`
///
/// # Errors
///
/// Fails if what is asked for makes no sense, or the database does not answer.
pub async fn list(
    current: CurrentUser,
    state: Data<State>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let limit = limit(&asked)?;
    let wanted = wanted(&asked)?;
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    // One more tells whether there is a next page.
    let mut found = rows::messages(controller, user, &wanted, limit + 1, &mut connection).await?;
    let has_more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if has_more {
        found.pop();
    }
    let next = found.last().filter(|_| has_more).map(cursor);
    let ids: Vec<Uuid> = found.iter().map(|message| message.id).collect();
    let mut recipients = rows::recipients(controller, &ids, &mut connection).await?;
    let messages = found.into_iter().map(|message| {
        let recipients = recipients.remove(&message.id).unwrap_or_default();
        MessageJson::new(message, recipients)
    });
    Ok(HttpResponse::Ok().json(Answer {
        messages: messages.collect(),
        next,
    }))
}

/// Reads how many are wanted.
///
/// # Errors
///
/// Says that it makes no sense.
pub(super) fn limit(asked: &Asked) -> Result<i64, Failure> {
    let limit = asked.limit.unwrap_or(USUAL);
    if (1..=MOST).contains(&limit) {
        Ok(limit)
    } else {
        Err(Failure::BadRequest(format!(
            "\"limit\" must be from 1 to {MOST}"
        )))
    }
}

/// Reads the filter, the search and the cursor.
///
/// # Errors
///
/// Says which of them makes no sense.
pub(super) fn wanted(asked: &Asked) -> Result<Wanted, Failure> {
    let filter = asked.state.as_deref().map(known_filter).transpose()?;
    if asked
        .q
        .as_ref()
        .is_some_and(|q| q.chars().count() > LONGEST_SEARCH)
    {
        return Err(Failure::BadRequest(format!(
            "\"q\" is longer than {LONGEST_SEARCH} characters"
        )));
    }
    let before = asked.before.as_deref().map(known_cursor).transpose()?;
    Ok(Wanted {
        filter,
        search: asked.q.clone(),
        before,
    })
}

fn known_filter(name: &str) -> Result<Filter, Failure> {
    filter(name).ok_or_else(|| {
        Failure::BadRequest("\"state\" must be tracked, opened, clicked, quiet or untracked".into())
    })
}

pub(super) fn known_cursor(text: &str) -> Result<(DateTime<Utc>, Uuid), Failure> {
    let cursor = Cursor::decode(text).ok_or_else(|| {
        Failure::BadRequest("\"before\" is not a cursor from an earlier answer".into())
    })?;
    Ok((cursor.sent_at, cursor.id))
}

fn cursor(message: &Message) -> String {
    let cursor = Cursor {
        sent_at: message.sent_at,
        id: message.id,
    };
    cursor.encode()
}
