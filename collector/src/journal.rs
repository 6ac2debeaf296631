// SPDX-License-Identifier: GPL-3.0-or-later
//! The journal: a file beside the database, so that a restored backup does not revive what people took back.
//!
//! One line of JSON for each erased person and account, each refusal and withdrawal, each freeze and its end, each message
//! that was stopped, and each yes of a person's own that ends a refusal. It names nobody: random names, times, keyed
//! hashes. The permissions given since the backup are not in it: in doubt the answer is no. `fairtrackctl consent replay`
//! does it all again.

pub mod file;

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use common::{
    config::Config,
    consent::chain::hex,
    db::{
        Connection, DbError, QueryError,
        consent_events::Recorded,
        erasures::{self, Erased, Suppression},
        standings, subjects,
    },
    ids::{ControllerId, MessageId, SubjectRef, UserId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::recipient::choose::Books;

/// Why a journal may still hold fingerprints that it should not.
#[derive(Debug, thiserror::Error)]
pub enum TidyError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the work was not done")]
    Join(#[from] tokio::task::JoinError),
    #[error("the database refused")]
    Query(#[from] QueryError),
    #[error("failed to rewrite the journal")]
    Write(#[from] io::Error),
}

/// What happened, in whose books, and when.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Line {
    pub controller: String,
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub what: What,
}

/// What happened, as the journal keeps it. An `address_hash` is the keyed hash of an address: for a person whom the backup
/// does not know.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// A user was erased.
    Account { user: Uuid },
    /// A person was erased.
    Erasure {
        /// The person, or whatever else held a fingerprint of the address.
        subject: Uuid,
        /// The keyed hash that went to the suppression list, unless the person refused that.
        suppression: Option<String>,
        /// Requests that are to be forgotten where no hash tells which.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        requests: Vec<Uuid>,
    },
    /// The person said yes, which ends a refusal of the same and every suppression. It does not bring the yes back.
    Lift {
        subject: Uuid,
        purpose: String,
        scope: Option<Uuid>,
        address_hash: Option<String>,
    },
    Refusal {
        subject: Uuid,
        event: Uuid,
        purpose: String,
        /// The one sender for whom it holds; none for the whole controller.
        scope: Option<Uuid>,
        address_hash: Option<String>,
    },
    Restriction {
        subject: Uuid,
        frozen: bool,
        address_hash: Option<String>,
    },
    /// The recording of one message was ended, for all.
    Stop { message: Uuid },
}

impl Line {
    /// Returns the keyed hash of an address that the line has, and whose it is.
    pub fn hashed(&self) -> Option<(Uuid, &str)> {
        let (subject, hash) = match &self.what {
            What::Erasure {
                subject,
                suppression: hash,
                ..
            }
            | What::Lift {
                subject,
                address_hash: hash,
                ..
            }
            | What::Refusal {
                subject,
                address_hash: hash,
                ..
            }
            | What::Restriction {
                subject,
                address_hash: hash,
                ..
            } => (subject, hash),
            What::Account { .. } | What::Stop { .. } => return None,
        };
        Some((*subject, hash.as_deref()?))
    }
}

/// Returns where the journal lies.
pub fn path(config: &Config) -> PathBuf {
    config.collector.journal.join("journal.jsonl")
}

/// Adds an erasure. Where not even a fingerprint may stay, it goes from the journal too.
pub async fn write_erasure(
    books: Books<'_>,
    erased: &Erased,
    address_hash: &[u8],
    suppression: Suppression,
    at: DateTime<Utc>,
) {
    let kept = (suppression == Suppression::Keep).then(|| hex(address_hash));
    let mut names = erased.names.clone();
    let mut requests = match suppression {
        Suppression::Forget => erased.requests.clone(),
        Suppression::Keep => Vec::new(),
    };
    if names.is_empty() && !requests.is_empty() {
        names.push(Uuid::new_v4());
    }
    let id = &books.controller.id;
    let lines = names.into_iter().map(|subject| {
        let suppression = kept.clone();
        let requests = std::mem::take(&mut requests);
        let what = What::Erasure {
            subject,
            suppression,
            requests,
        };
        line(id, at, what)
    });
    let lines: Vec<Line> = lines.collect();
    let forgotten = kept.is_none().then(|| hex(address_hash));
    at_leisure(books.config, move |path| {
        if let Some(hash) = forgotten {
            file::forget(path, &hash)?;
        }
        file::append(path, &lines)
    })
    .await;
}

/// Adds what people said themselves, or others for them: each no, and each yes of their own.
///
/// The entries stand already: what cannot be journalled is told to the log, and changes nothing.
pub async fn write_statements(books: Books<'_>, entries: &[Recorded], connection: &mut Connection) {
    let entries: Vec<&Recorded> = entries
        .iter()
        .filter(|entry| is_no(entry) || is_own_yes(entry))
        .collect();
    if entries.is_empty() {
        return;
    }
    let id = &books.controller.id;
    let people: Vec<Uuid> = entries.iter().map(|entry| entry.subject_ref).collect();
    let addresses = match subjects::addresses(id, &people, connection).await {
        Ok(addresses) => addresses,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the journal has no fingerprints of people whom a backup may not know"
            );
            Default::default()
        }
    };
    let lines = entries.into_iter().map(|entry| {
        let address_hash = addresses
            .get(&entry.subject_ref)
            .map(|address| hex(&standings::suppression_hash(books.keys, address)));
        let (subject, scope) = (entry.subject_ref, entry.scope_user);
        let purpose = entry.purpose.clone();
        let what = if is_no(entry) {
            What::Refusal {
                subject,
                event: entry.event_id,
                purpose,
                scope,
                address_hash,
            }
        } else {
            What::Lift {
                subject,
                purpose,
                scope,
                address_hash,
            }
        };
        line(id, entry.at, what)
    });
    write(books.config, lines.collect()).await;
}

