// SPDX-License-Identifier: GPL-3.0-or-later
//! Replay: what waited in the local log goes to the database, oldest first, exactly once.
//!
//! A file is deleted after all of it is committed. Where the program dies in between, the file is read again, and what
//! is in the database already is left as it is: hits are stored by their names. A file that holds what could not be read
//! is set aside instead, and what is missing is counted as lost.

use std::{path::Path, time::Duration};

use chrono::Utc;
use common::db::{DbError, hits::Novelty};

use super::{
    Hit, HitLog, Recorder,
    record::Session,
    segment::{Outcome, Records},
};
use crate::metrics::Metrics;

/// Hits that go into one transaction.
const BATCH: usize = 500;
/// How long a batch may take before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Replays whatever comes into the log, for ever.
pub async fn replay(log: HitLog, recorder: Recorder, metrics: std::sync::Arc<Metrics>) {
    let mut session = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(path) = log.oldest() else {
            log.changed().await;
            continue;
        };
        match replay_file(&path, &recorder, &mut session, &metrics).await {
            Ok(outcome) if outcome.unread > 0 => {
                pause = FIRST_PAUSE;
                metrics.lost.add(outcome.unread);
                tracing::error!(
                    "\"{}\" holds {} records or more that are damaged or of another release: set aside, the others are recorded",
                    path.display(),
                    outcome.unread
                );
                log.set_aside(&path);
            }
            Ok(outcome) => {
                pause = FIRST_PAUSE;
                if outcome.is_torn {
                    metrics.log_torn.add(1);
                    tracing::info!(
                        "\"{}\" ends in a torn record, as after a kill",
                        path.display()
                    );
                }
                if let Err(error) = log.finish(&path) {
                    tracing::error!(
                        "failed to delete replayed file \"{}\": {error}",
                        path.display()
                    );
                    tokio::time::sleep(LONGEST_PAUSE).await;
                }
            }
            Err(ReplayError::Read(error)) => {
                metrics.lost.add(1);
                tracing::error!("failed to read \"{}\", set aside: {error}", path.display());
                log.set_aside(&path);
            }
            Err(ReplayError::Database) => {
                session = None;
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("the database does not take it")]
    Database,
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
}

async fn replay_file(
    path: &Path,
    recorder: &Recorder,
    session: &mut Option<Session>,
    metrics: &Metrics,
) -> Result<Outcome, ReplayError> {
    let mut records = Records::open(path)?;
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH
            && let Some(hit) = records.next()?
        {
            batch.push(hit);
        }
        if batch.is_empty() {
            break;
        }
        let lent = match session.take() {
            Some(lent) => lent,
            None => within(recorder.connect()).await?,
        };
        let lent = session.insert(lent);
        within(hand_over(&batch, recorder, lent, metrics)).await?;
        metrics
            .replayed
            .add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
    }
    Ok(records.outcome())
}

async fn within<T>(step: impl Future<Output = Result<T, DbError>>) -> Result<T, ReplayError> {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::debug!("the database is not ready for a replay: {error}");
            Err(ReplayError::Database)
        }
        Err(_elapsed) => Err(ReplayError::Database),
    }
}

/// Records a batch; one that the database refuses is recorded hit by hit, so that one odd hit holds up no other.
async fn hand_over(
    batch: &[Hit],
    recorder: &Recorder,
    session: &mut Session,
    metrics: &Metrics,
) -> Result<(), DbError> {
    let all: Vec<&Hit> = batch.iter().collect();
    match recorder
        .record(&all, Novelty::Repeated, Utc::now(), session)
        .await
    {
        Err(error) if error.is_refusal() => {}
        other => return other,
    }
    for hit in all {
        match recorder
            .record(&[hit], Novelty::Repeated, Utc::now(), session)
            .await
        {
            Err(error) if error.is_refusal() => {
                tracing::warn!("a hit in the log was refused by the database: {error}");
                metrics.lost.add(1);
            }
            other => other?,
        }
    }
    Ok(())
}
