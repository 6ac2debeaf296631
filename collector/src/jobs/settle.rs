// SPDX-License-Identifier: GPL-3.0-or-later
//! Settling: verdicts are given again when later hits are known; only then is anything counted or told.
//!
//! A batch of hits is due when its latest has waited long enough. All hits of late of its messages are judged again,
//! because a scanner that sweeps the links shows itself only in the end. One transaction takes the batch off the list
//! and writes verdicts, counters and notifications, so each is counted and told once, whichever collector does it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    db::{
        Connection, DbError, Transactions, arrivals, counters, links,
        settlements::{self, Claim},
        verdicts::{self, Judged},
    },
    ids::{ControllerId, MessageId},
};
use uuid::Uuid;

use super::{
    judge::{self, Whose},
    look::{Look, Sum},
    news,
};
use crate::{ingest::Alarm, metrics::Metrics, state::State};

/// Hits of batches, and messages besides, that are settled in one transaction.
const MOST_NEW: i64 = 1000;
const MOST_MESSAGES: i64 = 500;
/// Hits of one message that are judged. More are a flood: they keep the verdict that was given at once.
const MOST_HITS: i64 = 2000;
/// Rules look back so far at least: for what repeats, and for what a sweep belongs to.
const LOOK_BACK: TimeDelta = TimeDelta::minutes(2);
/// Hits recorded by other collectors are looked for at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);

/// Settles what is due and sleeps until the next is, for ever.
///
/// Between two rounds there is a pause, so that a trickle of hits is settled by the handful and not one by one.
pub(super) async fn run(state: State, alarm: Arc<Alarm>, metrics: Arc<Metrics>) {
    let pause = state.config.classify.settle.0 / 30;
    loop {
        tokio::time::sleep(pause).await;
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
            .transaction(async |connection| settle_some(state, now, connection).await)
            .await?;
        let Some(settled) = settled else { break };
        for class in settled.classes {
            metrics.verdict(&class);
        }
        metrics.notified.add(settled.notified);
    }
    let next = [
        arrivals::next_due(&mut connection).await?,
        settlements::next_due(&mut connection).await?,
    ];
    match next.into_iter().flatten().min() {
        // What is due and was not claimed, another collector is at.
        Some(due) if due <= Utc::now() => Ok(Some(Utc::now() + TimeDelta::seconds(1))),
        next => Ok(next),
    }
}

/// What is counted once a transaction is committed.
#[derive(Default)]
struct Settled {
    classes: Vec<String>,
    notified: u64,
}

