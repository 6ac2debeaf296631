// SPDX-License-Identifier: GPL-3.0-or-later
//! From settled messages to notifications: consent is asked once more at the moment of telling.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    consent::{Purpose, Rule},
    db::{
        Connection, DbError,
        notifications::{self, New},
        recordings,
        settlements::Later,
        standings, users,
    },
    ids::{ControllerId, MessageId, SubjectRef, UserId},
};
use uuid::Uuid;

use super::{
    judge,
    look::Look,
    tell::{self, Act, Decision, Told, Wish},
};
use crate::{ingest::cover, state::State};

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) notified: u64,
    /// When to think again about what quiet kept back.
    pub(super) later: Vec<Later>,
}

/// Tells users what is worth it about messages of one controller.
pub(super) async fn tell(
    state: &State,
    controller: &ControllerId,
    looks: &[Look],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Outcome, DbError> {
    let settle = state.config.classify.settle.delta();
    let candidates: Vec<(&Look, Vec<Act>)> = looks
        .iter()
        .filter(|look| !look.claim.muted)
        .map(|look| (look, acts(look, now - settle)))
        .filter(|(_, acts)| acts.iter().any(|act| act.is_fresh))
        .collect();
    if candidates.is_empty() {
        return Ok(Outcome::default());
    }
    let senders: HashSet<Uuid> = candidates
        .iter()
        .map(|(look, _)| look.claim.sender.0)
        .collect();
    let senders: Vec<Uuid> = senders.into_iter().collect();
    let wishes: HashMap<UserId, Wish> = users::by_ids(controller, &senders, connection)
        .await?
        .into_iter()
        .filter(|user| user.enabled)
        .map(|user| (user.user_id(), Wish::of(&user.notifications)))
        .collect();
    let ids: Vec<Uuid> = candidates
        .iter()
        .filter(|(look, _)| wishes.get(&look.claim.sender) != Some(&Wish::Nothing))
        .map(|(look, _)| look.claim.message.0)
        .collect();
    if ids.is_empty() {
        return Ok(Outcome::default());
    }
    let told = notifications::of_messages(controller, &ids, connection).await?;

    let mut outcome = Outcome::default();
    let mut new: Vec<(UserId, MessageId, New)> = Vec::new();
    for (look, acts) in candidates {
        let claim = &look.claim;
        let Some(wish) = wishes.get(&claim.sender) else {
            continue;
        };
        let told = told
            .get(&claim.message)
            .map_or_else(Told::default, |rows| Told::of(rows));
        let first = acts.first().map(|act| act.at);
        let before = claim
            .last_open_at
            .max(claim.last_click_at)
            .filter(|last| first.is_some_and(|first| *last < first));
        match tell::decide(&acts, before, &told, *wish, now) {
            Decision::Nothing => {}
            Decision::Later(due_at) => outcome.later.push(Later {
                message: claim.message,
                due_at,
                // It is looked at again for what is told of it.
                oldest_at: first.unwrap_or(now),
            }),
            Decision::Now(news) => new.push((claim.sender, claim.message, news)),
        }
    }
    let new = covered(state, controller, new, now, connection).await?;
    if !new.is_empty() {
        notifications::insert(controller, &new, connection).await?;
    }
    outcome.notified = u64::try_from(new.len()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// Returns the settled acts of people; fresh are those that this look settles, and those that quiet may have kept back.
fn acts(look: &Look, settled: DateTime<Utc>) -> Vec<Act> {
    let horizon = settled - tell::QUIET - TimeDelta::minutes(1);
    look.pairs()
        .filter(|(_, new)| look.is_settled(new) && judge::is_person(new))
        .map(|(old, new)| Act {
            at: new.at,
            purpose: Purpose::from_code(&new.kind).unwrap_or(Purpose::Open),
            ordinal: new.ordinal,
            is_fresh: !look.was_settled(old) || !judge::is_person(old) || new.at >= horizon,
        })
        .collect()
}

/// Leaves those that consent covers now.
async fn covered(
    state: &State,
    controller: &ControllerId,
    new: Vec<(UserId, MessageId, New)>,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<(UserId, MessageId, New)>, DbError> {
    let Some(configured) = state
        .config
        .controller(controller)
        .filter(|_| !new.is_empty())
    else {
        return Ok(Vec::new());
    };
    let ids: Vec<Uuid> = new.iter().map(|(_, message, _)| message.0).collect();
    let recordings = recordings::find(&[controller.as_str()], &ids, connection).await?;
    let recipients: HashSet<SubjectRef> = recordings
        .values()
        .flat_map(|recording| recording.recipients.iter().copied())
        .collect();
    let recipients: Vec<SubjectRef> = recipients.into_iter().collect();
    let standings = standings::by_subject(controller, &recipients, &state.keys, connection).await?;
    let is_covered = |message: &MessageId, purpose| {
        recordings.get(message).is_some_and(|recording| {
            let facts = cover::Facts {
                recording,
                standings: &standings,
                rule: Rule::of(configured),
            };
            // Whether it may be told does not depend on the window: the hit was within it.
            cover::check(&facts, purpose, now, TimeDelta::days(36_500), now).is_ok()
        })
    };
    let covered = new.into_iter().filter(|(_, message, new)| {
        let purpose = if new.ordinal.is_some() {
            Purpose::Click
        } else {
            Purpose::Open
        };
        is_covered(message, purpose)
    });
    Ok(covered.collect())
}
