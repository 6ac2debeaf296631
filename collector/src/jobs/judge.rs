// SPDX-License-Identifier: GPL-3.0-or-later
//! Stored hits and the classifier: verdicts given again, each hit against its neighbours.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use common::{
    config::Classify,
    db::{settlements::Claim, verdicts::Judged},
};
use uuid::Uuid;

use crate::classify::{
    Class, Context, Features, MailExchanger, Neighbour, RULES_VERSION, Thresholds, classify,
};

/// Neighbours on each side that a hit is judged against. More tell nothing new, and a flood must not cost its square.
pub(super) const NEIGHBOURS: usize = 64;
/// Of a message of which fewer links were followed, it does not matter how many there are.
pub(super) const FEWEST_SWEPT: usize = 3;

/// Which hits are judged again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    All,
    /// Those from a moment on, and those before that are not settled.
    Since(DateTime<Utc>),
}

/// What is known of a message beside its hits.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    /// How many tracked links it has; it matters only where some were followed.
    links: u32,
    exchanger: MailExchanger,
}

impl About {
    /// Gathers it from where it stands.
    pub(super) fn new(claim: &Claim, links: &HashMap<Uuid, i64>) -> Self {
        let links = links.get(&claim.message.0).copied().unwrap_or_default();
        Self {
            links: u32::try_from(links).unwrap_or_default(),
            exchanger: claim
                .exchanger
                .clone()
                .map_or_else(MailExchanger::default, MailExchanger::from),
        }
    }
}

/// Judges hits of one message again and returns them in the same order. `hits` are in the order of time, and settled
/// until a moment.
pub(super) fn again(
    hits: &[Judged],
    until: Option<DateTime<Utc>>,
    message: &About,
    config: &Classify,
    whose: Whose,
    now: DateTime<Utc>,
) -> Vec<Judged> {
    let thresholds = Thresholds::from(config);
    let read: Vec<Option<Features>> = hits
        .iter()
        .map(|hit| serde_json::from_str(&hit.features.0).ok())
        .collect();
    let mut judged: Vec<Judged> = Vec::with_capacity(hits.len());
    for (place, hit) in hits.iter().enumerate() {
        let is_over = match whose {
            Whose::All => false,
            Whose::Since(since) => hit.at < since && is_settled(hit, until),
        };
        let features = read.get(place).copied().flatten();
        let (Some(features), false) = (features, is_over) else {
            judged.push(Judged {
                settled: hit.settled || features.is_none(),
                ..hit.clone()
            });
            continue;
        };
        let earlier = judged.iter().zip(&read).rev().take(NEIGHBOURS);
        let later = hits.iter().zip(&read).skip(place + 1).take(NEIGHBOURS);
        let context = Context {
            earlier: &neighbours(hit, earlier),
            later: &neighbours(hit, later),
            links: message.links,
            exchanger: message.exchanger,
            address: features.address(),
            sender: features.sender(),
            thresholds: &thresholds,
        };
        let verdict = classify(&features, &context);
        let duplicate_of = (verdict.class == Class::Duplicate)
            .then(|| original(hit, &judged))
            .flatten();
        judged.push(Judged {
            class: verdict.class.code().to_owned(),
            confidence: verdict.confidence.into(),
            reasons: verdict
                .reasons
                .iter()
                .map(|reason| reason.code().to_owned())
                .collect(),
            rules_version: RULES_VERSION.into(),
            settled: hit.settled || now >= hit.at + config.settle.delta(),
            duplicate_of,
            ..hit.clone()
        });
    }
    judged
}

/// Returns how many links of a message were followed.
pub(super) fn links_of(hits: &[Judged]) -> usize {
    // Of an open, and of the few clicks that most messages get, nothing need be gathered.
    if hits.len() < FEWEST_SWEPT {
        return hits.len();
    }
    let clicks = hits.iter().map(|hit| hit.ordinal);
    clicks
        .filter(|ordinal| *ordinal > 0)
        .collect::<HashSet<_>>()
        .len()
}

/// Tells whether the verdict on a hit is settled, its message being settled until a moment.
pub(super) fn is_settled(hit: &Judged, until: Option<DateTime<Utc>>) -> bool {
    hit.settled && until.is_some_and(|until| hit.at <= until)
}

/// Tells whether a hit is an act of a person.
pub(super) fn is_person(hit: &Judged) -> bool {
    Class::from_code(&hit.class).is_some_and(Class::is_person)
}

/// Tells whether it is not clear who made a hit.
pub(super) fn is_unclear(hit: &Judged) -> bool {
    hit.class == Class::Unknown.code()
}

/// Tells whether a hit is a machine's.
pub(super) fn is_machine(hit: &Judged) -> bool {
    Class::from_code(&hit.class).is_some_and(Class::is_machine)
}

fn neighbours<'a>(
    hit: &Judged,
    others: impl Iterator<Item = (&'a Judged, &'a Option<Features>)>,
) -> Vec<Neighbour> {
    others
        .filter_map(|(other, features)| {
            Some(Neighbour {
                features: (*features)?,
                offset_ms: (other.at - hit.at).num_milliseconds(),
                class: Class::from_code(&other.class),
            })
        })
        .collect()
}

/// Returns the act that a duplicate repeats: the latest of a person on the same pixel or link.
fn original(hit: &Judged, earlier: &[Judged]) -> Option<Uuid> {
    earlier
        .iter()
        .rev()
        .find(|other| other.kind == hit.kind && other.ordinal == hit.ordinal && is_person(other))
        .map(|other| other.id)
}