/// Settles what is due first; `None` if nothing is.
async fn settle_some(
    state: &State,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Option<Settled>, DbError> {
    let batches = arrivals::take(now, MOST_NEW, connection).await?;
    let again = settlements::take(now, MOST_MESSAGES, connection).await?;
    if batches.is_empty() && again.is_empty() {
        return Ok(None);
    }
    // Each message with the moment of its oldest new hit.
    let mut due: BTreeMap<String, BTreeMap<Uuid, DateTime<Utc>>> = BTreeMap::new();
    for batch in batches {
        let messages = due.entry(batch.controller_id).or_default();
        for message in batch.message_ids {
            let oldest = messages.entry(message).or_insert(now);
            *oldest = batch.oldest_at.min(*oldest);
        }
    }
    for row in again {
        let messages = due.entry(row.controller_id).or_default();
        messages.entry(row.message_id).or_insert(now);
    }
    let mut settled = Settled::default();
    for (controller, messages) in due {
        let controller = ControllerId(controller);
        settle(state, &controller, messages, now, &mut settled, connection).await?;
    }
    Ok(Some(settled))
}

/// Settles messages of one controller.
async fn settle(
    state: &State,
    controller: &ControllerId,
    mut due: BTreeMap<Uuid, DateTime<Utc>>,
    now: DateTime<Utc>,
    settled: &mut Settled,
    connection: &mut Connection,
) -> Result<(), DbError> {
    let ids: Vec<Uuid> = due.keys().copied().collect();
    let claims = settlements::claim(controller, &ids, connection).await?;
    let late = state.config.classify.late_recheck.delta();
    let since: Vec<(Uuid, DateTime<Utc>)> = claims
        .iter()
        .filter_map(|claim| {
            let oldest = due.remove(&claim.message.0)?;
            // Nothing was settled while the message was frozen.
            let settled = claim.settled_until.unwrap_or(claim.sent_at);
            let oldest = oldest.min(settled).min(now - late);
            Some((claim.message.0, oldest - late.max(LOOK_BACK)))
        })
        .collect();
    let mut next: Vec<(MessageId, DateTime<Utc>)> = due
        .into_keys()
        .map(|taken| (MessageId(taken), now + TimeDelta::seconds(1)))
        .collect();

    let until = now + TimeDelta::days(1);
    let hits = verdicts::of_messages(controller, &since, until, MOST_HITS, connection).await?;
    let looks = judge_again(state, claims, hits, now);

    write(controller, &looks, connection).await?;
    for look in &looks {
        settled.classes.extend(look.newly_settled());
    }
    let told = news::tell(state, controller, &looks, now, connection).await?;
    settled.notified += told.notified;

    next.extend(told.later);
    next.extend(
        looks
            .iter()
            .filter_map(|look| Some((look.claim.message, look.recheck(&state.config, now)?))),
    );
    settlements::put(controller, &earliest(next), connection).await?;
    Ok(())
}

fn judge_again(
    state: &State,
    claims: Vec<Claim>,
    hits: Vec<Judged>,
    now: DateTime<Utc>,
) -> Vec<Look> {
    let config = &state.config.classify;
    let mut by_message: HashMap<Uuid, Vec<Judged>> = HashMap::with_capacity(claims.len());
    for hit in hits {
        by_message.entry(hit.message_id).or_default().push(hit);
    }
    claims
        .into_iter()
        .filter_map(|claim| {
            // Where a withdrawal took all, there is nothing to look at.
            let before = by_message.remove(&claim.message.0)?;
            let after = judge::again(
                &before,
                claim.settled_until,
                claim.links,
                config,
                Whose::Recent,
                now,
            );
            let until = now - config.settle.delta();
            Some(Look {
                until: claim.settled_until.max(Some(until)),
                claim,
                before,
                after,
            })
        })
        .collect()
}

/// Writes down what has changed: verdicts, and the counters of messages, links and hours.
pub(super) async fn write(
    controller: &ControllerId,
    looks: &[Look],
    connection: &mut Connection,
) -> Result<(), DbError> {
    let changed: Vec<&Judged> = looks.iter().flat_map(Look::changed).collect();
    verdicts::write(controller, &changed, connection).await?;

    let sums: Vec<Sum> = looks.iter().map(Look::sum).collect();
    let gains: Vec<counters::Gain> = sums.iter().map(|sum| sum.gain).collect();
    counters::add(controller, &gains, connection).await?;
    let named = |wanted: fn(&Sum) -> bool| -> Vec<Uuid> {
        let sums = sums.iter().filter(|sum| wanted(sum));
        sums.map(|sum| sum.gain.message.0).collect()
    };
    let losing = named(|sum| sum.has_losses);
    counters::recount(controller, &losing, connection).await?;
    let clicked = named(|sum| sum.has_clicks);
    links::recount(controller, &clicked, connection).await?;

    let mut hours: BTreeMap<_, counters::Difference> = BTreeMap::new();
    for (look, sum) in looks.iter().zip(&sums) {
        for (hour, difference) in &sum.hours {
            let total = hours.entry((look.claim.sender.0, *hour)).or_default();
            total.opens += difference.opens;
            total.clicks += difference.clicks;
            total.automatic += difference.automatic;
        }
    }
    let hours: Vec<_> = hours.into_iter().collect();
    counters::add_activity(controller, &hours, connection).await?;
    Ok(())
}

/// Names each message once, with the earliest of its times.
fn earliest(times: Vec<(MessageId, DateTime<Utc>)>) -> Vec<(MessageId, DateTime<Utc>)> {
    let mut earliest: HashMap<MessageId, DateTime<Utc>> = HashMap::with_capacity(times.len());
    for (message, time) in times {
        let known = earliest.entry(message).or_insert(time);
        *known = time.min(*known);
    }
    earliest.into_iter().collect()
}
