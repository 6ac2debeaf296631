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
    config::{Classify, Part},
    db::{
        self, Connection, DbError, Transactions, arrivals, counters, links, recordings,
        settlements::{self, Claim, Later},
        verdicts::{self, Judged},
    },
    ids::{ControllerId, MessageId},
};
use uuid::Uuid;

use super::{
    hints,
    judge::{self, About, Whose},
    look::{Look, Sum},
    news,
};
use crate::{ingest::Alarm, metrics::Metrics, state::State};

/// Hits of batches, and messages besides, that are settled in one transaction.
const MOST_NEW: i64 = 1000;
const MOST_MESSAGES: i64 = 500;
/// Hits of one message that are judged at once. More are judged piece by piece, each in a transaction of its own.
const MOST_HITS: i64 = 2000;
/// Rules look so far, back and ahead: for what repeats, and for what a sweep belongs to.
const REACH: TimeDelta = TimeDelta::minutes(3);
/// Hits recorded by other collectors are looked for at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);

/// Settles what is due and sleeps until the next is, for ever.
///
/// Between two rounds there is a pause, so that a trickle of hits is settled by the handful and not one by one. The
/// connection is one of its own: it knows every statement, and how to ask them.
pub(super) async fn run(state: State, alarm: Arc<Alarm>, metrics: Arc<Metrics>) {
    let pause = state.config.classify.settle.0 / 30;
    let mut connection = None;
    loop {
        tokio::time::sleep(pause).await;
        let sleep = match settle_due(&state, &metrics, &mut connection).await {
            Ok(next) => next
                // It may be due by now.
                .map(|next| (next - Utc::now()).to_std().unwrap_or_default())
                .unwrap_or(LONGEST_SLEEP)
                .min(LONGEST_SLEEP),
            Err(error) => {
                tracing::debug!("settling is put off: {error}");
                connection = None;
                RETRY
            }
        };
        alarm.sleep(sleep).await;
    }
}

/// Settles all that is due by now and returns when the next is.
async fn settle_due(
    state: &State,
    metrics: &Metrics,
    connection: &mut Option<Connection>,
) -> Result<Option<DateTime<Utc>>, DbError> {
    let connection = match connection {
        Some(connection) => connection,
        none => none.insert(connect(state).await?),
    };
    let began = Utc::now();
    loop {
        let next = [
            arrivals::next_due(connection).await?,
            settlements::next_due(connection).await?,
        ];
        let next = next.into_iter().flatten().min();
        // What falls due meanwhile waits for the next round, and for company.
        if next.is_none_or(|due| due > began) {
            return Ok(next);
        }
        let now = Utc::now();
        let settled = connection
            .transaction(async |connection| settle_some(state, now, connection).await)
            .await?;
        let Some(settled) = settled else {
            // What is due and was not claimed, another collector is at.
            return Ok(Some(now + TimeDelta::seconds(1)));
        };
        for class in settled.classes {
            metrics.verdict(&class);
        }
        metrics.notified.add(settled.notified);
    }
}

async fn connect(state: &State) -> Result<Connection, DbError> {
    let mut connection = db::connect(state.config.database.url_of(Part::Collector)).await?;
    recordings::ask_by_keys(&mut connection).await?;
    Ok(connection)
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
        let oldest = messages.entry(row.message_id).or_insert(now);
        *oldest = row.oldest_at.unwrap_or(DateTime::UNIX_EPOCH).min(*oldest);
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
    let claims: Vec<(Claim, DateTime<Utc>)> = claims
        .into_iter()
        .filter_map(|claim| {
            let oldest = due.remove(&claim.message.0)?;
            // What is to be marked as settled is looked at, whoever has it on the list.
            let marked = claim.settled_until.unwrap_or(claim.sent_at);
            Some((claim, oldest.min(marked + TimeDelta::microseconds(1))))
        })
        .collect();
    // Others are at these, or they are frozen: then nothing was settled meanwhile.
    let mut next: Vec<Later> = due
        .into_iter()
        .map(|(taken, oldest_at)| Later {
            message: MessageId(taken),
            due_at: now + TimeDelta::seconds(1),
            oldest_at,
        })
        .collect();

    let config = &state.config.classify;
    let Read { mut views, rests } = read(controller, claims, config, now, connection).await?;
    next.extend(rests);
    let wanted = views.iter_mut().filter_map(View::hint_is_wanted).collect();
    let asked = hints::find_out(&state.exchangers, controller, wanted, now, connection).await?;
    // What is still asked is known in a moment.
    let early = views.extract_if(.., |view| asked.contains(&view.claim.message.0));
    next.extend(early.map(|view| Later {
        message: view.claim.message,
        due_at: now + TimeDelta::seconds(1),
        oldest_at: view.from,
    }));
    let links = links::numbers(controller, &swept(&views), connection).await?;
    let looks: Vec<Look> = views
        .into_iter()
        .map(|view| view.judge(&links, config, now))
        .collect();

    write(controller, &looks, connection).await?;
    for look in &looks {
        settled.classes.extend(look.newly_settled());
    }
    let told = news::tell(state, controller, &looks, now, connection).await?;
    settled.notified += told.notified;
    next.extend(told.later);
    settlements::put(controller, &earliest(next), connection).await?;
    Ok(())
}

