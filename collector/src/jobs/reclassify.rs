// SPDX-License-Identifier: GPL-3.0-or-later
//! Judging stored hits again after the rules have changed: from the features that were kept, and nothing else.
//!
//! Messages are taken page by page, each page in a transaction of its own, so that it may be stopped and run again. A
//! message with very many hits is judged piece by piece, as in settling.
//! Hits that are not settled yet are left to the settling job. Counters follow; nobody is notified.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    config::Config,
    db::{
        Connection, DbError, Transactions, links, messages,
        settlements::{self, Claim},
        verdicts::{self, Judged},
    },
    ids::ControllerId,
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    judge::{self, Whose, is_settled},
    look::Look,
    settle,
};
use crate::classify::RULES_VERSION;

/// Whether what comes out is written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    Apply,
    DryRun,
}

/// What came out.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub rules_version: u16,
    pub applied: bool,
    pub messages: u64,
    pub hits: u64,
    /// Messages that something else was at; to be looked at by another run.
    pub skipped: u64,
    pub changes: Vec<Change>,
}

/// How many hits went from one class to another.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    pub from: String,
    pub to: String,
    pub hits: u64,
}

/// Messages in one transaction.
const PAGE: i64 = 200;
/// Hits of one message that are judged together, as in settling.
const MOST_HITS: i64 = 2000;

/// Judges all settled hits again; `progress` is told how many messages were looked at.
///
/// # Errors
///
/// Fails if the database refuses; what was applied until then stays.
pub async fn run(
    config: &Config,
    mode: Mode,
    now: DateTime<Utc>,
    mut progress: impl FnMut(u64),
    connection: &mut Connection,
) -> Result<Report, DbError> {
    let mut report = Report {
        rules_version: RULES_VERSION,
        applied: mode == Mode::Apply,
        ..Report::default()
    };
    let mut changes = Changes::new();
    for controller in &config.controllers {
        let mut after = Uuid::nil();
        loop {
            let ids = messages::settled(&controller.id, after, PAGE, connection).await?;
            let Some(last) = ids.last().copied() else {
                break;
            };
            after = last;
            let page = connection
                .transaction(async |connection| {
                    page(config, &controller.id, &ids, mode, now, connection).await
                })
                .await?;
            report.messages += widen(ids.len());
            report.skipped += widen(ids.len() - page.claimed);
            report.hits += page.hits;
            for (change, hits) in page.changes {
                *changes.entry(change).or_default() += hits;
            }
            progress(report.messages);
        }
    }
    report.changes = changes
        .into_iter()
        .map(|((from, to), hits)| Change { from, to, hits })
        .collect();
    Ok(report)
}

/// How many hits went from one class to another.
type Changes = BTreeMap<(String, String), u64>;

/// What came out of a page.
#[derive(Default)]
struct Page {
    claimed: usize,
    hits: u64,
    changes: Changes,
}

impl Page {
    /// Counts what looks found, and writes it down where that is wanted. No message may be among them twice.
    async fn take(
        &mut self,
        controller: &ControllerId,
        looks: &[Look],
        mode: Mode,
        connection: &mut Connection,
    ) -> Result<(), DbError> {
        for (old, new) in looks.iter().flat_map(Look::pairs) {
            self.hits += 1;
            if old.class != new.class {
                let change = (old.class.clone(), new.class.clone());
                *self.changes.entry(change).or_default() += 1;
            }
        }
        if mode == Mode::Apply {
            settle::write(controller, looks, connection).await?;
        }
        Ok(())
    }
}

async fn page(
    config: &Config,
    controller: &ControllerId,
    ids: &[Uuid],
    mode: Mode,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Page, DbError> {
    let claims = settlements::claim(controller, ids, connection).await?;
    let mut page = Page {
        claimed: claims.len(),
        ..Page::default()
    };
    let since: Vec<(Uuid, DateTime<Utc>)> = claims
        .iter()
        .map(|claim| (claim.message.0, first(claim)))
        .collect();
    let hits = verdicts::of_messages(controller, &since, now, MOST_HITS, connection).await?;
    let mut by_message = settle::in_order(hits, claims.len());
    let followed = by_message
        .iter()
        .filter(|(_, hits)| judge::links_of(hits) >= judge::FEWEST_SWEPT);
    let followed: Vec<Uuid> = followed.map(|(message, _)| *message).collect();
    let links = links::numbers(controller, &followed, connection).await?;
    let mut looks = Vec::with_capacity(claims.len());
    let mut full = Vec::new();
    for claim in claims {
        let Some(mut before) = by_message.remove(&claim.message.0) else {
            continue;
        };
        if is_full(before.len()) {
            full.push(claim);
            continue;
        }
        before.retain(|hit| is_settled(hit, claim.settled_until));
        looks.push(look(claim, &links, before, Whose::All, config, now));
    }
    page.take(controller, &looks, mode, connection).await?;
    for claim in full {
        pieces(config, controller, &claim, mode, now, &mut page, connection).await?;
    }
    Ok(page)
}

/// Judges a message with very many hits, one piece after another, so that no more than one is in memory.
async fn pieces(
    config: &Config,
    controller: &ControllerId,
    claim: &Claim,
    mode: Mode,
    now: DateTime<Utc>,
    page: &mut Page,
    connection: &mut Connection,
) -> Result<(), DbError> {
    let message = claim.message;
    let context = judge::NEIGHBOURS.try_into().unwrap_or(i64::MAX);
    let links = links::numbers(controller, &[message.0], connection).await?;
    let mut next = Some(first(claim));
    while let Some(from) = next {
        let mut before =
            verdicts::piece(controller, message, from, MOST_HITS, context, connection).await?;
        // The last of them are judged in the next piece, where what follows them is known.
        let last = before.iter().rev().nth(judge::NEIGHBOURS);
        let is_full = is_full(before.iter().filter(|hit| hit.at >= from).count());
        let last = last.map(|hit| hit.at).filter(|_| is_full);
        before.retain(|hit| is_settled(hit, claim.settled_until));
        let mut look = look(
            claim.clone(),
            &links,
            before,
            Whose::Since(from),
            config,
            now,
        );
        if let Some(last) = last {
            let judged = look.before.partition_point(|hit| hit.at <= last);
            look.before.truncate(judged);
            look.after.truncate(judged);
        }
        // What is there for the sake of the others was counted with the piece before.
        let context = look.before.partition_point(|hit| hit.at < from);
        look.before.drain(..context);
        look.after.drain(..context);
        page.take(controller, &[look], mode, connection).await?;
        next = last.map(|last| last + TimeDelta::microseconds(1));
    }
    Ok(())
}

fn look(
    claim: Claim,
    links: &HashMap<Uuid, i64>,
    before: Vec<Judged>,
    whose: Whose,
    config: &Config,
    now: DateTime<Utc>,
) -> Look {
    let about = judge::About::new(&claim, links);
    let until = claim.settled_until;
    let after = judge::again(&before, until, &about, &config.classify, whose, now);
    Look {
        claim,
        until,
        before,
        after,
    }
}

/// Returns the moment before which a message has no hits.
fn first(claim: &Claim) -> DateTime<Utc> {
    claim.sent_at - TimeDelta::days(1)
}

fn is_full(hits: usize) -> bool {
    i64::try_from(hits).is_ok_and(|hits| hits >= MOST_HITS)
}

fn widen(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
