// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent_events` and `consent_evidence`: the log, its chain, and what supports each entry.
//!
//! Design note: entries are only ever appended, one writer at a time for each controller, so that each carries the hash
//! of the one before it. An entry is hashed in two steps: what is common to all logs of this kind stands in the entry,
//! the rest in a payload of which the entry holds the hash. What is personal is in the evidence, of which the payload
//! holds the hash; a random number in it keeps anyone from guessing it back after an erasure.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*, sql_types::Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Connection,
    schema::{consent_events, consent_evidence},
    standings, withdrawals,
};
use crate::{
    consent::{
        Event, Inadmissible, Scope, Standing, State, Statement, admit,
        chain::{self, Hash, hex},
    },
    ids::{ControllerId, SubjectRef},
    keys::KeyRing,
};

/// The channel on which every change of anybody's consent is announced, with the controller's name.
pub const CHANNEL: &str = "fairtrack_consent";

/// An entry of the log, as it stands in the database.
#[derive(Clone, Debug, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = consent_events)]
pub struct Recorded {
    pub controller_id: String,
    pub seq: i64,
    pub event_id: Uuid,
    pub subject_ref: Uuid,
    pub purpose: String,
    pub scope_user: Option<Uuid>,
    pub state: String,
    pub author: String,
    pub assurance: i16,
    pub at: DateTime<Utc>,
    pub effective_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub profile: String,
    pub notice_hash: Option<Vec<u8>>,
    pub language: Option<String>,
    pub method: String,
    pub evidence_sha256: Vec<u8>,
    pub prev_hash: Vec<u8>,
    pub entry_hash: Vec<u8>,
}

#[derive(Insertable)]
#[diesel(table_name = consent_evidence)]
struct Evidence {
    controller_id: String,
    seq: i64,
    subject_ref: Uuid,
    evidence: Value,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The statement at this place in the list may not be written; none was.
    #[error("{reason}")]
    Inadmissible { place: usize, reason: Inadmissible },
    #[error("the database refused")]
    Query(#[from] diesel::result::Error),
}

impl Recorded {
    /// Returns the hash that the entry should carry.
    pub fn computed_hash(&self) -> Hash {
        let payload = json!({
            "assurance": self.assurance,
            "effective_at": chain::instant(self.effective_at),
            "event_id": self.event_id,
            "evidence_sha256": hex(&self.evidence_sha256),
            "expires_at": self.expires_at.map(chain::instant),
            "language": self.language,
            "method": self.method,
            "notice_sha256": self.notice_hash.as_deref().map(hex),
            "profile": self.profile,
        });
        let entry = json!({
            "actor": self.author,
            "at": chain::instant(self.at),
            "controller_id": self.controller_id,
            "payload_sha256": hex(&chain::sha256(chain::canonical(&payload))),
            "purpose": self.purpose,
            "scope": self.scope_code(),
            "seq": self.seq,
            "state": self.state,
            "subject_ref": self.subject_ref,
            "v": 1,
        });
        chain::next(&self.prev_hash, &entry)
    }

    /// Returns `org`, or `sender:` and the sender's name in the database.
    pub fn scope_code(&self) -> String {
        self.scope_user
            .map_or_else(|| "org".to_owned(), |user| format!("sender:{user}"))
    }

