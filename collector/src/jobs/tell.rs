// SPDX-License-Identifier: GPL-3.0-or-later
//! What a user is told about a message: from settled acts of people only, seldom, and never twice.
//!
//! Design note: a click says more than an open, so where both are new the click is told. After each notification about
//! a message it is quiet for five minutes; what falls into that time is told at its end, if it is still worth it.

use chrono::{DateTime, TimeDelta, Utc};
use common::{consent::Purpose, db::notifications::New};

/// A settled hit of a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Act {
    pub(super) at: DateTime<Utc>,
    pub(super) purpose: Purpose,
    pub(super) ordinal: i16,
    /// Whether it was settled just now, or so lately that quiet may have kept it back.
    pub(super) is_fresh: bool,
}

/// What was told before about the message.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) first_open: bool,
    pub(super) first_click: bool,
    pub(super) last_at: Option<DateTime<Utc>>,
}

/// What the user wants to hear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    All,
    Clicks,
    Nothing,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Decision {
    /// There is something to tell, but not before this.
    Later(DateTime<Utc>),
    Nothing,
    Now(New),
}

/// How long it is quiet after each notification.
pub(super) const QUIET: TimeDelta = TimeDelta::minutes(5);
/// An open after so long a silence is told again.
const SILENCE: TimeDelta = TimeDelta::days(2);

impl Told {
    /// Reads what was told off kinds and times.
    pub(super) fn of(rows: &[(String, DateTime<Utc>)]) -> Self {
        let has = |wanted: &str| rows.iter().any(|(kind, _)| kind == wanted);
        Self {
            first_open: has("first-open"),
            first_click: has("first-click"),
            last_at: rows.iter().map(|(_, at)| *at).max(),
        }
    }
}

impl Wish {
    /// Returns the wish that a user's setting names; what is unknown is taken for none.
    pub(super) fn of(setting: &str) -> Self {
        match setting {
            "all" => Self::All,
            "clicks" => Self::Clicks,
            _ => Self::Nothing,
        }
    }
}

/// Decides what to tell. `acts` are in order; `before` is when the last act came that is not among them.
pub(super) fn decide(
    acts: &[Act],
    before: Option<DateTime<Utc>>,
    told: &Told,
    wish: Wish,
    now: DateTime<Utc>,
) -> Decision {
    let candidate = match wish {
        Wish::Nothing => None,
        Wish::Clicks => first_click(acts, told),
        Wish::All => first_click(acts, told)
            .or_else(|| first_open(acts, told))
            .or_else(|| repeat_open(acts, before, told)),
    };
    let Some((kind, ordinal)) = candidate else {
        return Decision::Nothing;
    };
    match told.last_at.map(|last| last + QUIET) {
        Some(end) if now < end => Decision::Later(end),
        _ => Decision::Now(New {
            kind,
            ordinal,
            at: now,
        }),
    }
}

type Candidate = Option<(&'static str, Option<i16>)>;

fn first_click(acts: &[Act], told: &Told) -> Candidate {
    let click = acts
        .iter()
        .find(|act| act.is_fresh && act.purpose == Purpose::Click)?;
    (!told.first_click).then_some(("first-click", Some(click.ordinal)))
}

/// An open is not news once a click was told.
fn first_open(acts: &[Act], told: &Told) -> Candidate {
    let is_new = acts
        .iter()
        .any(|act| act.is_fresh && act.purpose == Purpose::Open);
    (is_new && !told.first_open && !told.first_click).then_some(("first-open", None))
}

fn repeat_open(acts: &[Act], before: Option<DateTime<Utc>>, told: &Told) -> Candidate {
    let mut previous = before;
    for act in acts {
        let broke_silence = previous.is_some_and(|previous| act.at - previous >= SILENCE);
        let is_untold = told.last_at.is_none_or(|last| last < act.at);
        if act.is_fresh && act.purpose == Purpose::Open && broke_silence && is_untold {
            return Some(("repeat-open", None));
        }
        previous = Some(act.at);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn act(minute: i64, purpose: Purpose) -> Act {
        Act {
            at: at(minute),
            purpose,
            ordinal: i16::from(purpose == Purpose::Click),
            is_fresh: true,
        }
    }

    fn kind(decision: Decision) -> Option<&'static str> {
        match decision {
            Decision::Now(new) => Some(new.kind),
            _ => None,
        }
    }

    fn told(first_open: bool, first_click: bool, minute: i64) -> Told {
        Told {
            first_open,
            first_click,
            last_at: Some(at(minute)),
        }
    }

    #[test]
    fn first_open_is_told_once() {
        let acts = [act(1, Purpose::Open), act(9, Purpose::Open)];

        let first = decide(&acts, None, &Told::default(), Wish::All, at(10));
        let second = decide(&acts, None, &told(true, false, 2), Wish::All, at(10));

        assert_eq!(kind(first), Some("first-open"));
        assert_eq!(second, Decision::Nothing);
    }

    #[test]
    fn click_is_told_before_an_open_and_makes_the_open_no_news() {
        let acts = [act(1, Purpose::Open), act(1, Purpose::Click)];

        let first = decide(&acts, None, &Told::default(), Wish::All, at(2));
        let second = decide(&acts, None, &told(false, true, 2), Wish::All, at(60));

        assert_eq!(kind(first), Some("first-click"));
        assert_eq!(second, Decision::Nothing);
    }

    #[test]
    fn quiet_keeps_back_and_does_not_forget() {
        let acts = [act(1, Purpose::Open), act(3, Purpose::Click)];

        let early = decide(&acts, None, &told(true, false, 2), Wish::All, at(4));
        let due = decide(&acts, None, &told(true, false, 2), Wish::All, at(7));

        assert_eq!(early, Decision::Later(at(7)));
        assert_eq!(kind(due), Some("first-click"));
    }

    #[test]
    fn open_after_two_days_of_silence_is_told_again() {
        let day = 24 * 60;
        let acts = [act(3 * day, Purpose::Open), act(3 * day + 1, Purpose::Open)];
        let late = at(3 * day + 2);

        let silent = decide(&acts, Some(at(0)), &told(true, false, 1), Wish::All, late);
        let busy = decide(
            &acts,
            Some(at(2 * day)),
            &told(true, false, 1),
            Wish::All,
            late,
        );
        let again = decide(
            &acts,
            Some(at(0)),
            &told(true, false, 3 * day + 1),
            Wish::All,
            late + QUIET,
        );

        assert_eq!(kind(silent), Some("repeat-open"));
        assert_eq!(busy, Decision::Nothing);
        assert_eq!(again, Decision::Nothing);
    }

    #[test]
    fn wishes_are_heard() {
        let open = [act(1, Purpose::Open)];
        let click = [act(1, Purpose::Click)];
        let now = at(2);

        assert_eq!(
            decide(&open, None, &Told::default(), Wish::Clicks, now),
            Decision::Nothing
        );
        assert_eq!(
            kind(decide(&click, None, &Told::default(), Wish::Clicks, now)),
            Some("first-click")
        );
        assert_eq!(
            decide(&click, None, &Told::default(), Wish::of("none"), now),
            Decision::Nothing
        );
    }

    #[test]
    fn what_was_settled_long_ago_is_no_news() {
        let old = [Act {
            is_fresh: false,
            ..act(1, Purpose::Open)
        }];

        assert_eq!(
            decide(&old, None, &Told::default(), Wish::All, at(2)),
            Decision::Nothing
        );
    }
}
