// SPDX-License-Identifier: GPL-3.0-or-later
//! Judging stored hits again after the rules have changed: from the features that were kept, and nothing else.
//!
//! Messages are taken page by page, each page in a transaction of its own, so that it may be stopped and run again.
//! Hits that are not settled yet are left to the settling job. Counters follow; nobody is notified.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    config::Config,
    db::{Connection, DbError, Transactions, links, messages, settlements, verdicts},
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
/// Hits of one message that are judged, as in settling.
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
    let mut changes: BTreeMap<(String, String), u64> = BTreeMap::new();
    for controller in &config.controllers {
        let mut after = Uuid::nil();
        loop {
            let ids = messages::settled(&controller.id, after, PAGE, connection).await?;
            let Some(last) = ids.last().copied() else {
                break;
            };
            after = last;
            let looks = connection
                .transaction(async |connection| {
                    page(config, &controller.id, &ids, mode, now, connection).await
                })
                .await?;
            report.messages += widen(ids.len());
            report.skipped += widen(ids.len() - looks.claimed);
            for look in &looks.looks {
                for (old, new) in look.pairs() {
                    report.hits += 1;
                    if old.class != new.class {
                        let change = (old.class.clone(), new.class.clone());
                        *changes.entry(change).or_default() += 1;
                    }
                }
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

struct Page {
    claimed: usize,
    looks: Vec<Look>,
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
    let claimed = claims.len();
    let since: Vec<(Uuid, DateTime<Utc>)> = claims
        .iter()
        .map(|claim| (claim.message.0, claim.sent_at - TimeDelta::days(1)))
        .collect();
    let hits = verdicts::of_messages(controller, &since, now, MOST_HITS, connection).await?;
    let mut by_message = settle::in_order(hits, claimed);
    let followed = by_message
        .iter()
        .filter(|(_, hits)| judge::links_of(hits) >= judge::FEWEST_SWEPT);
    let followed: Vec<Uuid> = followed.map(|(message, _)| *message).collect();
    let links = links::numbers(controller, &followed, connection).await?;
    let looks: Vec<Look> = claims
        .into_iter()
        .filter_map(|claim| {
            let mut before = by_message.remove(&claim.message.0)?;
            before.retain(|hit| is_settled(hit, claim.settled_until));
            let after = judge::again(
                &before,
                claim.settled_until,
                &judge::About::new(&claim, &links),
                &config.classify,
                Whose::All,
                now,
            );
            Some(Look {
                until: claim.settled_until,
                claim,
                before,
                after,
            })
        })
        .collect();
    if mode == Mode::Apply {
        settle::write(controller, &looks, connection).await?;
    }
    Ok(Page { claimed, looks })
}

fn widen(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
