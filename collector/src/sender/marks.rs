// SPDX-License-Identifier: GPL-3.0-or-later
//! What a message in a list looks like: two marks, whose state shows by shape, by number and in words, and a line.

use chrono::{DateTime, Utc};
use common::{db::report::Message, reason::SkipReason};

use super::{
    locale::Locale,
    texts::{self, Texts},
};
use crate::report::{Status, status};

/// A message in a list.
pub(super) struct Row {
    pub(super) path: String,
    pub(super) subject: String,
    pub(super) recipients: String,
    pub(super) state: String,
    pub(super) sent: String,
    pub(super) sent_full: String,
    pub(super) sent_iso: String,
    pub(super) muted: Option<&'static str>,
    pub(super) marks: [Mark; 2],
}

/// A mark for opens or for clicks.
pub(super) struct Mark {
    pub(super) class: &'static str,
    pub(super) icon: &'static str,
    /// How often, if more than once.
    pub(super) count: Option<String>,
    /// The words for those who do not see the mark.
    pub(super) label: String,
    /// What shows when the mark is pointed at or has the focus.
    pub(super) lines: Vec<String>,
}

/// Brings a message into the shape of a list.
pub(super) fn row(
    message: &Message,
    recipients: &[String],
    locale: &Locale,
    now: DateTime<Utc>,
) -> Row {
    let texts = Texts::of(locale.language);
    Row {
        path: format!("/messages/{}", message.id),
        subject: subject(message, texts),
        recipients: several(recipients, texts),
        state: state(message, locale),
        sent: locale.time(message.sent_at, now),
        sent_full: locale.full_time(message.sent_at),
        sent_iso: message.sent_at.to_rfc3339(),
        muted: message.muted.then_some(texts.state.muted),
        marks: marks(message, locale, now),
    }
}

/// Returns the subject, or words that say that there is none.
pub(super) fn subject(message: &Message, texts: &Texts) -> String {
    if message.subject.trim().is_empty() {
        texts.common.no_subject.into()
    } else {
        message.subject.clone()
    }
}

/// Says in a few words what is known.
pub(super) fn state(message: &Message, locale: &Locale) -> String {
    let t = &Texts::of(locale.language).state;
    let times = |pattern: &str, n: i32| pattern.replace("{n}", &locale.number(n));
    match status(message) {
        Status::Automatic => t.automatic.into(),
        Status::Clicked => times(t.clicked, message.click_count),
        Status::Opened => times(t.opened, message.open_count),
        Status::Quiet => t.quiet.into(),
        Status::Unclear => t.unclear.into(),
        Status::Untracked => t.untracked.into(),
    }
}

/// Says why a message left as it came.
pub(super) fn reason(message: &Message, texts: &Texts) -> Option<&'static str> {
    let code = message.reason.as_deref()?;
    SkipReason::from_code(code).map(texts.reason)
}

/// Makes the two marks.
pub(super) fn marks(message: &Message, locale: &Locale, now: DateTime<Utc>) -> [Mark; 2] {
    let texts = Texts::of(locale.language);
    let t = &texts.state;
    let status = status(message);
    let is_untouched = status == Status::Untracked;
    let why = reason(message, texts);
    let open = if is_untouched || !message.opens {
        off("mark off", "closed-off", t.opens_off, why)
    } else if message.open_count > 0 {
        let seen = Seen {
            pattern: t.opened,
            hint: t.opened_hint,
            count: message.open_count,
            first: message.first_open_at,
            last: message.last_open_at,
        };
        yes("mark yes open", "opened", &seen, locale, now)
    } else if message.unclear_opens > 0 || status == Status::Unclear {
        unclear(t)
    } else if message.automatic_count > 0 {
        Mark {
            class: "mark auto",
            icon: "auto",
            count: None,
            label: t.automatic.into(),
            lines: vec![t.automatic_hint.into()],
        }
    } else {
        Mark {
            class: "mark",
            icon: "closed",
            count: None,
            label: t.quiet.into(),
            lines: vec![t.quiet_hint.into()],
        }
    };
    let click = if is_untouched || !message.links {
        off("mark off", "link-off", t.links_off, why)
    } else if message.click_count > 0 {
        let seen = Seen {
            pattern: t.clicked,
            hint: t.clicked_hint,
            count: message.click_count,
            first: message.first_click_at,
            last: message.last_click_at,
        };
        yes("mark yes click", "click", &seen, locale, now)
    } else if message.unclear_clicks > 0 {
        unclear(t)
    } else {
        Mark {
            class: "mark",
            icon: "link",
            count: None,
            label: t.no_clicks.into(),
            lines: vec![t.no_clicks.into()],
        }
    };
    [open, click]
}

struct Seen {
    pattern: &'static str,
    hint: &'static str,
    count: i32,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

fn yes(
    class: &'static str,
    icon: &'static str,
    seen: &Seen,
    locale: &Locale,
    now: DateTime<Utc>,
) -> Mark {
    let t = &Texts::of(locale.language).state;
    let mut lines = vec![seen.pattern.replace("{n}", &locale.number(seen.count))];
    if let Some(first) = seen.first {
        lines.push(t.first.replace("{time}", &locale.time(first, now)));
    }
    if let Some(last) = seen.last.filter(|last| Some(*last) != seen.first) {
        lines.push(t.last.replace("{time}", &locale.time(last, now)));
    }
    lines.push(seen.hint.into());
    Mark {
        class,
        icon,
        count: (seen.count > 1).then(|| locale.number(seen.count)),
        label: lines.join(". "),
        lines,
    }
}

fn unclear(t: &texts::State) -> Mark {
    Mark {
        class: "mark auto",
        icon: "unclear",
        count: None,
        label: t.unclear.into(),
        lines: vec![t.unclear_hint.into()],
    }
}

fn off(
    class: &'static str,
    icon: &'static str,
    words: &'static str,
    why: Option<&'static str>,
) -> Mark {
    let lines: Vec<String> = [Some(words), why]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    Mark {
        class,
        icon,
        count: None,
        label: lines.join(". "),
        lines,
    }
}

fn several(recipients: &[String], texts: &Texts) -> String {
    match recipients {
        [] => texts.common.nobody.into(),
        [one] => one.clone(),
        [one, other] => format!("{one}, {other}"),
        [first, rest @ ..] => texts
            .common
            .and_more
            .replace("{n}", &rest.len().to_string())
            .replace("{name}", first),
    }
}
