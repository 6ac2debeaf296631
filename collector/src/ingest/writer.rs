// SPDX-License-Identifier: GPL-3.0-or-later
//! A worker's own batch and connection: gathers, commits, answers; turns to the local log when the database is slow.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use chrono::Utc;
use common::{config::Config, db::hits::Novelty};
use tokio::sync::{Notify, oneshot};

use super::{Hit, HitLog, Recorder, Safety, Waiting, record::Session};
use crate::metrics::Metrics;

/// Hits that may gather while a batch commits; more go to the log at once.
const MOST_GATHERED: usize = 4096;
/// Hits that go into one transaction.
const MOST_IN_BATCH: usize = 512;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Takes hits in one worker thread; cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    gathering: Rc<Gathering>,
    log: HitLog,
    answer_within: Duration,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Gathering {
    hits: RefCell<Vec<Waiting>>,
    arrived: Notify,
}

impl Ingest {
    /// Starts the writing task of a worker thread; must be called in it.
    pub fn start(config: &Config, recorder: Recorder, log: HitLog, metrics: Arc<Metrics>) -> Self {
        let ingest = Self {
            gathering: Rc::default(),
            log,
            answer_within: config.collector.answer_within.0,
            metrics,
        };
        let writer = Writer {
            ingest: ingest.clone(),
            link: Link::open(recorder.clone()),
            recorder,
            // Half of the time for the database, half for the disk.
            patience: config.collector.answer_within.0 / 2,
        };
        actix_web::rt::spawn(writer.run());
        ingest
    }

    /// Hands a hit over and waits until it is safe, but no longer than an answer may wait.
    pub async fn keep(&self, hit: Hit) {
        let (answer, safety) = oneshot::channel();
        let waiting = Waiting { hit, answer };
        let overflow = {
            let mut hits = self.gathering.hits.borrow_mut();
            if hits.len() < MOST_GATHERED {
                hits.push(waiting);
                self.metrics.gathering.add(1);
                None
            } else {
                Some(waiting)
            }
        };
        match overflow {
            Some(waiting) => self.log.append(vec![waiting]),
            None => self.gathering.arrived.notify_one(),
        }
        match tokio::time::timeout(self.answer_within, safety).await {
            Ok(Ok(Safety::Committed | Safety::Logged | Safety::Lost)) => {}
            Ok(Err(_)) | Err(_) => self.metrics.overdue.add(1),
        }
    }
}

struct Writer {
    ingest: Ingest,
    recorder: Recorder,
    link: Link,
    patience: Duration,
}

impl Writer {
    async fn run(self) {
        loop {
            self.ingest.gathering.arrived.notified().await;
            loop {
                let batch = self.next_batch();
                if batch.is_empty() {
                    break;
                }
                self.write(batch).await;
            }
        }
    }

    fn next_batch(&self) -> Vec<Waiting> {
        let mut hits = self.ingest.gathering.hits.borrow_mut();
        let later = if hits.len() > MOST_IN_BATCH {
            hits.split_off(MOST_IN_BATCH)
        } else {
            Vec::with_capacity(hits.len())
        };
        let batch = std::mem::replace(&mut *hits, later);
        let taken = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.ingest.metrics.gathering.subtract(taken);
        batch
    }

    async fn write(&self, batch: Vec<Waiting>) {
        let Some(mut session) = self.link.take(self.patience).await else {
            self.ingest.log.append(batch);
            return;
        };
        let hits: Vec<&Hit> = batch.iter().map(|waiting| &waiting.hit).collect();
        let record = self
            .recorder
            .record(&hits, Novelty::New, Utc::now(), &mut session);
        match tokio::time::timeout(self.patience, record).await {
            Ok(Ok(())) => {
                self.link.put_back(session);
                for waiting in batch {
                    waiting.done(Safety::Committed);
                }
            }
            failed => {
                // The batch may have been committed or not: the log's replay finds out.
                self.ingest.log.append(batch);
                self.ingest.metrics.batch_failed();
                match failed {
                    Ok(Err(error)) => tracing::debug!("the database did not take a batch: {error}"),
                    _ => tracing::debug!("the database did not take a batch in time"),
                }
                drop(session);
                self.link.reopen();
            }
        }
    }
}

/// A connection, or the attempt to make one; hits do not wait for it.
struct Link {
    place: Rc<Place>,
    recorder: Recorder,
}

/// Where the connection is when nobody uses it.
#[derive(Default)]
struct Place {
    session: RefCell<Option<Session>>,
    arrived: Notify,
    /// Whether the first attempt of all may still succeed: then it is worth waiting for.
    is_first: Cell<bool>,
}

impl Link {
    fn open(recorder: Recorder) -> Self {
        let link = Self {
            place: Rc::default(),
            recorder,
        };
        link.place.is_first.set(true);
        link.reopen();
        link
    }

    async fn take(&self, patience: Duration) -> Option<Session> {
        let session = self.place.session.borrow_mut().take();
        if session.is_some() || !self.place.is_first.get() {
            return session;
        }
        if tokio::time::timeout(patience, self.place.arrived.notified())
            .await
            .is_err()
        {
            self.place.is_first.set(false);
        }
        self.place.session.borrow_mut().take()
    }

    fn put_back(&self, session: Session) {
        *self.place.session.borrow_mut() = Some(session);
    }

    fn reopen(&self) {
        let place = Rc::downgrade(&self.place);
        let recorder = self.recorder.clone();
        actix_web::rt::spawn(async move {
            let mut pause = FIRST_PAUSE;
            // Ends when the writer is gone.
            while place.strong_count() > 0 {
                let session = connect(&recorder).await;
                if let Some(place) = place.upgrade() {
                    place.is_first.set(false);
                    let is_made = session.is_some();
                    *place.session.borrow_mut() = session;
                    place.arrived.notify_one();
                    if is_made {
                        return;
                    }
                }
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        });
    }
}

async fn connect(recorder: &Recorder) -> Option<Session> {
    match tokio::time::timeout(Duration::from_secs(5), recorder.connect()).await {
        Ok(Ok(session)) => Some(session),
        Ok(Err(error)) => {
            tracing::debug!("no connection for hits: {error}");
            None
        }
        Err(_elapsed) => None,
    }
}
