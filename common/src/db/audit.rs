// SPDX-License-Identifier: GPL-3.0-or-later
//! Reading the two chained logs from end to end, in pieces, and naming the first entry that is not as it was written.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection, acts,
    consent_events::{self, Recorded},
    schema::{consent_evidence, erasures},
};
use crate::{consent::chain, ids::ControllerId};

/// What a whole log came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intact {
    pub entries: u64,
    /// The number and the hash of the newest entry.
    pub head: Option<(i64, Vec<u8>)>,
}

/// The first entry that is not as it was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error("entry {seq} was altered")]
    Altered { seq: i64 },
    #[error("the evidence of entry {seq} was altered")]
    Evidence { seq: i64 },
    #[error("the evidence of entry {seq} is missing before its time")]
    NoEvidence { seq: i64 },
    #[error("entry {seq} is missing")]
    Missing { seq: i64 },
    #[error("entry {seq} does not follow the one before it")]
    OutOfOrder { seq: i64 },
}

const PIECE: i64 = 1_000;

/// Checks a controller's consent log. Evidence is there of everything that was in force later than `proof_since`, unless
/// the person was erased.
pub async fn consent_log(
    controller: &ControllerId,
    proof_since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Result<Intact, Fault>> {
    let mut last = (0, chain::genesis(controller).to_vec());
    let mut entries = 0;
    loop {
        let piece = consent_events::after(controller, last.0, PIECE, connection).await?;
        let (Some(first), Some(end)) = (piece.as_slice().first(), piece.as_slice().last()) else {
            break;
        };
        let evidence =
            consent_events::evidence_between(controller, first.seq, end.seq, connection).await?;
        let is_due = |entry: &&Recorded| {
            entry.expires_at.unwrap_or(entry.at) > proof_since && !evidence.contains_key(&entry.seq)
        };
        let lacking: Vec<Uuid> = piece.iter().filter(is_due).map(|e| e.subject_ref).collect();
        let erased = erased(controller, &lacking, connection).await?;
        for entry in &piece {
            let written = (entry.seq, &entry.prev_hash, &entry.entry_hash);
            if let Err(fault) = follows(&last, written, entry.computed_hash()) {
                return Ok(Err(fault));
            }
            if is_due(&entry) && !erased.contains(&entry.subject_ref) {
                return Ok(Err(Fault::NoEvidence { seq: entry.seq }));
            }
            if let Some(support) = evidence.get(&entry.seq)
                && chain::sha256(chain::canonical(support)) != entry.evidence_sha256.as_slice()
            {
                return Ok(Err(Fault::Evidence { seq: entry.seq }));
            }
            last = (entry.seq, entry.entry_hash.clone());
            entries += 1;
        }
    }
    // Cutting off the end leaves a whole chain; the evidence beside it tells.
    let orphan = consent_evidence::table
        .filter(
            consent_evidence::controller_id
                .eq(controller.as_str())
                .and(consent_evidence::seq.gt(last.0)),
        )
        .select(diesel::dsl::min(consent_evidence::seq))
        .first::<Option<i64>>(connection)
        .await?;
    if orphan.is_some() {
        return Ok(Err(Fault::Missing { seq: last.0 + 1 }));
    }
    Ok(Ok(intact(entries, last)))
}

/// Returns those of the people who were erased.
async fn erased(
    controller: &ControllerId,
    people: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashSet<Uuid>> {
    if people.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<Uuid> = erasures::table
        .filter(
            erasures::controller_id
                .eq(controller.as_str())
                .and(erasures::subject_ref.eq_any(people)),
        )
        .select(erasures::subject_ref)
        .load(connection)
        .await?;
    Ok(found.into_iter().collect())
}

/// Checks a controller's log of acts, which begins where retention left it.
pub async fn act_log(
    controller: &ControllerId,
    connection: &mut Connection,
) -> QueryResult<Result<Intact, Fault>> {
    let mut last = (0, chain::genesis_of_acts(controller).to_vec());
    let mut entries = 0;
    loop {
        let piece = acts::after(controller, last.0, PIECE, connection).await?;
        if piece.is_empty() {
            break;
        }
        for entry in &piece {
            if entries == 0 && entry.seq > 1 {
                last = (entry.seq - 1, entry.prev_hash.clone());
            }
            let written = (entry.seq, &entry.prev_hash, &entry.entry_hash);
            if let Err(fault) = follows(&last, written, entry.computed_hash()) {
                return Ok(Err(fault));
            }
            last = (entry.seq, entry.entry_hash.clone());
            entries += 1;
        }
    }
    Ok(Ok(intact(entries, last)))
}

fn follows(
    (last_seq, last_hash): &(i64, Vec<u8>),
    (seq, previous, hash): (i64, &Vec<u8>, &Vec<u8>),
    computed: chain::Hash,
) -> Result<(), Fault> {
    if seq != last_seq + 1 {
        Err(Fault::Missing { seq: last_seq + 1 })
    } else if computed != hash.as_slice() {
        Err(Fault::Altered { seq })
    } else if previous != last_hash {
        Err(Fault::OutOfOrder { seq })
    } else {
        Ok(())
    }
}

fn intact(entries: u64, last: (i64, Vec<u8>)) -> Intact {
    Intact {
        entries,
        head: (entries > 0).then_some(last),
    }
}
