// SPDX-License-Identifier: GPL-3.0-or-later
//! The daily summary: what the report shows of a span of time, in words, as text and as HTML.

use askama::Template;
use chrono::{DateTime, Utc};
use common::{
    config::Controller,
    db::{digests::Totals, notifications_feed::Notification, users::User},
};

use super::Outgoing;
use crate::sender::{
    locale::Locale,
    texts::{feeds::Feeds, notification},
};

/// Lines of one summary; more are counted.
pub const LINES: usize = 20;

#[derive(Template)]
#[template(path = "digest.html")]
struct Html<'a> {
    language: &'static str,
    f: &'static Feeds,
    subject: &'a str,
    summary: &'a str,
    lines: &'a [Line],
    more: Option<&'a str>,
    home: &'a str,
    settings: &'a str,
}

/// What a summary tells of: from a moment to just before another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

struct Line {
    time: String,
    text: String,
    link: String,
}

/// Writes a summary of what is new, the newest first; `None` if there is nothing to say.
pub fn write(
    user: &User,
    controller: &Controller,
    totals: Totals,
    news: &[Notification],
    span: Span,
    now: DateTime<Utc>,
) -> Option<Outgoing> {
    if totals.opens == 0 && totals.clicks == 0 && news.is_empty() {
        return None;
    }
    let language = user.language().unwrap_or(controller.language);
    let locale = Locale::new(language, &user.time_zone);
    let f = Feeds::of(language);
    let home = format!("{}/", controller.base_url());
    let settings = format!("{home}settings#telling");
    let lines: Vec<Line> = news
        .iter()
        .take(LINES)
        .map(|row| Line {
            time: locale.time(row.at, now),
            text: notification::line(row, language),
            link: row
                .message_id
                .map_or_else(|| home.clone(), |id| format!("{home}messages/{id}")),
        })
        .collect();
    let rest = news.len().saturating_sub(LINES);
    let more = (rest > 0).then(|| {
        f.more
            .replace("{n}", &locale.number(rest.try_into().unwrap_or(u32::MAX)))
    });
    let number = |n: i64| locale.number(u32::try_from(n).unwrap_or(u32::MAX));
    let summary = f
        .summary
        .replace("{since}", &locale.time(span.since, now))
        .replace("{until}", &locale.time(span.until, now))
        .replace("{opens}", &number(totals.opens))
        .replace("{clicks}", &number(totals.clicks));
    let subject = f.digest_subject;

    let mut text = format!("{summary}\n\n");
    for line in &lines {
        text.push_str(&format!(
            "* {}: {}\n  {}\n",
            line.time, line.text, line.link
        ));
    }
    if let Some(more) = &more {
        text.push_str(&format!("\n{more}\n"));
    }
    text.push_str(&format!(
        "\n{}: {home}\n\n{}\n{} {}: {settings}\n",
        f.to_report, f.honest, f.why, f.stop
    ));
    let html = Html {
        language: language.code(),
        f,
        subject,
        summary: &summary,
        lines: &lines,
        more: more.as_deref(),
        home: &home,
        settings: &settings,
    };
    Some(Outgoing {
        to: user.login.clone(),
        subject: subject.to_owned(),
        text,
        html: html.render().ok(),
    })
}
