// SPDX-License-Identifier: GPL-3.0-or-later
//! Attestations: others record a yes that a person gave elsewhere, with its date, channel and evidence.
//!
//! Never over the person's own no, at write and at read; never for an office or a list. Whether it was taken down is not
//! told to senders, because that would tell of a refusal; the contact's tracking is on or off, and that is all.

use chrono::{DateTime, Utc};
use common::{
    address::Address,
    consent::{
        Author, Inadmissible, Method, Profile, Purpose, Scope, State as Said, Statement,
        chain::{self, Hash, instant},
    },
    db::{
        Connection, DbError, QueryError, Transactions, acts,
        consent_events::{self, AppendError, Recorded},
        subjects,
        users::User,
    },
    ids::SubjectRef,
};
use serde_json::{Map, Value, json};

use super::{
    choose::Books,
    fitness::{Unfit, check},
};
use crate::state::State;

/// What somebody attests.
#[derive(Clone, Debug)]
pub struct Attestation {
    pub address: Address,
    pub purposes: Vec<Purpose>,
    pub scope: Scope,
    /// When the person agreed.
    pub given_at: DateTime<Utc>,
    /// How: on paper, by telephone, on a web page.
    pub channel: String,
    /// Where the evidence is: a ticket, a URL, a SHA-256.
    pub evidence: String,
    /// The text that the person saw, if it is kept among the notices.
    pub notice: Option<Hash>,
    /// Why an office's address may be taken; an administrator's word only.
    pub role_reason: Option<String>,
}

/// Who attests.
#[derive(Clone, Debug)]
pub enum Attestor {
    /// An administrator, by account.
    Admin(String),
    /// A row of a file, imported by an account.
    Import {
        account: String,
        file_sha256: String,
        line: u64,
    },
    /// A user, by login.
    Sender(String),
}

/// Why an attestation was not taken down.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the database refused")]
    Query(#[from] QueryError),
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// The longest text that is kept of a channel or of evidence.
const LONGEST: usize = 1_000;

/// Takes down what a user attests. Succeeds too where the person's own no stands in the way: that is not told.
///
/// # Errors
///
/// Fails if the attestation is unfit by itself, or if the database does not serve.
pub async fn record(
    state: &State,
    user: &User,
    attestation: &Attestation,
    now: DateTime<Utc>,
) -> Result<(), AttestError> {
    let Some(controller) = state.config.controller(&user.controller()) else {
        return Ok(());
    };
    let books = Books {
        config: &state.config,
        controller,
        keys: &state.keys,
    };
    let mut connection = state.db.get().await?;
    let attestor = Attestor::Sender(user.login.clone());
    match write(books, attestation, &attestor, now, &mut connection).await {
        Ok(_) => Ok(()),
        Err(AttestError::Append(AppendError::Inadmissible { reason, .. })) => {
            note_refusal(books, user, reason, now, &mut connection).await
        }
        Err(error) => Err(error),
    }
}

/// Takes down an attestation, in a transaction of its own.
///
/// # Errors
///
/// Fails if it is unfit, if the person's no stands in the way, or if the database does not serve.
pub async fn write(
    books: Books<'_>,
    attestation: &Attestation,
    attestor: &Attestor,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<Recorded>, AttestError> {
    check(attestation, books, now)?;
    let id = &books.controller.id;
    connection
        .transaction(async |connection| {
            // First: whoever is being erased is erased before anything is written about that address.
            consent_events::lock(id, connection).await?;
            let one = std::slice::from_ref(&attestation.address);
            let found = subjects::find_or_create(id, one, connection).await?;
            let Some(subject) = found.first().copied() else {
                return Ok(Vec::new());
            };
            let statements = statements(attestation, attestor, subject, books);
            let written =
                consent_events::append(id, &statements, books.keys, now, connection).await?;
            let detail = json!({
                "subject": subject.0,
                "entries": written.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
            });
            let act = "attestation";
            acts::append(id, attestor.account(), act, detail, now, connection).await?;
            Ok(written)
        })
        .await
}

/// Returns what is to be written down: one statement for each purpose.
pub fn statements(
    attestation: &Attestation,
    attestor: &Attestor,
    subject: SubjectRef,
    books: Books<'_>,
) -> Vec<Statement> {
    let expires_at = attestation.given_at + books.config.retention.grant.delta();
    let evidence = attestor.evidence(attestation);
    let mut purposes = attestation.purposes.clone();
    purposes.sort_unstable();
    purposes.dedup();
    purposes
        .into_iter()
        .map(|purpose| Statement {
            subject,
            purpose,
            scope: attestation.scope,
            state: Said::Granted,
            author: attestor.author(),
            expires_at: Some(expires_at),
            profile: Profile::CURRENT,
            notice: attestation.notice,
            language: None,
            method: attestor.method(),
            evidence: evidence.clone(),
        })
        .collect()
}

/// Cuts a text to what is kept of it, without what a database cannot hold.
pub fn kept(text: &str) -> String {
    text.trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect()
}

impl Attestor {
    /// Returns whom the log of acts names.
    pub fn account(&self) -> &str {
        match self {
            Self::Admin(account) | Self::Import { account, .. } | Self::Sender(account) => account,
        }
    }

    fn author(&self) -> Author {
        match self {
            Self::Admin(_) => Author::Admin,
            Self::Import { .. } => Author::Import,
            Self::Sender(_) => Author::Sender,
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::Admin(_) => Method::Cli,
            Self::Import { .. } => Method::Import,
            Self::Sender(_) => Method::Api,
        }
    }

    fn evidence(&self, attestation: &Attestation) -> Value {
        let mut evidence = Map::new();
        let mut add = |name: &str, value: Value| {
            evidence.insert(name.to_owned(), value);
        };
        let given_at = instant(chain::storable(attestation.given_at));
        add("attested_by", self.account().into());
        add("given_at", given_at.into());
        add("channel", kept(&attestation.channel).into());
        add("evidence", kept(&attestation.evidence).into());
        if let Self::Import {
            file_sha256, line, ..
        } = self
        {
            add("file_sha256", file_sha256.as_str().into());
            add("line", (*line).into());
        }
        if let Some(reason) = &attestation.role_reason {
            add("role_address", kept(reason).into());
        }
        Value::Object(evidence)
    }
}

/// Writes down that an attestation was refused, so that repeated attempts can be seen by administrators.
async fn note_refusal(
    books: Books<'_>,
    user: &User,
    reason: Inadmissible,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<(), AttestError> {
    let reason = match reason {
        Inadmissible::Erased => "erased",
        Inadmissible::Refused => "refused",
        Inadmissible::Restricted => "restricted",
        Inadmissible::Suppressed => "suppressed",
    };
    let id = &books.controller.id;
    let detail = json!({"reason": reason});
    connection
        .transaction(async |connection| {
            acts::append(
                id,
                &user.login,
                "attestation-refused",
                detail.clone(),
                now,
                connection,
            )
            .await
        })
        .await?;
    Ok(())
}
