// SPDX-License-Identifier: GPL-3.0-or-later
//! Settling: verdicts are given again when later hits are known; only then is anything counted or told.
//!
//! A message is due when its oldest unsettled hit has waited long enough. All its hits of late are judged again, because
//! a scanner that sweeps the links shows itself only in the end. One transaction writes verdicts, counters and
//! notifications, so each is counted and told once, whichever collector does it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use common::{
    consent::{Purpose, Rule},
    db::{
        Connection, DbError, Transactions,
        counters::{self, Difference},
        notifications, recordings,
        settlements::{self, Claim},
        standings, users,
        verdicts::{self, Judged},
    },
};

use super::{
    judge,
    tell::{self, Act, Decision, Told, Wish},
};
use crate::{
    ingest::{Alarm, cover},
    metrics::Metrics,
    state::State,
};

/// Hits of one message that are judged in one transaction.
const MOST: i64 = 2000;
/// Hits recorded by other collectors are looked for at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);

/// Settles what is due and sleeps until the next is, for ever.
pub(super) async fn run(state: State, alarm: Arc<Alarm>, metrics: Arc<Metrics>) {
    loop {
        let sleep = match settle_due(&state, &metrics).await {
            Ok(next) => next
                .and_then(|next| (next - Utc::now()).to_std().ok())
                .unwrap_or(LONGEST_SLEEP)
                .min(LONGEST_SLEEP),
            Err(error) => {
                tracing::debug!("settling is put off: {error}");
                RETRY
            }
        };
        alarm.sleep(sleep).await;
    }
}

/// Settles all that is due and returns when the next is.
async fn settle_due(state: &State, metrics: &Metrics) -> Result<Option<DateTime<Utc>>, DbError> {
    let mut connection = state.db.get().await?;
    loop {
        let now = Utc::now();
        let settled = connection
            .transaction(async |connection| settle_one(state, metrics, now, connection).await)
            .await?;
        if !settled {
            break;
        }
    }
    match settlements::next_due(&mut connection).await? {
        // What is due and was not claimed, another collector is at.
        Some(due) if due <= Utc::now() => Ok(Some(Utc::now() + TimeDelta::seconds(1))),
        next => Ok(next),
    }
}