/// Adds that a person's data were frozen, or set free.
pub async fn write_restriction(
    books: Books<'_>,
    subject: SubjectRef,
    address_hash: &[u8],
    frozen: bool,
    at: DateTime<Utc>,
) {
    let what = What::Restriction {
        subject: subject.0,
        frozen,
        address_hash: Some(hex(address_hash)),
    };
    write(books.config, vec![line(&books.controller.id, at, what)]).await;
}

/// Adds that the recording of a message was ended.
pub async fn write_stop(
    config: &Config,
    controller: &ControllerId,
    message: MessageId,
    at: DateTime<Utc>,
) {
    let what = What::Stop { message: message.0 };
    write(config, vec![line(controller, at, what)]).await;
}

/// Adds that a user was erased.
pub async fn write_account(
    config: &Config,
    controller: &ControllerId,
    user: UserId,
    at: DateTime<Utc>,
) {
    let what = What::Account { user: user.0 };
    write(config, vec![line(controller, at, what)]).await;
}

/// Takes the fingerprints of people out of this journal who wanted not even that, wherever they said so: each collector
/// has a journal of its own.
///
/// # Errors
///
/// Fails if the database or the disk does.
pub async fn tidy(config: &Config, connection: &mut Connection) -> Result<(), TidyError> {
    let place = path(config);
    let read = tokio::task::spawn_blocking(move || file::read(&place)).await?;
    let lines = match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let mut named: HashMap<String, Vec<Uuid>> = HashMap::new();
    for line in lines.iter().flatten() {
        if let Some((subject, _)) = line.hashed() {
            let names = named.entry(line.controller.clone()).or_default();
            names.push(subject);
        }
    }
    let mut forgotten = HashSet::new();
    for (controller, names) in named {
        let id = ControllerId(controller);
        forgotten.extend(erasures::forgotten(&id, &names, connection).await?);
    }
    if forgotten.is_empty() {
        return Ok(());
    }
    let place = path(config);
    tokio::task::spawn_blocking(move || file::forget_people(&place, &forgotten)).await??;
    Ok(())
}

fn line(controller: &ControllerId, at: DateTime<Utc>, what: What) -> Line {
    Line {
        controller: controller.as_str().to_owned(),
        at,
        what,
    }
}

fn is_no(entry: &Recorded) -> bool {
    matches!(entry.state.as_str(), "denied" | "withdrawn")
}

fn is_own_yes(entry: &Recorded) -> bool {
    entry.state == "granted" && entry.author == "recipient"
}

async fn write(config: &Config, lines: Vec<Line>) {
    at_leisure(config, move |path| file::append(path, &lines)).await;
}

/// Works on the journal where waiting for the disk, and for other programs, keeps nobody else waiting. What cannot be
/// journalled stands all the same, and the log says so.
async fn at_leisure(config: &Config, work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static) {
    let path = path(config);
    let place = path.clone();
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    if let Err(error) = done.unwrap_or_else(|error| Err(io::Error::other(error))) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            path = %place.display(),
            "what a person took back is not in the journal: a restored backup would undo it"
        );
    }
}
