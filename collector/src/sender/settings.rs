// SPDX-License-Identifier: GPL-3.0-or-later
//! `/settings`: what the user has chosen, what the organisation allows, and how to choose for one message.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use chrono::Utc;
use chrono_tz::{TZ_VARIANTS, Tz};
use common::{
    db::{Connection, api_tokens, feed_keys, sessions, users},
    language::Language,
};
use serde::Deserialize;

use super::{
    frame::{Place, frame, locale},
    texts::{Texts, feeds::Feeds},
};
use crate::{
    api::settings::{Change, changes},
    auth::{CheckedForm, Credential, CurrentUser},
    failure::Failure,
    layout::Layout,
    page::{html, see},
    state::State,
};

#[derive(Template)]
#[template(path = "settings.html")]
struct Page {
    layout: Layout,
    t: &'static Texts,
    csrf: String,
    login: String,
    is_saved: bool,
    switches: [Switch; 3],
    remember: bool,
    notifications: [Choice; 3],
    languages: Vec<Choice>,
    zones: Vec<Choice>,
    ways: [Way; 6],
    tokens: Vec<TokenRow>,
    fresh_token: Option<String>,
    f: &'static Feeds,
    digest: bool,
    feed: Option<String>,
    fresh_feed: Option<String>,
    sessions: Vec<SessionRow>,
    has_sessions: bool,
}

struct Switch {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    is_on: bool,
    is_allowed: bool,
}

struct Choice {
    value: String,
    label: String,
    is_chosen: bool,
}

/// One way to choose for one message.
struct Way {
    label: &'static str,
    text: String,
}

struct TokenRow {
    id: String,
    name: String,
    created: String,
    used: String,
}

struct SessionRow {
    since: String,
    seen: String,
    is_this: bool,
}

/// What was just made and is shown once.
pub(super) enum Fresh {
    /// The feed's URL.
    Feed(String),
    Nothing,
    /// An API token.
    Token(String),
}

/// Whether something was just saved.
#[derive(Deserialize)]
pub struct Asked {
    saved: Option<String>,
}

/// The form. Boxes that are not ticked are not sent; those that must not be ticked either.
#[derive(Deserialize)]
pub struct Chosen {
    opens: Option<String>,
    links: Option<String>,
    text_links: Option<String>,
    remember_choice: Option<String>,
    notifications: String,
    digest: Option<String>,
    language: String,
    time_zone: String,
}

/// `GET /settings`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn show(
    current: CurrentUser,
    state: Data<State>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let mut connection = state.db.get().await?;
    page(
        &current,
        asked.saved.is_some(),
        Fresh::Nothing,
        &mut connection,
    )
    .await
}

/// `POST /settings`
///
/// # Errors
///
/// Fails if the form came from elsewhere or makes no sense, or the database does not answer.
pub async fn save(state: Data<State>, form: CheckedForm<Chosen>) -> Result<HttpResponse, Failure> {
    let current = form.current;
    let chosen = form.form;
    let controller = &current.controller;
    let within = |ticked: &Option<String>, is_allowed: bool| is_allowed.then_some(ticked.is_some());
    let language = Some(chosen.language).filter(|code| !code.is_empty());
    let change = Change {
        opens: within(&chosen.opens, controller.opens),
        links: within(&chosen.links, controller.links),
        text_links: within(&chosen.text_links, controller.text_links),
        notifications: Some(chosen.notifications),
        digest: Some(
            if chosen.digest.is_some() {
                "daily"
            } else {
                "off"
            }
            .into(),
        ),
        remember_choice: Some(chosen.remember_choice.is_some()),
        language: Some(language),
        time_zone: Some(chosen.time_zone),
    };
    let changes = changes(change, controller)?;
    let mut connection = state.db.get().await?;
    users::change(
        current.controller_id(),
        current.id(),
        &changes,
        &mut connection,
    )
    .await?;
    Ok(see("/settings?saved=1"))
}

/// Renders the page.
///
/// # Errors
///
/// Fails if the database does not answer.
pub(super) async fn page(
    current: &CurrentUser,
    is_saved: bool,
    fresh: Fresh,
    connection: &mut Connection,
) -> Result<HttpResponse, Failure> {
    let t = Texts::of(current.language());
    let layout = frame(current, Place::Settings, t.common.settings, connection).await?;
    let tokens = tokens(current, t, connection).await?;
    let sessions = session_rows(current, connection).await?;
    let f = Feeds::of(current.language());
    let feed = feed(current, t, f, connection).await?;
    let (fresh_token, fresh_feed) = match fresh {
        Fresh::Feed(url) => (None, Some(url)),
        Fresh::Nothing => (None, None),
        Fresh::Token(token) => (Some(token), None),
    };
    let user = &current.user;
    html(&Page {
        layout,
        t,
        csrf: current.csrf().into(),
        login: user.login.clone(),
        is_saved,
        switches: switches(current, t),
        remember: user.remember_choice,
        notifications: [
            ("none", t.settings.notify_none),
            ("clicks", t.settings.notify_clicks),
            ("all", t.settings.notify_all),
        ]
        .map(|(value, label)| choice(value, label, &user.notifications)),
        languages: languages(current, t),
        zones: zones(&user.time_zone),
        ways: ways(current, t),
        tokens,
        fresh_token,
        f,
        digest: user.digest == "daily",
        feed,
        fresh_feed,
        has_sessions: !sessions.is_empty(),
        sessions,
    })
}

