// SPDX-License-Identifier: GPL-3.0-or-later
//! Retention: once a day, by one collector, what has reached its end is deleted, and the months to come are prepared.

use chrono::{DateTime, Utc};
use common::{
    config,
    db::{
        Connection, DbError, consent_retention,
        locks::{self, Task},
        partitions,
        retention::{self, Ends, RULES},
    },
};
use serde::Serialize;

use crate::state::State;

/// How many rows of a table were over.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub struct Purged {
    pub table: &'static str,
    pub rows: i64,
}

/// Whether anything is deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    Count,
    Delete,
}

/// Purges now, unless another collector is at it.
pub(super) async fn run_once(state: State) -> Result<(), DbError> {
    let mut connection = state.db.get().await?;
    if !locks::try_take(Task::Retention, &mut connection).await? {
        return Ok(());
    }
    let result = purge(
        &state.config.retention,
        Mode::Delete,
        Utc::now(),
        &mut connection,
    )
    .await;
    locks::release(Task::Retention, &mut connection).await?;
    for purged in result?.iter().filter(|purged| purged.rows > 0) {
        tracing::info!(
            "retention: {} rows of \"{}\" deleted",
            purged.rows,
            purged.table
        );
    }
    Ok(())
}

/// Deletes, or only counts, what is over, and makes the partitions of the months to come.
///
/// # Errors
///
/// Fails if the database does; what was deleted by then stays deleted.
pub async fn purge(
    retention: &config::Retention,
    mode: Mode,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<Purged>, DbError> {
    let ends = Ends {
        hits: now - retention.hits.delta(),
        messages: now - retention.messages.delta(),
        expired: now,
    };
    let mut purged = Vec::with_capacity(RULES.len());
    for rule in RULES {
        let rows = retention::count(rule, ends, connection).await?;
        purged.push(Purged {
            table: rule.table,
            rows,
        });
    }
    let proof = now - retention.consent_proof.delta();
    for rule in consent_retention::RULES {
        let rows = consent_retention::count(rule, now, proof, connection).await?;
        purged.push(Purged {
            table: rule.table,
            rows,
        });
    }
    if mode == Mode::Count {
        return Ok(purged);
    }
    partitions::create_ahead(now, connection).await?;
    for name in partitions::ended_before(ends.hits, connection).await? {
        partitions::drop(&name, connection).await?;
    }
    consent_retention::keep_withdrawal_keys(ends.messages, now, connection).await?;
    for rule in RULES {
        while retention::delete_some(rule, ends, connection).await? > 0 {}
    }
    for rule in consent_retention::RULES {
        while consent_retention::delete_some(rule, now, proof, connection).await? > 0 {}
    }
    Ok(purged)
}
