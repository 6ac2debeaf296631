// SPDX-License-Identifier: GPL-3.0-or-later
//! What was seen of a message, as lines: what likely people did, one by one; what machines did, together.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::{
    db::{links::Link, report::Hit},
    language::Language,
};
use serde_json::json;

use super::{locale::Locale, texts::Texts};
use crate::classify::{
    Certainty, Class, Features, Kind, ReasonId, State, Verdict, actor, explain, state,
};

/// A timeline.
#[derive(Default)]
pub(super) struct Timeline {
    /// By likely people, or unclear.
    pub(super) lines: Vec<Line>,
    /// By machines, and repetitions.
    pub(super) machines: Vec<Line>,
}

/// One line.
pub(super) struct Line {
    /// The class of the stylesheet.
    pub(super) class: &'static str,
    pub(super) icon: &'static str,
    pub(super) text: String,
    pub(super) certainty: &'static str,
    pub(super) link: Option<String>,
    pub(super) time: String,
    pub(super) time_full: String,
    pub(super) time_iso: String,
    /// Why it was judged so, in words.
    pub(super) reasons: Vec<&'static str>,
}

/// Writes hits as lines, in the order given. The sender's own are left out.
pub(super) fn timeline(
    hits: &[Hit],
    links: &[Link],
    locale: &Locale,
    now: DateTime<Utc>,
) -> Timeline {
    let links: HashMap<i16, &Link> = links.iter().map(|link| (link.ordinal, link)).collect();
    let mut timeline = Timeline::default();
    for hit in hits {
        let class = class(hit);
        if class == Class::SelfHit {
            continue;
        }
        let line = line(hit, links.get(&hit.ordinal).copied(), locale, now);
        if class.is_machine() || class == Class::Duplicate {
            timeline.machines.push(line);
        } else {
            timeline.lines.push(line);
        }
    }
    timeline
}

/// Returns whose program it was, if that is known.
pub(crate) fn client(hit: &Hit) -> Option<&'static str> {
    actor(&features(hit)?, class(hit))
}

fn line(hit: &Hit, link: Option<&Link>, locale: &Locale, now: DateTime<Utc>) -> Line {
    let texts = Texts::of(locale.language);
    let verdict = Verdict {
        class: class(hit),
        confidence: u8::try_from(hit.confidence).unwrap_or(0),
        reasons: hit
            .reasons
            .iter()
            .filter_map(|code| ReasonId::from_code(code))
            .collect(),
    };
    let state = features(hit).map_or(State::Unclear, |features| state(&features, &verdict));
    let (class, icon) = look(state);
    let words = state.words(locale.language);
    Line {
        class,
        icon,
        text: match client(hit) {
            Some(client) => format!("{words} · {client}"),
            None => words.to_owned(),
        },
        certainty: certainty(hit, &verdict, texts),
        link: link.map(|link| texts.message.link.replace("{link}", shown(link))),
        time: locale.time(hit.at, now),
        time_full: locale.full_time(hit.at),
        time_iso: hit.at.to_rfc3339(),
        reasons: reasons(&verdict, locale.language),
    }
}

/// Returns the class of the stylesheet, and the icon.
fn look(state: State) -> (&'static str, &'static str) {
    match state {
        State::Checked => ("machine", "shield"),
        State::Clicked => ("person click", "click"),
        State::LoadedByApple | State::Preloaded => ("machine", "auto"),
        State::Opened | State::OpenedThroughProxy => ("person", "opened"),
        State::Own | State::Quiet | State::Unclear => ("unknown", "unclear"),
        State::Previewed => ("machine", "chat"),
        State::ProbablyClicked => ("person click probable", "click"),
        State::ProbablyOpened => ("person probable", "opened"),
        State::Repeated => ("machine", "again"),
    }
}

fn class(hit: &Hit) -> Class {
    Class::from_code(&hit.class).unwrap_or(Class::Unknown)
}

/// Reads what was kept of the request; of one that another release wrote, only what it was for.
fn features(hit: &Hit) -> Option<Features> {
    let kind = if hit.kind == "click" {
        Kind::Click
    } else {
        Kind::Open
    };
    serde_json::from_value(hit.features.clone())
        .or_else(|_other| serde_json::from_value(json!({ "k": kind, "t": 0 })))
        .ok()
}

fn certainty(hit: &Hit, verdict: &Verdict, texts: &Texts) -> &'static str {
    let t = &texts.message;
    match verdict.certainty() {
        _ if !hit.settled => t.provisional,
        Certainty::Certain => t.certain,
        Certainty::Likely => t.likely,
        Certainty::Unclear => t.unclear,
    }
}

fn reasons(verdict: &Verdict, language: Language) -> Vec<&'static str> {
    verdict
        .reasons
        .iter()
        .map(|reason| explain(*reason, language))
        .collect()
}

/// Returns a link's visible text, or its host where it has none.
pub(super) fn shown(link: &Link) -> &str {
    if link.label.is_empty() {
        &link.host
    } else {
        &link.label
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn hit(class: &str, confidence: i16) -> Hit {
        Hit {
            id: Uuid::nil(),
            kind: "open".into(),
            ordinal: 0,
            at: DateTime::UNIX_EPOCH,
            class: class.into(),
            confidence,
            reasons: Vec::new(),
            settled: true,
            features: json!({"k": "open", "t": 60_000, "c": "image-proxy:gmail", "n": "google"}),
            duplicate_of: None,
        }
    }

    fn told(hits: &[Hit]) -> Timeline {
        let locale = Locale::new(Language::En, "UTC");
        timeline(hits, &[], &locale, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn machines_stand_apart_and_own_hits_do_not_stand_at_all() {
        let hits = ["human", "security-scanner", "self", "unknown", "duplicate"];

        let timeline = told(&hits.map(|class| hit(class, 95)));

        assert_eq!((timeline.lines.len(), timeline.machines.len()), (2, 2));
    }

    #[test]
    fn doubt_is_said() {
        let timeline = told(&[hit("human", 95), hit("human", 60)]);

        let texts: Vec<&str> = timeline
            .lines
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(texts, ["Opened · Gmail", "Probably opened · Gmail"]);
        assert_eq!(timeline.lines[1].certainty, "likely");
    }

    #[test]
    fn hit_of_another_release_is_shown_without_a_name() {
        let strange = Hit {
            features: json!({"version": 99}),
            ..hit("human", 95)
        };

        assert_eq!(told(&[strange]).lines[0].text, "Opened");
    }
}
