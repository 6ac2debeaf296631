// SPDX-License-Identifier: GPL-3.0-or-later
//! One transaction for each batch: consent asked again, then hits and their settlement written.
//!
//! What was read before is not read again as long as nothing changed; the transaction makes sure of that.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use chrono::{DateTime, Utc};
use common::{
    config::{Config, Part},
    consent::Rule,
    db::{
        self, Connection, DbError,
        hits::{self, Novelty},
        recordings, sessions, standings,
    },
    ids::{ControllerId, MessageId, SubjectRef, UserId},
    keys::KeyRing,
};
use uuid::Uuid;

use super::{
    Alarm, Hit,
    cover::{self, Facts},
    crowd::Crowd,
    memory::{Memory, Recent, Remembered},
};
use crate::{
    classify::{
        Class, Context, Features, MailExchanger, Neighbour, RULES_VERSION, Thresholds, Verdict,
        classify_at_once,
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
    crowd: Arc<Crowd>,
    metrics: Arc<Metrics>,
}

/// Who are signed in under the sessions that hits of a batch showed, by the sessions' hashes.
type Signed = HashMap<Vec<u8>, (ControllerId, UserId)>;

/// A connection and what it remembers.
pub(super) struct Session {
    connection: Connection,
    memory: Memory,
}

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
            crowd: Arc::default(),
            metrics,
        }
    }

    /// Connects, and does all that a batch does, with nothing: afterwards the connection knows every statement, and the
    /// first batch takes no longer than later ones.
    ///
    /// # Errors
    ///
    /// Fails if the database cannot be reached, or has not the schema.
    pub(super) async fn connect(&self) -> Result<Session, DbError> {
        let mut session = Session {
            connection: db::connect(self.config.database.url_of(Part::Collector)).await?,
            memory: Memory::default(),
        };
        recordings::ask_by_keys(&mut session.connection).await?;
        recordings::epochs(&self.controllers(), &mut session.connection).await?;
        self.read(&[Uuid::nil()], &mut session).await?;
        for controller in &self.config.controllers {
            standings::by_subject(&controller.id, &[], &self.keys, &mut session.connection).await?;
        }
        for novelty in [Novelty::New, Novelty::Repeated] {
            self.write(&[], novelty, &mut session).await?;
        }
        Ok(session)
    }

    /// Writes a batch down; when this returns, all of it is committed that may be kept.
    ///
    /// # Errors
    ///
    /// Fails if the database does not take it; then nothing of it is written, unless the connection broke at the very
    /// end. The same hits may be handed over again, as a repeated batch.
    pub(super) async fn record(
        &self,
        batch: &[&Hit],
        novelty: Novelty,
        now: DateTime<Utc>,
        session: &mut Session,
    ) -> Result<(), DbError> {
        let started = Instant::now();
        let signed = self.signed(batch, now, session).await?;
        let (rows, dropped) = loop {
            self.recall(batch, session).await?;
            let (rows, dropped) = self.judge(batch, &signed, now, &mut session.memory);
            let written = self.write(&rows, novelty, session).await;
            if !matches!(written, Ok(true)) {
                // Consent has changed, or the database refuses. What is remembered tells of hits that were not written.
                session.memory.forget();
            }
            if written? {
                break (rows, dropped);
            }
        };
        if let Some(latest) = rows.iter().map(|row| row.at).max() {
            self.alarm.set(latest + self.config.classify.settle.delta());
        }
        self.metrics.batch(batch.len(), started.elapsed());
        self.metrics.recorded(rows.len());
        for reason in dropped {
            self.metrics.dropped(reason);
        }
        Ok(())
    }

    /// Finds out who showed a session; hardly ever does anybody.
    async fn signed(
        &self,
        batch: &[&Hit],
        now: DateTime<Utc>,
        session: &mut Session,
    ) -> Result<Signed, DbError> {
        let shown: Vec<&[u8]> = batch
            .iter()
            .filter_map(|hit| hit.trace.session.as_deref())
            .collect();
        if shown.is_empty() {
            return Ok(Signed::new());
        }
        let controllers = self.controllers();
        Ok(sessions::owners(&controllers, &shown, now, &mut session.connection).await?)
    }

    /// Sees to it that all messages of a batch are remembered that exist.
    ///
    /// The epochs are read once, before all else. Whatever is read later is true under them if they still hold when the
    /// batch is written, and else is forgotten.
    async fn recall(&self, batch: &[&Hit], session: &mut Session) -> Result<(), DbError> {
        let wanted: HashSet<MessageId> = batch.iter().map(|hit| hit.message).collect();
        if !session.memory.make_room(wanted.len()) {
            tracing::debug!("more messages than are remembered");
        }
        if session.memory.epochs().is_empty() {
            let epochs = recordings::epochs(&self.controllers(), &mut session.connection).await?;
            session.memory.enter(epochs);
        }
        let missing = wanted
            .into_iter()
            .filter(|message| session.memory.find(*message).is_none());
        let missing: Vec<Uuid> = missing.map(|message| message.0).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.read(&missing, session).await
    }

    async fn read(&self, messages: &[Uuid], session: &mut Session) -> Result<(), DbError> {
        let Session { connection, memory } = session;
        let recordings = recordings::find(&self.controllers(), messages, connection).await?;
        let mut wanted: HashMap<ControllerId, HashSet<SubjectRef>> = HashMap::new();
        for recording in recordings.values() {
            let recipients = recording.recipients.iter().copied();
            let unknown: Vec<SubjectRef> = recipients.filter(|one| !memory.knows(*one)).collect();
            if !unknown.is_empty() {
                let wanted = wanted.entry(recording.controller.clone()).or_default();
                wanted.extend(unknown);
            }
        }
        for (controller, subjects) in wanted {
            let subjects: Vec<SubjectRef> = subjects.into_iter().collect();
            let found =
                standings::by_subject(&controller, &subjects, &self.keys, connection).await?;
            memory.keep_standings(found);
        }
        for (message, recording) in recordings {
            let remembered = Remembered {
                recording,
                recent: Vec::new(),
            };
            memory.keep(message, remembered);
        }
        Ok(())
    }

    fn judge(
        &self,
        batch: &[&Hit],
        signed: &Signed,
        now: DateTime<Utc>,
        memory: &mut Memory,
    ) -> (Vec<hits::New>, Vec<Dropped>) {
        let mut rows = Vec::with_capacity(batch.len());
        let mut dropped = Vec::new();
        for hit in batch {
            match self.row(hit, signed, memory, now) {
                Ok(row) => rows.push(row),
                Err(reason) => dropped.push(reason),
            }
        }
        (rows, dropped)
    }

    fn row(
        &self,
        hit: &Hit,
        signed: &Signed,
        memory: &mut Memory,
        now: DateTime<Utc>,
    ) -> Result<hits::New, Dropped> {
        let (remembered, standings) = memory.find_mut(hit.message).ok_or(Dropped::Unknown)?;
        let recording = &remembered.recording;
        let (owner, controller) = self
            .config
            .controllers
            .iter()
            .enumerate()
            .find(|(_, controller)| controller.id == recording.controller)
            .ok_or(Dropped::Unknown)?;
        let facts = Facts {
            recording,
            standings,
            rule: Rule::of(controller),
        };
        let at = hit.at();
        let window = self.config.retention.recording_window.delta();
        cover::check(&facts, hit.purpose(), at, window, now)?;
        let shown = hit.trace.session.as_ref();
        let is_own = shown
            .and_then(|session| signed.get(session))
            .is_some_and(|(by, user)| *by == controller.id && *user == recording.sender);
        // Of a message to several people it is not known who read it: one reader of three such messages is no crowd.
        let is_crowded = match recording.recipients.as_slice() {
            [recipient] => self.crowd.notice(hit.trace.address, *recipient, now),
            _ => false,
        };
        let features = Features {
            is_own,
            is_crowded,
            age_ms: u64::try_from((at - recording.sent_at).num_milliseconds()).unwrap_or_default(),
            ..hit.features
        };
        // No message has so many links: the milter counts them in the same type.
        let ordinal = i16::try_from(hit.ordinal).map_err(|_too_large| Dropped::Unknown)?;
        let verdict = self.verdict(&features, at, &remembered.recent);
        let is_original = |earlier: &&Recent| {
            earlier.class.is_person()
                && (earlier.features.kind, earlier.features.link) == (features.kind, features.link)
        };
        let duplicate_of = (verdict.class == Class::Duplicate)
            .then(|| remembered.recent.iter().rfind(is_original))
            .flatten()
            .map(|original| original.id);
        remembered.notice(Recent {
            id: hit.id(),
            at,
            features,
            class: verdict.class,
        });
        Ok(hits::New {
            owner,
            message: hit.message,
            at,
            id: hit.id(),
            ordinal,
            // Plain values of ours always have a JSON form.
            features: hits::Json(serde_json::to_string(&features).unwrap_or_default()),
            verdict: hits::Verdict {
                class: verdict.class.code(),
                confidence: verdict.confidence.into(),
                reasons: verdict.reasons.iter().map(|reason| reason.code()).collect(),
            },
            duplicate_of,
        })
    }

    async fn write(
        &self,
        rows: &[hits::New],
        novelty: Novelty,
        session: &mut Session,
    ) -> Result<bool, DbError> {
        let controllers = self.controllers();
        let batch = hits::Batch {
            controllers: &controllers,
            epochs: session.memory.epochs(),
            rules_version: RULES_VERSION.into(),
            settle: self.config.classify.settle.delta(),
            novelty,
        };
        Ok(hits::keep(rows, batch, &mut session.connection).await?)
    }

    /// Judges a hit at once: what later hits tell is heard when the verdict is settled, and also what others tell that
    /// were not written by this connection.
    fn verdict(&self, features: &Features, at: DateTime<Utc>, recent: &[Recent]) -> Verdict {
        let earlier: Vec<Neighbour> = recent
            .iter()
            .filter(|other| other.at <= at)
            .map(|other| Neighbour {
                features: other.features,
                offset_ms: (other.at - at).num_milliseconds(),
                class: Some(other.class),
            })
            .collect();
        let context = Context {
            earlier: &earlier,
            later: &[],
            links: 0,
            exchanger: MailExchanger::default(),
            address: features.address(),
            sender: features.sender(),
            thresholds: &self.thresholds,
        };
        classify_at_once(features, &context)
    }

    fn controllers(&self) -> Vec<&str> {
        self.config
            .controllers
            .iter()
            .map(|controller| controller.id.as_str())
            .collect()
    }
}
