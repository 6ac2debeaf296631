// SPDX-License-Identifier: GPL-3.0-or-later
//! Delivers to webhooks: whichever collector claims a delivery makes it, and it is tried again, ever more seldom, until
//! it is taken. A receiver that took a delivery twice knows it by its `webhook-id`.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::pending,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    consent::Purpose,
    db::{
        DbError, Transactions, notifications_feed, report, users,
        webhook_deliveries::{self as deliveries, Claimed},
        webhooks::{self, Webhook},
    },
    ids::{ControllerId, MessageId, UserId},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::covered::is_covered;
use crate::{
    state::State,
    webhooks::{
        event, guard,
        post::{Delivery, PostError, post},
        signature::sign,
    },
};

/// The warning that a user gets when a webhook is switched off.
pub const DISABLED: &str = "webhook-disabled";

/// Deliveries that one collector makes at once.
const AT_ONCE: usize = 64;
/// Of these, to one webhook: a receiver that takes its time keeps no others waiting.
const OF_EACH: usize = 2;
/// Longer than any attempt takes: then whoever claimed a delivery has died.
const CLAIM: TimeDelta = TimeDelta::minutes(2);
/// Nobody told us of anything, and yet something may be due.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// A webhook that takes nothing for so long is switched off; after so long without a delivery, failing begins anew.
const PATIENCE: TimeDelta = TimeDelta::days(3);
/// The pauses between attempts, in seconds, as Standard Webhooks proposes them; after the last it is given up.
const PAUSES: [i64; 8] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000];

/// Delivers what is due, for ever.
pub(super) async fn run(state: State) {
    let mut woken = state.live.subscribe();
    let mut at_work = AtWork::default();
    loop {
        if let Err(error) = at_work.start_due(&state).await {
            tracing::debug!("webhooks are put off: {error}");
        }
        tokio::select! {
            () = at_work.one_is_done() => {}
            // A notification wakes us: it may have been queued for a webhook, too.
            told = timeout(LONGEST_SLEEP, woken.recv()) => {
                if let Ok(Err(_closed_or_late)) = told {
                    sleep(Duration::from_millis(100)).await;
                }
                // One look serves all that were told of at once: settling tells of many users in one commit.
                while woken.try_recv().is_ok() {}
            }
        }
    }
}

/// The deliveries that are being made.
#[derive(Default)]
struct AtWork {
    deliveries: JoinSet<Uuid>,
    /// How many, by webhook.
    of_webhooks: HashMap<Uuid, usize>,
}

impl AtWork {
    /// Starts deliveries that are due, as many as there is room for.
    async fn start_due(&mut self, state: &State) -> Result<(), DbError> {
        loop {
            let room = AT_ONCE.saturating_sub(self.deliveries.len());
            if room == 0 {
                return Ok(());
            }
            let busy: Vec<Uuid> = self.of_webhooks.keys().copied().collect();
            let now = Utc::now();
            let mut connection = state.db.get().await?;
            let claimed = deliveries::claim(
                &busy,
                i64::try_from(OF_EACH).unwrap_or(i64::MAX),
                i64::try_from(room).unwrap_or(i64::MAX),
                now,
                now + CLAIM,
                &mut connection,
            )
            .await?;
            drop(connection);
            if claimed.is_empty() {
                return Ok(());
            }
            for claimed in claimed {
                let webhook = claimed.webhook_id;
                *self.of_webhooks.entry(webhook).or_default() += 1;
                let state = state.clone();
                self.deliveries.spawn(async move {
                    if let Err(error) = deliver(&state, &claimed).await {
                        tracing::debug!("a delivery is put off: {error}");
                    }
                    webhook
                });
            }
        }
    }

    /// Waits until a delivery has been made, for ever if none is being made.
    async fn one_is_done(&mut self) {
        match self.deliveries.join_next().await {
            Some(Ok(webhook)) => {
                if let Entry::Occupied(mut count) = self.of_webhooks.entry(webhook) {
                    *count.get_mut() -= 1;
                    if *count.get() == 0 {
                        count.remove();
                    }
                }
            }
            // Which one it was is not known any more.
            Some(Err(_panicked)) => self.of_webhooks.clear(),
            None => pending().await,
        }
    }
}

