// SPDX-License-Identifier: GPL-3.0-or-later
//! `/`: the report. A picture of the last days first, then messages, the newest first, page by page.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use common::db::{
    Connection,
    report::{self as rows, Wanted},
};
use serde::Deserialize;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::{
    chart::{Chart, HEIGHT, WIDTH, chart},
    frame::{Place, frame, locale},
    locale::Locale,
    marks::{Row, row},
    texts::Texts,
};
use crate::{
    auth::CurrentUser,
    failure::Failure,
    layout::Layout,
    page::html,
    report::{Cursor, best_hour, days, filter, share},
    state::State,
};

/// Rows of one page.
const PAGE: usize = 30;
const DAYS: u32 = 30;
const DAYS_FOR_HOURS: i64 = 90;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    layout: Layout,
    t: &'static Texts,
    picture: Option<Picture>,
    filters: Vec<FilterLink>,
    state: String,
    search: String,
    rows: Vec<Row>,
    older: Option<String>,
    newest: Option<String>,
    csv: String,
    empty: Option<Empty>,
}

struct Picture {
    chart: Chart,
    width: f32,
    height: f32,
    text: String,
    table: Vec<[String; 3]>,
    share: Option<ShareView>,
    best: Option<(String, String)>,
}

struct ShareView {
    range: String,
    text: String,
    least: u32,
    most: u32,
}

struct FilterLink {
    path: String,
    label: &'static str,
    is_here: bool,
}

/// Why the list is empty.
#[derive(Eq, PartialEq)]
enum Empty {
    NothingFound,
    On,
    Off,
}

/// What may be asked for.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    q: String,
    before: Option<String>,
}

/// `GET /`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn show(
    current: CurrentUser,
    state: Data<State>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let now = Utc::now();
    let locale = locale(&current);
    let t = Texts::of(locale.language);
    let wanted = wanted(&asked);
    let is_whole = wanted.filter.is_none() && wanted.search.is_none() && wanted.before.is_none();
    let mut connection = state.db.get().await?;
    let layout = frame(&current, Place::Report, t.common.report, &mut connection).await?;
    let picture = if is_whole {
        Some(picture(&current, &locale, now, &mut connection).await?)
    } else {
        None
    };
    let (rows, older) = list(&current, &wanted, &locale, now, &mut connection).await?;
    drop(connection);
    let older = older.map(|cursor| path(&asked.state, &asked.q, Some(&cursor)));
    let empty = rows.is_empty().then_some(if !is_whole {
        Empty::NothingFound
    } else if current.user.opens || current.user.links {
        Empty::On
    } else {
        Empty::Off
    });
    html(&Page {
        layout,
        t,
        picture: picture.filter(|_| empty.is_none()),
        filters: filters(&asked, t),
        state: asked.state.clone(),
        search: asked.q.clone(),
        rows,
        older,
        newest: asked
            .before
            .as_ref()
            .map(|_| path(&asked.state, &asked.q, None)),
        csv: format!(
            "/api/v1/messages.csv{}",
            path(&asked.state, &asked.q, None).trim_start_matches('/')
        ),
        empty,
    })
}

fn wanted(asked: &Asked) -> Wanted {
    let search = asked.q.trim();
    Wanted {
        filter: filter(&asked.state),
        search: (!search.is_empty()).then(|| search.to_owned()),
        before: asked
            .before
            .as_deref()
            .and_then(Cursor::decode)
            .map(|cursor| (cursor.sent_at, cursor.id)),
    }
}

async fn list(
    current: &CurrentUser,
    wanted: &Wanted,
    locale: &Locale,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<(Vec<Row>, Option<String>), Failure> {
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let (controller, user) = (current.controller_id(), current.id());
    let mut found = rows::messages(controller, user, wanted, limit, connection).await?;
    let has_more = found.len() > PAGE;
    found.truncate(PAGE);
    let ids: Vec<Uuid> = found.iter().map(|message| message.id).collect();
    let recipients = rows::recipients(controller, &ids, connection).await?;
    let cursor = found.last().filter(|_| has_more).map(|last| {
        let cursor = Cursor {
            sent_at: last.sent_at,
            id: last.id,
        };
        cursor.encode()
    });
    let list = found.iter().map(|message| {
        let recipients = recipients.get(&message.id).map_or(&[][..], Vec::as_slice);
        row(message, recipients, locale, now)
    });
    Ok((list.collect(), cursor))
}

async fn picture(
    current: &CurrentUser,
    locale: &Locale,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Picture, Failure> {
    let t = &Texts::of(locale.language).report;
    let (controller, user) = (current.controller_id(), current.id());
    let since = now - TimeDelta::days(DAYS_FOR_HOURS);
    let hours = rows::hours(controller, user, since, connection).await?;
    let since = now - TimeDelta::days(i64::from(DAYS));
    let totals = rows::totals(controller, user, since, connection).await?;
    let days = days(&hours, locale.zone, now, DAYS);
    let chart = chart(&days, locale);
    let text = t
        .picture_text
        .replace("{opens}", &locale.number(chart.opens))
        .replace("{clicks}", &locale.number(chart.clicks));
    let table = days
        .iter()
        .rev()
        .filter(|day| day.opens + day.clicks > 0)
        .map(|day| {
            [
                locale.date_without_year(day.date),
                locale.number(day.opens),
                locale.number(day.clicks),
            ]
        });
    let share = share(totals).map(|share| {
        let (least, most) = (locale.percent(share.least), locale.percent(share.most));
        let range = if share.least == share.most {
            least.clone()
        } else {
            format!("{least} – {most}")
        };
        ShareView {
            range,
            text: t
                .share_text
                .replace("{least}", &least)
                .replace("{most}", &most)
                .replace("{n}", &locale.number(share.tracked)),
            least: share.least,
            most: share.most,
        }
    });
    let best = best_hour(&hours, locale.zone).map(|best| {
        let when = format!(
            "{}, {}",
            locale.weekday(best.weekday),
            locale.hour(best.hour)
        );
        let text = t
            .best_text
            .replace("{seen}", &locale.number(best.seen))
            .replace("{of}", &locale.number(best.of));
        (when, text)
    });
    Ok(Picture {
        table: table.collect(),
        chart,
        width: WIDTH,
        height: HEIGHT,
        text,
        share,
        best,
    })
}

fn filters(asked: &Asked, t: &Texts) -> Vec<FilterLink> {
    let t = &t.report;
    [
        ("", t.all),
        ("tracked", t.tracked),
        ("opened", t.opened),
        ("clicked", t.clicked),
        ("quiet", t.quiet),
        ("untracked", t.untracked),
    ]
    .into_iter()
    .map(|(name, label)| FilterLink {
        path: path(name, &asked.q, None),
        label,
        is_here: name == asked.state,
    })
    .collect()
}

fn path(state: &str, search: &str, before: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in [
        ("state", state),
        ("q", search),
        ("before", before.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() {
        "/".into()
    } else {
        format!("/?{query}")
    }
}