fn switches(current: &CurrentUser, t: &Texts) -> [Switch; 3] {
    let (user, ceiling, t) = (&current.user, &current.controller, &t.settings);
    [
        ("opens", t.opens, t.opens_hint, user.opens, ceiling.opens),
        ("links", t.links, t.links_hint, user.links, ceiling.links),
        (
            "text_links",
            t.text_links,
            t.text_links_hint,
            user.text_links,
            ceiling.text_links,
        ),
    ]
    .map(|(name, label, hint, is_on, is_allowed)| Switch {
        name,
        label,
        hint,
        is_on: is_on && is_allowed,
        is_allowed,
    })
}

fn languages(current: &CurrentUser, t: &Texts) -> Vec<Choice> {
    let own = current.user.language().map(Language::code);
    let of_organisation = t
        .settings
        .language_default
        .replace("{language}", own_name(current.controller.language));
    let default = Choice {
        value: String::new(),
        label: of_organisation,
        is_chosen: own.is_none(),
    };
    let ours = Language::ALL
        .into_iter()
        .map(|language| choice(language.code(), own_name(language), own.unwrap_or_default()));
    std::iter::once(default).chain(ours).collect()
}

/// Everybody finds the own language by its own name.
fn own_name(language: Language) -> &'static str {
    match language {
        Language::De => "Deutsch",
        Language::En => "English",
        Language::Fr => "français",
        Language::Pl => "polski",
    }
}

/// Returns the zones that are named by a place, and UTC.
fn zones(chosen: &str) -> Vec<Choice> {
    const AREAS: [&str; 9] = [
        "Africa/",
        "America/",
        "Antarctica/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    ];
    let is_place = |name: &str| name == "UTC" || AREAS.iter().any(|area| name.starts_with(area));
    TZ_VARIANTS
        .iter()
        .copied()
        .map(Tz::name)
        .filter(|name| is_place(name) || *name == chosen)
        .map(|name| choice(name, name, chosen))
        .collect()
}

fn ways(current: &CurrentUser, t: &Texts) -> [Way; 6] {
    let host = current.controller.tracking_host();
    let t = &t.settings;
    [
        (t.way_tag, "[track]".to_owned()),
        (t.way_tag_off, "[notrack]".to_owned()),
        (t.way_address, format!("track@{host}")),
        (t.way_address_off, format!("notrack@{host}")),
        (t.way_header, "X-Track: yes".to_owned()),
        (t.way_header_off, "X-Track: no".to_owned()),
    ]
    .map(|(label, text)| Way { label, text })
}

async fn tokens(
    current: &CurrentUser,
    t: &Texts,
    connection: &mut Connection,
) -> Result<Vec<TokenRow>, Failure> {
    let (locale, now) = (locale(current), Utc::now());
    let rows = api_tokens::of_user(current.controller_id(), current.id(), connection).await?;
    let rows = rows.into_iter().map(|row| TokenRow {
        id: row.id.to_string(),
        name: row.name,
        created: locale.time(row.created_at, now),
        used: row
            .used_at
            .map_or_else(|| t.common.never.to_owned(), |used| locale.time(used, now)),
    });
    Ok(rows.collect())
}

/// Says since when there is a feed, if there is one.
async fn feed(
    current: &CurrentUser,
    t: &Texts,
    f: &Feeds,
    connection: &mut Connection,
) -> Result<Option<String>, Failure> {
    let (locale, now) = (locale(current), Utc::now());
    let found = feed_keys::of_user(current.controller_id(), current.id(), connection).await?;
    Ok(found.map(|(created, used)| {
        let used = used.map_or_else(|| t.common.never.to_owned(), |used| locale.time(used, now));
        f.since
            .replace("{time}", &locale.time(created, now))
            .replace("{used}", &used)
    }))
}

async fn session_rows(
    current: &CurrentUser,
    connection: &mut Connection,
) -> Result<Vec<SessionRow>, Failure> {
    let Credential::Session { token_hash, .. } = &current.credential else {
        return Ok(Vec::new());
    };
    let (locale, now) = (locale(current), Utc::now());
    let rows = sessions::of_user(current.controller_id(), current.id(), now, connection).await?;
    let rows = rows.into_iter().map(|row| SessionRow {
        since: locale.time(row.created_at, now),
        seen: locale.time(row.seen_at, now),
        is_this: row.token_hash == *token_hash,
    });
    Ok(rows.collect())
}

fn choice(value: &str, label: &str, chosen: &str) -> Choice {
    Choice {
        value: value.into(),
        label: label.into(),
        is_chosen: value == chosen,
    }
}