async fn deliver(state: &State, claimed: &Claimed) -> Result<(), DbError> {
    let now = Utc::now();
    match prepare(state, claimed, now).await? {
        Prepared::Call(webhook, delivery) => {
            let permitted = &state.config.collector.webhook_networks;
            let outcome = post(*delivery, permitted).await;
            finish(state, claimed, &webhook, outcome).await
        }
        Prepared::Nothing(why) => {
            let mut connection = state.db.get().await?;
            deliveries::finish(claimed, why, None, None, &mut connection).await?;
            Ok(())
        }
    }
}

enum Prepared {
    Call(Box<Webhook>, Box<Delivery>),
    /// Nothing is sent, and why.
    Nothing(&'static str),
}

async fn prepare(
    state: &State,
    claimed: &Claimed,
    now: DateTime<Utc>,
) -> Result<Prepared, DbError> {
    let (controller, user_id) = (
        ControllerId(claimed.controller_id.clone()),
        UserId(claimed.user_id),
    );
    let mut connection = state.db.get().await?;
    let webhook = webhooks::find(&controller, user_id, claimed.webhook_id, &mut connection).await?;
    let user = users::get(&controller, user_id, &mut connection).await?;
    let row = notifications_feed::one(
        &controller,
        user_id,
        claimed.notification_id,
        &mut connection,
    )
    .await?;
    let (Some(webhook), Some(user)) = (webhook, user) else {
        return Ok(Prepared::Nothing("gone"));
    };
    if !user.enabled || webhook.disabled_at.is_some() {
        return Ok(Prepared::Nothing("off"));
    }
    // A frozen message is not read; that it is frozen is told as little as any other reason.
    let Some((message, row)) = row.and_then(|row| Some((MessageId(row.message_id?), row))) else {
        return Ok(Prepared::Nothing("untracked"));
    };
    let purpose = match row.kind.as_str() {
        "first-click" => Purpose::Click,
        _ => Purpose::Open,
    };
    if !is_covered(state, &controller, message, purpose, now, &mut connection).await? {
        return Ok(Prepared::Nothing("untracked"));
    }
    let Ok(url) = guard::read(&webhook.url, &state.config.collector.webhook_networks) else {
        return Ok(Prepared::Nothing("refused"));
    };
    let recipients = report::recipients(&controller, &[message.0], &mut connection)
        .await?
        .remove(&message.0)
        .unwrap_or_default();
    let language = user.language().unwrap_or_else(|| {
        let controller = state.config.controller(&controller);
        controller
            .map(|controller| controller.language)
            .unwrap_or_default()
    });
    let body = event::body(&row, &recipients, language);
    let delivery = Delivery {
        url,
        id: claimed.id.to_string(),
        timestamp: now.timestamp().to_string(),
        signature: sign(&state.keys, &webhook, claimed.id, now, &body),
        body,
    };
    Ok(Prepared::Call(Box::new(webhook), Box::new(delivery)))
}

async fn finish(
    state: &State,
    claimed: &Claimed,
    webhook: &Webhook,
    outcome: Result<u16, PostError>,
) -> Result<(), DbError> {
    let now = Utc::now();
    let word = match &outcome {
        Ok(status) => status.to_string(),
        Err(error) => word(error).to_owned(),
    };
    let is_taken = matches!(outcome, Ok(200..=299));
    // The receiver is gone for good and says so.
    let is_gone = matches!(outcome, Ok(410));
    let pause = usize::try_from(claimed.attempts - 1)
        .ok()
        .and_then(|place| PAUSES.get(place));
    let next = pause
        .filter(|_| !is_taken && !is_gone)
        .map(|pause| now + TimeDelta::seconds(*pause));
    let mut connection = state.db.get().await?;
    connection
        .transaction(async |connection| -> Result<(), DbError> {
            let delivered = is_taken.then_some(now);
            deliveries::finish(claimed, &word, delivered, next, connection).await?;
            if is_taken {
                webhooks::succeed(webhook, connection).await?;
                return Ok(());
            }
            let since = webhooks::fail(webhook, now - PATIENCE, now, connection).await?;
            let is_over = since.is_some_and(|since| now - since > PATIENCE);
            if is_gone || is_over {
                webhooks::disable(webhook, DISABLED, now, connection).await?;
            }
            Ok(())
        })
        .await
}

/// One word for the history; what the other side said may be anything.
fn word(error: &PostError) -> &'static str {
    match error {
        PostError::Exchange(_) => "no-connection",
        PostError::Late => "late",
        PostError::Refused(_) | PostError::Request(_) => "refused",
    }
}
