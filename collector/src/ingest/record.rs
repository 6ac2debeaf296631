// SPDX-License-Identifier: GPL-3.0-or-later
//! One transaction for each batch: consent asked again, then hits and their settlement written.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use chrono::{DateTime, Utc};
use common::{
    config::Config,
    consent::{Rule, Standing},
    db::{
        Connection, DbError, Transactions, hits,
        recordings::{self, Recording},
        settlements::{self, Settlement},
        standings,
    },
    ids::{ControllerId, MessageId, SubjectRef},
    keys::KeyRing,
};

use super::{
    Alarm, Hit,
    cover::{self, Facts},
};
use crate::{
    classify::{
        AddressHistory, Context, Features, MailExchanger, RULES_VERSION, SenderSignals, Thresholds,
        Verdict, classify_at_once,
    },
    metrics::{Dropped, Metrics},
};

/// Writes batches of hits down; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    config: Arc<Config>,
    keys: Arc<KeyRing>,
    thresholds: Thresholds,
    alarm: Arc<Alarm>,
    metrics: Arc<Metrics>,
}

/// What became of a batch.
struct Written {
    /// When its first verdict is to be settled.
    due: Option<DateTime<Utc>>,
    dropped: Vec<Dropped>,
}

type Standings = HashMap<ControllerId, HashMap<SubjectRef, Standing>>;

impl Recorder {
    /// Makes a recorder.
    pub fn new(
        config: Arc<Config>,
        keys: Arc<KeyRing>,
        alarm: Arc<Alarm>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            thresholds: Thresholds::from(&config.classify),
            config,
            keys,
            alarm,
            metrics,
        }
    }

    /// Writes a batch down; when this returns, all of it is committed that may be kept.
    ///
    /// # Errors
    ///
    /// Fails if the database does not take it; then nothing of it is written, unless the connection broke at the very
    /// end. The same hits may be handed over again.
    pub(super) async fn record(
        &self,
        batch: &[&Hit],
        now: DateTime<Utc>,
        connection: &mut Connection,
    ) -> Result<(), DbError> {
        let started = Instant::now();
        let written = connection
            .transaction(async |connection| self.write(batch, now, connection).await)
            .await?;
        if let Some(due) = written.due {
            self.alarm.set(due);
        }
        self.metrics.batch(batch.len(), started.elapsed());
        self.metrics.recorded(batch.len() - written.dropped.len());
        for reason in written.dropped {
            self.metrics.dropped(reason);
        }
        Ok(())
    }

    /// Does all that a batch does, with nothing: afterwards the connection knows every statement, and the first batch
    /// takes no longer than later ones.
    pub(super) async fn warm_up(&self, connection: &mut Connection) -> Result<(), DbError> {
        let controllers: Vec<&str> = self.controllers();
        recordings::lock(&controllers, &[], connection).await?;
        for controller in &self.config.controllers {
            standings::by_subject(&controller.id, &[], &self.keys, connection).await?;
        }
        hits::insert(&[], connection).await?;
        settlements::schedule(&[], connection).await?;
        Ok(())
    }

    async fn write(
        &self,
        batch: &[&Hit],
        now: DateTime<Utc>,
        connection: &mut Connection,
    ) -> Result<Written, DbError> {
        let messages: HashSet<MessageId> = batch.iter().map(|hit| hit.message).collect();
        let ids: Vec<_> = messages.into_iter().map(|message| message.0).collect();
        let recordings = recordings::lock(&self.controllers(), &ids, connection).await?;
        let standings = self.standings(&recordings, connection).await?;

        let mut rows = Vec::with_capacity(batch.len());
        let mut dropped = Vec::new();
        let mut due = BTreeMap::new();
        for hit in batch {
            match self.row(hit, &recordings, &standings, now) {
                Ok(row) => {
                    let settled = row.at + self.config.classify.settle.delta();
                    due.entry((row.controller.clone(), row.message))
                        .and_modify(|earliest: &mut DateTime<Utc>| {
                            *earliest = settled.min(*earliest);
                        })
                        .or_insert(settled);
                    rows.push(row);
                }
                Err(reason) => dropped.push(reason),
            }
        }
        let written = Written {
            due: due.values().min().copied(),
            dropped,
        };
        if !rows.is_empty() {
            hits::insert(&rows, connection).await?;
            let due: Vec<Settlement> = due
                .into_iter()
                .map(|((controller, message), due_at)| Settlement {
                    controller,
                    message,
                    due_at,
                })
                .collect();
            settlements::schedule(&due, connection).await?;
        }
        Ok(written)
    }

    fn row(
        &self,
        hit: &Hit,
        recordings: &HashMap<MessageId, Recording>,
        standings: &Standings,
        now: DateTime<Utc>,
    ) -> Result<hits::New, Dropped> {
        let recording = recordings.get(&hit.message).ok_or(Dropped::Unknown)?;
        let controller = self
            .config
            .controller(&recording.controller)
            .ok_or(Dropped::Unknown)?;
        let facts = Facts {
            recording,
            standings: standings
                .get(&recording.controller)
                .ok_or(Dropped::Untracked)?,
            rule: Rule::of(controller),
        };
        let at = hit.at();
        let window = self.config.retention.recording_window.delta();
        cover::check(&facts, hit.purpose(), at, window, now)?;
        let features = Features {
            age_ms: u64::try_from((at - recording.sent_at).num_milliseconds()).unwrap_or_default(),
            ..hit.features
        };
        let verdict = self.verdict(&features);
        Ok(hits::New {
            controller: recording.controller.clone(),
            message: hit.message,
            at,
            id: hit.id(),
            kind: hit.purpose().code(),
            // No message has so many links: the milter counts them in the same type.
            ordinal: i16::try_from(hit.ordinal).map_err(|_too_large| Dropped::Unknown)?,
            // Plain values of ours always have a JSON form.
            features: serde_json::to_value(features).unwrap_or_default(),
            class: verdict.class.code(),
            confidence: verdict.confidence.into(),
            reasons: verdict
                .reasons
                .iter()
                .map(|reason| reason.code().to_owned())
                .collect(),
            rules_version: RULES_VERSION.into(),
        })
    }

    /// Judges a hit at once, by itself: what other hits tell is heard when the verdict is settled.
    fn verdict(&self, features: &Features) -> Verdict {
        let context = Context {
            earlier: &[],
            later: &[],
            links: 0,
            exchanger: MailExchanger::default(),
            address: AddressHistory::default(),
            sender: SenderSignals::default(),
            thresholds: &self.thresholds,
        };
        classify_at_once(features, &context)
    }

    async fn standings(
        &self,
        recordings: &HashMap<MessageId, Recording>,
        connection: &mut Connection,
    ) -> Result<Standings, DbError> {
        let mut wanted: HashMap<&ControllerId, HashSet<SubjectRef>> = HashMap::new();
        for recording in recordings.values() {
            wanted
                .entry(&recording.controller)
                .or_default()
                .extend(&recording.recipients);
        }
        let mut standings = HashMap::with_capacity(wanted.len());
        for (controller, subjects) in wanted {
            let subjects: Vec<SubjectRef> = subjects.into_iter().collect();
            let found =
                standings::by_subject(controller, &subjects, &self.keys, connection).await?;
            standings.insert(controller.clone(), found);
        }
        Ok(standings)
    }

    fn controllers(&self) -> Vec<&str> {
        self.config
            .controllers
            .iter()
            .map(|controller| controller.id.as_str())
            .collect()
    }
}