    fn new(
        controller: &ControllerId,
        (seq, prev_hash, event_id): (i64, Vec<u8>, Uuid),
        statement: &Statement,
        evidence: &Value,
        at: DateTime<Utc>,
    ) -> Self {
        let mut recorded = Self {
            controller_id: controller.as_str().to_owned(),
            seq,
            event_id,
            subject_ref: statement.subject.0,
            purpose: statement.purpose.code().to_owned(),
            scope_user: match statement.scope {
                Scope::Controller => None,
                Scope::Sender(user) => Some(user.0),
            },
            state: statement.state.code().to_owned(),
            author: statement.author.code().to_owned(),
            assurance: statement.author.assurance().into(),
            at,
            effective_at: at,
            expires_at: statement.expires_at.map(chain::storable),
            profile: statement.profile.to_string(),
            notice_hash: statement.notice.map(Vec::from),
            language: statement
                .language
                .map(|language| language.code().to_owned()),
            method: statement.method.code().to_owned(),
            evidence_sha256: chain::sha256(chain::canonical(evidence)).to_vec(),
            prev_hash,
            entry_hash: Vec::new(),
        };
        recorded.entry_hash = recorded.computed_hash().to_vec();
        recorded
    }
}

/// Appends statements to the log, all or none, and lets each no take effect on what was recorded.
///
/// Belongs into a transaction: the lock that keeps the order, the entries and the effects stand or fall together.
///
/// # Errors
///
/// Fails if a statement may not be written, or if the database does.
pub async fn append(
    controller: &ControllerId,
    statements: &[Statement],
    keys: &KeyRing,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<Recorded>, AppendError> {
    let names: Vec<Uuid> = statements.iter().map(|_| Uuid::new_v4()).collect();
    write(controller, statements, &names, keys, at, connection).await
}

/// Appends a statement under the name that it had in the log before: for the journal, after a restore.
///
/// # Errors
///
/// As [`append`].
pub async fn append_as(
    controller: &ControllerId,
    statement: &Statement,
    name: Uuid,
    keys: &KeyRing,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<Recorded>, AppendError> {
    let one = std::slice::from_ref(statement);
    write(controller, one, &[name], keys, at, connection).await
}

async fn write(
    controller: &ControllerId,
    statements: &[Statement],
    names: &[Uuid],
    keys: &KeyRing,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<Recorded>, AppendError> {
    let at = chain::storable(at);
    lock(controller, connection).await?;
    let verdicts = check(controller, statements, keys, connection).await?;
    for (place, verdict) in verdicts.into_iter().enumerate() {
        verdict.map_err(|reason| AppendError::Inadmissible { place, reason })?;
    }

    let mut last = head(controller, connection)
        .await?
        .unwrap_or_else(|| (0, chain::genesis(controller).to_vec()));
    let mut entries = Vec::with_capacity(statements.len());
    let mut evidence = Vec::with_capacity(statements.len());
    for (statement, name) in statements.iter().zip(names) {
        let support = salted(&statement.evidence);
        let (seq, previous) = last;
        let entry = Recorded::new(
            controller,
            (seq + 1, previous, *name),
            statement,
            &support,
            at,
        );
        last = (entry.seq, entry.entry_hash.clone());
        evidence.push(Evidence {
            controller_id: entry.controller_id.clone(),
            seq: entry.seq,
            subject_ref: entry.subject_ref,
            evidence: support,
        });
        entries.push(entry);
    }
    diesel::insert_into(consent_events::table)
        .values(&entries)
        .execute(connection)
        .await?;
    diesel::insert_into(consent_evidence::table)
        .values(&evidence)
        .execute(connection)
        .await?;
    for statement in statements {
        if statement.state.is_negative() || statement.state == State::Invalidated {
            let (subject, purpose) = (statement.subject, statement.purpose);
            withdrawals::take_effect(controller, subject, purpose, statement.scope, connection)
                .await?;
        }
    }
    announce(controller, connection).await?;
    Ok(entries)
}

/// Tells of each statement whether it may be written, each in the light of those before it. About somebody who is not
/// stored, as after an erasure, nothing may be.
pub async fn check(
    controller: &ControllerId,
    statements: &[Statement],
    keys: &KeyRing,
    connection: &mut Connection,
) -> QueryResult<Vec<Result<(), Inadmissible>>> {
    let mut subjects: Vec<SubjectRef> = statements.iter().map(|one| one.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let mut standings = standings::by_subject(controller, &subjects, keys, connection).await?;
    let verdicts = statements.iter().enumerate().map(|(place, statement)| {
        let standing = standings
            .get_mut(&statement.subject)
            .ok_or(Inadmissible::Erased)?;
        let verdict = admit(standing, statement);
        if verdict.is_ok() {
            standing.events.push(pending(standing, statement, place));
        }
        verdict
    });
    Ok(verdicts.collect())
}

/// Returns the entries about one subject, in order.
pub async fn of_subject(
    controller: &ControllerId,
    subject: SubjectRef,
    connection: &mut Connection,
) -> QueryResult<Vec<Recorded>> {
    consent_events::table
        .filter(
            consent_events::controller_id
                .eq(controller.as_str())
                .and(consent_events::subject_ref.eq(subject.0)),
        )
        .order(consent_events::seq)
        .select(Recorded::as_select())
        .load(connection)
        .await
}

/// Returns what supports the entries about one subject, by their numbers.
pub async fn evidence_of_subject(
    controller: &ControllerId,
    subject: SubjectRef,
    connection: &mut Connection,
) -> QueryResult<HashMap<i64, Value>> {
    let rows = consent_evidence::table
        .filter(
            consent_evidence::controller_id
                .eq(controller.as_str())
                .and(consent_evidence::subject_ref.eq(subject.0)),
        )
        .select((consent_evidence::seq, consent_evidence::evidence))
        .load::<(i64, Value)>(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Returns up to `limit` entries after a number, in order: for reading the whole log in pieces.
pub async fn after(
    controller: &ControllerId,
    seq: i64,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Recorded>> {
    consent_events::table
        .filter(
            consent_events::controller_id
                .eq(controller.as_str())
                .and(consent_events::seq.gt(seq)),
        )
        .order(consent_events::seq)
        .limit(limit)
        .select(Recorded::as_select())
        .load(connection)
        .await
}

/// Returns what supports the entries of a range of numbers, as far as it is still kept.
pub async fn evidence_between(
    controller: &ControllerId,
    first: i64,
    last: i64,
    connection: &mut Connection,
) -> QueryResult<HashMap<i64, Value>> {
    let rows = consent_evidence::table
        .filter(
            consent_evidence::controller_id
                .eq(controller.as_str())
                .and(consent_evidence::seq.between(first, last)),
        )
        .select((consent_evidence::seq, consent_evidence::evidence))
        .load::<(i64, Value)>(connection)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Returns the number and the hash of the newest entry.
pub async fn head(
    controller: &ControllerId,
    connection: &mut Connection,
) -> QueryResult<Option<(i64, Vec<u8>)>> {
    consent_events::table
        .filter(consent_events::controller_id.eq(controller.as_str()))
        .order(consent_events::seq.desc())
        .select((consent_events::seq, consent_events::entry_hash))
        .first(connection)
        .await
        .optional()
}

/// Waits until nobody else writes this controller's log, and keeps others waiting until the transaction ends.
pub async fn lock(controller: &ControllerId, connection: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('consent|' || $1, 0))")
        .bind::<Text, _>(controller.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// The same, and makes what was read about this controller's consent before worthless at the commit. Whoever deletes
/// messages of this controller alone does this first, and then waits for no other's lock.
pub async fn begin_epoch(
    controller: &ControllerId,
    connection: &mut Connection,
) -> QueryResult<()> {
    diesel::sql_query("SELECT start_consent_epoch($1)")
        .bind::<Text, _>(controller.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Has every statement of this transaction planned anew: while a table grows from nothing to many rows, a plan that was
/// kept from its beginning reads the whole table each time.
pub async fn expect_growth(connection: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("SET LOCAL plan_cache_mode = force_custom_plan")
        .execute(connection)
        .await?;
    Ok(())
}

/// Tells whoever listens, at commit, that somebody's consent has changed.
pub async fn announce(controller: &ControllerId, connection: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_notify($1, $2)")
        .bind::<Text, _>(CHANNEL)
        .bind::<Text, _>(controller.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

fn salted(evidence: &Value) -> Value {
    let mut members = match evidence {
        Value::Object(members) => members.clone(),
        _ => serde_json::Map::new(),
    };
    members.insert("salt".into(), Uuid::new_v4().simple().to_string().into());
    Value::Object(members)
}

/// Returns a statement as an event that follows everything in the log.
fn pending(standing: &Standing, statement: &Statement, place: usize) -> Event {
    let last = standing.events.last().map_or(0, |event| event.seq);
    Event {
        seq: last + 1 + i64::try_from(place).unwrap_or(i64::MAX / 2),
        purpose: statement.purpose,
        scope: statement.scope,
        state: statement.state,
        author: statement.author,
        assurance: statement.author.assurance(),
        effective_at: DateTime::UNIX_EPOCH,
        expires_at: statement.expires_at,
        profile: statement.profile,
        is_exact: true,
    }
}
