// SPDX-License-Identifier: GPL-3.0-or-later
//! What was seen of a message, as lines: what likely people did, one by one; what machines did, together.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::db::report::{Hit, Link};
use serde_json::Value;

use super::{locale::Locale, texts::Texts};
use crate::report::is_person;

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
    pub(super) reasons: Vec<String>,
}

/// From here on a verdict about a person is not called probable any more.
const SURE: i16 = 75;

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
        match hit.class.as_str() {
            "self" => {}
            "duplicate" | "link-preview" | "machine-prefetch" | "security-scanner" => timeline
                .machines
                .push(line(hit, links.get(&hit.ordinal).copied(), locale, now)),
            _ => timeline
                .lines
                .push(line(hit, links.get(&hit.ordinal).copied(), locale, now)),
        }
    }
    timeline
}

/// Returns the name of the program that asked, if it is known.
pub(crate) fn client(features: &Value) -> Option<&str> {
    features
        .pointer("/client/name")
        .or_else(|| features.get("client"))
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
}

fn line(hit: &Hit, link: Option<&Link>, locale: &Locale, now: DateTime<Utc>) -> Line {
    let texts = Texts::of(locale.language);
    let t = &texts.message;
    let is_click = hit.kind == "click";
    let is_sure = hit.confidence >= SURE;
    let client = client(&hit.features);
    let (class, icon, words) = match hit.class.as_str() {
        class if is_person(class) => {
            let words = match (is_click, is_sure) {
                (false, false) => t.probably_opened,
                (false, true) => t.opened,
                (true, false) => t.probably_clicked,
                (true, true) => t.clicked,
            };
            if is_click {
                ("person click", "click", words)
            } else {
                ("person", "opened", words)
            }
        }
        "duplicate" => ("machine", "again", t.repeated),
        "link-preview" => ("machine", "chat", t.previewed),
        "machine-prefetch" => ("machine", "auto", t.preloaded),
        "security-scanner" => ("machine", "shield", t.checked),
        _ => ("unknown", "unclear", t.unclear_activity),
    };
    let mut text = words.to_owned();
    if let Some(client) = client {
        text.push_str(" · ");
        if hit.class == "image-proxy-on-open" {
            text.push_str(&t.through_proxy.replace("{client}", client));
        } else {
            text.push_str(client);
        }
    }
    Line {
        class,
        icon,
        text,
        certainty: certainty(hit, texts),
        link: link.map(|link| t.link.replace("{link}", shown(link))),
        time: locale.time(hit.at, now),
        time_full: locale.full_time(hit.at),
        time_iso: hit.at.to_rfc3339(),
        reasons: hit.reasons.clone(),
    }
}

fn certainty(hit: &Hit, texts: &Texts) -> &'static str {
    let t = &texts.message;
    match hit.confidence {
        _ if !hit.settled => t.provisional,
        90.. => t.certain,
        50..90 => t.likely,
        _ => t.unclear,
    }
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
    use common::language::Language;
    use serde_json::json;
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
            features: json!({"client": {"kind": "proxy", "name": "Gmail"}}),
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
        let timeline = told(&[
            hit("human", 95),
            hit("human", 60),
            hit("image-proxy-on-open", 95),
        ]);

        let texts: Vec<&str> = timeline
            .lines
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(
            texts,
            [
                "Opened · Gmail",
                "Probably opened · Gmail",
                "Opened · through Gmail, which hides place and device"
            ]
        );
        assert_eq!(timeline.lines[1].certainty, "likely");
    }
}