/// The hits of a message that are to be judged, and those around them.
struct View {
    claim: Claim,
    /// In the order of time.
    hits: Vec<Judged>,
    /// Hits from this moment on are to be settled.
    from: DateTime<Utc>,
    /// Settled hits before this are not judged again.
    since: DateTime<Utc>,
    /// Hits up to this moment are settled afterwards.
    until: DateTime<Utc>,
}

impl View {
    /// Returns the message if it matters, and is not known, who takes the mail of its recipients.
    fn hint_is_wanted(&mut self) -> Option<&mut Claim> {
        hints::is_wanted(&self.claim, &self.hits).then_some(&mut self.claim)
    }

    fn judge(self, links: &HashMap<Uuid, i64>, config: &Classify, now: DateTime<Utc>) -> Look {
        let Self {
            claim, hits, since, ..
        } = self;
        let about = About::new(&claim, links);
        let whose = Whose::Since(since);
        let after = judge::again(&hits, claim.settled_until, &about, config, whose, now);
        Look {
            until: claim.settled_until.max(Some(self.until)),
            claim,
            before: hits,
            after,
        }
    }
}

/// What was read of messages.
struct Read {
    views: Vec<View>,
    /// Pieces of messages that were hit too often to be judged at once.
    rests: Vec<Later>,
}

/// Reads the hits of messages, of each from a moment on and as far before it as they could matter.
async fn read(
    controller: &ControllerId,
    claims: Vec<(Claim, DateTime<Utc>)>,
    config: &Classify,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Read, DbError> {
    let late = config.late_recheck.delta();
    let until = now - config.settle.delta();
    // Settled verdicts may still change for a while, and whenever a hit before them becomes known.
    let judged = |from: DateTime<Utc>| from.min(until - late);
    let since: Vec<(Uuid, DateTime<Utc>)> = claims
        .iter()
        .map(|(claim, from)| (claim.message.0, judged(*from) - REACH))
        .collect();
    let horizon = now + TimeDelta::days(1);
    let found = verdicts::of_messages(controller, &since, horizon, MOST_HITS, connection).await?;
    let mut by_message = in_order(found, claims.len());
    let mut read = Read {
        views: Vec::with_capacity(claims.len()),
        rests: Vec::new(),
    };
    for (claim, from) in claims {
        // Where a withdrawal took all, there is nothing to look at.
        let Some(hits) = by_message.remove(&claim.message.0) else {
            continue;
        };
        let mut view = View {
            claim,
            hits,
            from,
            since: judged(from),
            until,
        };
        if is_full(view.hits.len()) {
            let rest = take_piece(controller, &mut view, connection).await?;
            read.rests.extend(rest);
        }
        read.views.push(view);
    }
    Ok(read)
}

/// Looks at the next piece of a message instead of at all its hits, and returns what is left if there is more.
async fn take_piece(
    controller: &ControllerId,
    view: &mut View,
    connection: &mut Connection,
) -> Result<Option<Later>, DbError> {
    let (message, from) = (view.claim.message, view.from);
    let context = judge::NEIGHBOURS.try_into().unwrap_or(i64::MAX);
    view.hits = verdicts::piece(controller, message, from, MOST_HITS, context, connection).await?;
    view.since = from;
    let length = view.hits.iter().filter(|hit| hit.at >= from).count();
    // The last of them are judged in the next piece, where what follows them is known.
    let last = view.hits.iter().rev().nth(judge::NEIGHBOURS);
    let Some(last) = last.filter(|_| is_full(length)) else {
        return Ok(None);
    };
    if last.at >= view.until {
        return Ok(None);
    }
    view.until = last.at;
    Ok(Some(Later {
        message,
        // In this round still.
        due_at: last.at,
        oldest_at: last.at + TimeDelta::microseconds(1),
    }))
}

fn is_full(hits: usize) -> bool {
    i64::try_from(hits).is_ok_and(|hits| hits >= MOST_HITS)
}

/// Returns hits by their messages, in the order of time.
pub(super) fn in_order(hits: Vec<Judged>, messages: usize) -> HashMap<Uuid, Vec<Judged>> {
    let mut by_message: HashMap<Uuid, Vec<Judged>> = HashMap::with_capacity(messages);
    for hit in hits {
        by_message.entry(hit.message_id).or_default().push(hit);
    }
    for hits in by_message.values_mut() {
        hits.sort_unstable_by_key(|hit| (hit.at, hit.id));
    }
    by_message
}

/// Returns the messages of which so many links were followed that it matters how many there are.
fn swept(views: &[View]) -> Vec<Uuid> {
    let is_swept = |view: &&View| judge::links_of(&view.hits) >= judge::FEWEST_SWEPT;
    let swept = views.iter().filter(is_swept);
    swept.map(|view| view.claim.message.0).collect()
}

/// Writes down what has changed: verdicts, and the counters of messages and hours.
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
fn earliest(looks: Vec<Later>) -> Vec<Later> {
    let mut earliest: HashMap<MessageId, Later> = HashMap::with_capacity(looks.len());
    for look in looks {
        let known = earliest.entry(look.message).or_insert(look);
        known.due_at = look.due_at.min(known.due_at);
        known.oldest_at = look.oldest_at.min(known.oldest_at);
    }
    earliest.into_values().collect()
}
