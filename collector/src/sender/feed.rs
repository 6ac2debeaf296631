// SPDX-License-Identifier: GPL-3.0-or-later
//! `/feed.atom`: notifications for a feed reader, which has no session: a key in the URL opens the feed and nothing else.
//! The settings page gives the key, once, and takes it away.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ETAG, IF_NONE_MATCH},
    web::{Data, Query},
};
use askama::Template;
use chrono::{DateTime, Utc};
use common::{
    config::Controller,
    db::{
        feed_keys,
        notifications_feed::{self, Notification, Reading},
    },
    language::Language,
};
use serde::Deserialize;

use super::{
    settings::{self, Fresh},
    texts::{feeds::Feeds, notification},
};
use crate::{
    api::etag,
    auth::{CheckedForm, Nothing, controllers_at, secret},
    failure::Failure,
    moment,
    page::see,
    state::State,
};

const ENTRIES: i64 = 50;

#[derive(Template)]
#[template(path = "feed.xml")]
struct Feed {
    language: &'static str,
    id: String,
    title: &'static str,
    login: String,
    home: String,
    updated: String,
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    title: String,
    link: String,
    updated: String,
}

/// What opens the feed.
#[derive(Deserialize)]
pub struct Shown {
    #[serde(default)]
    key: String,
}

/// `GET /feed.atom`
///
/// # Errors
///
/// Fails if the key opens nothing, or the database does not answer.
pub async fn show(
    request: HttpRequest,
    state: Data<State>,
    shown: Query<Shown>,
) -> Result<HttpResponse, Failure> {
    let controllers = controllers_at(&request, &state);
    let names: Vec<&str> = controllers.iter().map(|one| one.id.as_str()).collect();
    let hash = secret::hash(&shown.key);
    let mut connection = state.db.get().await?;
    let user = feed_keys::find_user(&names, &hash, Utc::now(), &mut connection)
        .await?
        .ok_or(Failure::NotFound)?;
    let controller_id = user.controller();
    let controller = state
        .config
        .controller(&controller_id)
        .ok_or(Failure::NotFound)?;
    let newest = Reading::Before(i64::MAX);
    let rows = notifications_feed::read(
        &controller_id,
        user.user_id(),
        newest,
        ENTRIES,
        &mut connection,
    )
    .await?;
    drop(connection);
    let language = user.language().unwrap_or(controller.language);
    let home = controller.base_url();
    let feed = Feed {
        language: language.code(),
        id: format!("{home}/feed/{}", user.id),
        title: Feeds::of(language).feed_title,
        login: user.login,
        home: format!("{home}/"),
        updated: moment::written(rows.first().map_or(DateTime::UNIX_EPOCH, |row| row.at)),
        entries: rows
            .iter()
            .map(|row| entry(row, controller, language))
            .collect(),
    };
    let text = feed
        .render()
        .map_err(|_unwritable| Failure::Internal("a feed was not rendered"))?;
    Ok(answer(&request, text))
}

/// `POST /settings/feed`: a new key; its URL is shown in the answer, and never again.
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn create(
    state: Data<State>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    let current = form.current;
    let key = secret::random()
        .map_err(|_none| Failure::Internal("no random numbers from the operating system"))?;
    let hash = secret::hash(&key);
    let mut connection = state.db.get().await?;
    feed_keys::replace(
        current.controller_id(),
        current.id(),
        &hash,
        Utc::now(),
        &mut connection,
    )
    .await?;
    let url = format!("{}/feed.atom?key={key}", current.controller.base_url());
    settings::page(&current, false, Fresh::Feed(url), &mut connection).await
}

/// `POST /settings/feed/revoke`
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn revoke(
    state: Data<State>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    let (controller, user) = (form.current.controller_id(), form.current.id());
    let mut connection = state.db.get().await?;
    feed_keys::delete(controller, user, &mut connection).await?;
    Ok(see("/settings#feed"))
}

fn answer(request: &HttpRequest, text: String) -> HttpResponse {
    let tag = etag::of(text.as_bytes());
    let known = etag::Named::read(request.headers(), IF_NONE_MATCH);
    if known.is_some_and(|known| known.has(&tag)) {
        return HttpResponse::NotModified()
            .insert_header((ETAG, tag))
            .finish();
    }
    HttpResponse::Ok()
        .content_type("application/atom+xml; charset=utf-8")
        .insert_header((ETAG, tag))
        .body(text)
}

fn entry(row: &Notification, controller: &Controller, language: Language) -> Entry {
    let home = controller.base_url();
    let link = match row.message_id {
        Some(message) => format!("{home}/messages/{message}"),
        None => format!("{home}/notifications"),
    };
    Entry {
        id: format!("{home}/notifications#{}", row.id),
        title: printable(&notification::line(row, language)),
        link,
        updated: moment::written(row.at),
    }
}

/// XML has no place for control characters, and subjects may contain anything.
fn printable(text: &str) -> String {
    let is_fit = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().filter(is_fit).collect()
}