/// Settles one message; false if none is due.
async fn settle_one(
    state: &State,
    metrics: &Metrics,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<bool, DbError> {
    let Some(claim) = settlements::claim(now, connection).await? else {
        return Ok(false);
    };
    let patience = &state.config.classify;
    let (settle, late) = (patience.settle.delta(), patience.late_recheck.delta());
    let oldest = verdicts::oldest_unsettled(&claim.controller, claim.message, connection)
        .await?
        .unwrap_or(now);
    let since = oldest.min(now - late) - late;
    let before =
        verdicts::of_message(&claim.controller, claim.message, since, MOST, connection).await?;
    let after = judge::again(&before, claim.links, &state.config.classify, now);

    write(&claim, &before, &after, connection).await?;
    for (old, new) in before.iter().zip(&after) {
        if !old.settled && new.settled {
            metrics.verdict(&new.class);
        }
    }
    let later = tell(state, metrics, &claim, &before, &after, now, connection).await?;

    settlements::freeze(&claim, connection).await?;
    let unsettled = verdicts::oldest_unsettled(&claim.controller, claim.message, connection)
        .await?
        .map(|at| at + settle);
    let recheck = recheck(&after, settle, late, now);
    let next = [unsettled, recheck, later].into_iter().flatten().min();
    settlements::reschedule(&claim, next, connection).await?;
    Ok(true)
}

async fn write(
    claim: &Claim,
    before: &[Judged],
    after: &[Judged],
    connection: &mut Connection,
) -> Result<(), DbError> {
    let changed: Vec<&Judged> = before
        .iter()
        .zip(after)
        .filter(|(old, new)| old != new)
        .map(|(_, new)| new)
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    verdicts::write(&claim.controller, claim.message, &changed, connection).await?;
    counters::recount(&claim.controller, claim.message, connection).await?;
    let hours = differences(before, after);
    if !hours.is_empty() {
        counters::add_activity(&claim.controller, claim.sender, &hours, connection).await?;
    }
    Ok(())
}

/// Returns what each hour gains, in order.
fn differences(before: &[Judged], after: &[Judged]) -> Vec<(DateTime<Utc>, Difference)> {
    let mut hours: BTreeMap<DateTime<Utc>, Difference> = BTreeMap::new();
    for (old, new) in before.iter().zip(after) {
        let hour = new.at.duration_trunc(TimeDelta::hours(1)).unwrap_or(new.at);
        let sum = hours.entry(hour).or_default();
        let (lost, gained) = (contribution(old), contribution(new));
        sum.opens += gained.opens - lost.opens;
        sum.clicks += gained.clicks - lost.clicks;
        sum.automatic += gained.automatic - lost.automatic;
    }
    hours.retain(|_, difference| *difference != Difference::default());
    hours.into_iter().collect()
}

fn contribution(hit: &Judged) -> Difference {
    let one = |counts: bool| i32::from(hit.settled && hit.duplicate_of.is_none() && counts);
    Difference {
        opens: one(judge::is_person(hit) && hit.kind == Purpose::Open.code()),
        clicks: one(judge::is_person(hit) && hit.kind == Purpose::Click.code()),
        automatic: one(judge::is_machine(hit)),
    }
}

/// Returns when to look once more: a hit that others followed after it had been settled is judged a last time.
fn recheck(
    hits: &[Judged],
    settle: TimeDelta,
    late: TimeDelta,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let last = hits.last()?.at;
    hits.iter()
        .filter(|hit| last > hit.at + settle)
        .map(|hit| hit.at + late)
        .find(|moment| *moment > now)
}

/// Tells the user what is worth it; returns when to think again about what quiet kept back.
async fn tell(
    state: &State,
    metrics: &Metrics,
    claim: &Claim,
    before: &[Judged],
    after: &[Judged],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Option<DateTime<Utc>>, DbError> {
    let settle = state.config.classify.settle.delta();
    let horizon = now - settle - tell::QUIET - TimeDelta::minutes(1);
    let acts: Vec<Act> = before
        .iter()
        .zip(after)
        .filter(|(_, new)| new.settled && judge::is_person(new))
        .map(|(old, new)| Act {
            at: new.at,
            purpose: Purpose::from_code(&new.kind).unwrap_or(Purpose::Open),
            ordinal: new.ordinal,
            is_fresh: !old.settled || !judge::is_person(old) || new.at >= horizon,
        })
        .collect();
    if claim.muted || !acts.iter().any(|act| act.is_fresh) {
        return Ok(None);
    }
    let user = users::get(&claim.controller, claim.sender, connection).await?;
    let Some(user) = user.filter(|user| user.enabled) else {
        return Ok(None);
    };
    let told = notifications::of_message(&claim.controller, claim.message, connection).await?;
    let first = acts.first().map(|act| act.at);
    let before = claim
        .last_open_at
        .max(claim.last_click_at)
        .filter(|last| first.is_some_and(|first| *last < first));
    let wish = Wish::of(&user.notifications);
    match tell::decide(&acts, before, &Told::of(&told), wish, now) {
        Decision::Nothing => Ok(None),
        Decision::Later(moment) => Ok(Some(moment)),
        Decision::Now(new) => {
            let purpose = if new.ordinal.is_some() {
                Purpose::Click
            } else {
                Purpose::Open
            };
            if is_covered(state, claim, purpose, now, connection).await? {
                let (controller, user) = (&claim.controller, claim.sender);
                notifications::insert(controller, user, claim.message, new, connection).await?;
                metrics.notified.add(1);
            }
            Ok(None)
        }
    }
}

/// Asks for consent once more, at the moment of telling.
async fn is_covered(
    state: &State,
    claim: &Claim,
    purpose: Purpose,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<bool, DbError> {
    let controllers = [claim.controller.as_str()];
    let recordings = recordings::find(&controllers, &[claim.message.0], connection).await?;
    let (Some(recording), Some(controller)) = (
        recordings.get(&claim.message),
        state.config.controller(&claim.controller),
    ) else {
        return Ok(false);
    };
    let recipients = &recording.recipients;
    let standings =
        standings::by_subject(&claim.controller, recipients, &state.keys, connection).await?;
    let facts = cover::Facts {
        recording,
        standings: &standings,
        rule: Rule::of(controller),
    };
    // Whether it may be told does not depend on the window: the hit was within it.
    Ok(cover::check(&facts, purpose, now, TimeDelta::days(36_500), now).is_ok())
}
