// SPDX-License-Identifier: GPL-3.0-or-later
//! `/notifications`: everything that the user was told, the newest first.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use chrono::Utc;
use common::db::notifications_feed::{self, Notification, Reading};
use serde::Deserialize;

use super::{
    frame::{Place, frame, locale},
    locale::Locale,
    texts::{Texts, notification},
};
use crate::{
    auth::{CheckedForm, CurrentUser},
    failure::Failure,
    layout::Layout,
    page::{html, see},
    state::State,
};

const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "notifications.html")]
struct Page {
    layout: Layout,
    t: &'static Texts,
    csrf: String,
    rows: Vec<Row>,
    /// The newest one shown: up to it all are marked as read.
    newest_shown: i64,
    has_unread: bool,
    older: Option<i64>,
    is_first: bool,
    is_on: bool,
}

struct Row {
    is_new: bool,
    icon: &'static str,
    text: String,
    path: Option<String>,
    time: String,
    time_full: String,
    time_iso: String,
}

/// From where on.
#[derive(Deserialize)]
pub struct Asked {
    before: Option<i64>,
}

/// Up to where the user has read.
#[derive(Deserialize)]
pub struct Read {
    up_to: i64,
}

/// `GET /notifications`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn show(
    current: CurrentUser,
    state: Data<State>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let t = Texts::of(current.language());
    let (controller, user) = (current.controller_id(), current.id());
    let mut connection = state.db.get().await?;
    let title = t.common.notifications;
    let layout = frame(&current, Place::Notifications, title, &mut connection).await?;
    let reading = Reading::Before(asked.before.unwrap_or(i64::MAX));
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let mut found =
        notifications_feed::read(controller, user, reading, limit, &mut connection).await?;
    drop(connection);
    let has_more = found.len() > PAGE;
    found.truncate(PAGE);
    let locale = locale(&current);
    html(&Page {
        layout,
        t,
        csrf: current.csrf().into(),
        newest_shown: found.first().map_or(0, |row| row.id),
        has_unread: found.iter().any(|row| row.read_at.is_none()),
        older: found.last().filter(|_| has_more).map(|row| row.id),
        is_first: asked.before.is_none(),
        is_on: current.user.notifications != "none",
        rows: found.iter().map(|found| row(found, &locale)).collect(),
    })
}

/// `POST /notifications/read`
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn read(state: Data<State>, form: CheckedForm<Read>) -> Result<HttpResponse, Failure> {
    let (controller, user) = (form.current.controller_id(), form.current.id());
    let mut connection = state.db.get().await?;
    let up_to = form.form.up_to;
    notifications_feed::mark_read(controller, user, up_to, Utc::now(), &mut connection).await?;
    Ok(see("/notifications"))
}

fn row(found: &Notification, locale: &Locale) -> Row {
    Row {
        is_new: found.read_at.is_none(),
        icon: match found.kind.as_str() {
            "first-click" => "click",
            "first-open" => "opened",
            "repeat-open" => "again",
            _ => "warning",
        },
        text: notification::line(found, locale.language),
        path: found.message_id.map(|id| format!("/messages/{id}")),
        time: locale.time(found.at, Utc::now()),
        time_full: locale.full_time(found.at),
        time_iso: found.at.to_rfc3339(),
    }
}
