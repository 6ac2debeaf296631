// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent replay`: after a restore, takes back again what people had taken back since the backup, from the journal.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::Args;
use common::{
    consent::{Author, Method, Profile, Purpose, Scope, Statement, refusal},
    db::{
        Connection, DbError, Transactions,
        consent_events::{self, AppendError},
        erasures::{self, Suppression},
        standings, subjects, suppressions, withdrawals,
    },
    ids::{ControllerId, MessageId, SubjectRef, UserId},
    keys::KeyRing,
};
use serde::Serialize;
use serde_json::json;

use super::{Desk, Which, record::hash};
use crate::{
    cli::Context,
    recipient::journal::{self, Line},
};

/// From where.
#[derive(Args)]
pub struct Options {
    /// The journal; the configured one if left out
    file: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

#[derive(Default, Serialize)]
struct Replayed {
    lines: usize,
    erased: usize,
    refused: usize,
    frozen: usize,
    stopped: usize,
}

#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{0}")]
    Malformed(String),
    #[error("the database refused")]
    Query(#[from] common::db::QueryError),
}

/// Does it; doing it twice does no harm.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.which, context).await?;
    let path = options
        .file
        .clone()
        .unwrap_or_else(|| journal::path(&desk.config));
    let file = File::open(&path)
        .with_context(|| format!("failed to read journal \"{}\"", path.display()))?;
    let mut replayed = Replayed::default();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let place = || format!("\"{}\", line {}", path.display(), number + 1);
        let line: Line = serde_json::from_str(&line?).with_context(place)?;
        let id = controller_of(&line);
        if desk.config.controller(&id).is_none() {
            bail!("no controller \"{id}\"");
        }
        let keys = &desk.keys;
        let done = desk
            .connection
            .transaction(async |connection| again(&id, &line, keys, connection).await)
            .await
            .with_context(place)?;
        replayed.lines += 1;
        match line {
            Line::Erasure { .. } => replayed.erased += done,
            Line::Refusal { .. } => replayed.refused += done,
            Line::Restriction { .. } => replayed.frozen += done,
            Line::Stop { .. } => replayed.stopped += done,
        }
    }
    context.print(&replayed, |replayed| {
        format!(
            "{} lines in the journal; {} people were there again and are erased, {} refusals are written down again, \
             {} freezes and their ends, {} messages stopped",
            replayed.lines, replayed.erased, replayed.refused, replayed.frozen, replayed.stopped
        )
    })
}

fn controller_of(line: &Line) -> ControllerId {
    match line {
        Line::Erasure { controller, .. }
        | Line::Refusal { controller, .. }
        | Line::Restriction { controller, .. }
        | Line::Stop { controller, .. } => ControllerId(controller.clone()),
    }
}

/// Does what a line says, unless it is done; returns how much that was.
async fn again(
    id: &ControllerId,
    line: &Line,
    keys: &KeyRing,
    connection: &mut Connection,
) -> Result<usize, ReplayError> {
    match line {
        Line::Erasure {
            subject,
            at,
            suppression,
            ..
        } => {
            let address_hash = read(suppression.as_deref())?;
            if let Some(hash) = &address_hash {
                suppressions::add(id, hash, *at, connection).await?;
            }
            let (suppression, hash) = match &address_hash {
                Some(hash) => (Suppression::Keep, &hash[..]),
                None => (Suppression::Forget, &[][..]),
            };
            let subject = SubjectRef(*subject);
            let erased = erasures::erase(id, subject, hash, suppression, *at, connection).await?;
            Ok(erased.len())
        }
        Line::Refusal { .. } => refuse(id, line, keys, connection).await,
        Line::Restriction {
            subject, frozen, ..
        } => {
            let subject = SubjectRef(*subject);
            match subjects::get(id, subject, connection).await? {
                Some((_, is_frozen)) if is_frozen != *frozen => {
                    subjects::restrict(id, subject, *frozen, connection).await?;
                    Ok(1)
                }
                _ => Ok(0),
            }
        }
        Line::Stop { message, at, .. } => {
            let message = MessageId(*message);
            let is_there = withdrawals::stop_message(id, message, *at, connection).await?;
            Ok(usize::from(is_there))
        }
    }
}

async fn refuse(
    id: &ControllerId,
    line: &Line,
    keys: &KeyRing,
    connection: &mut Connection,
) -> Result<usize, ReplayError> {
    let Line::Refusal {
        subject,
        at,
        event,
        purpose,
        scope,
        address_hash,
        ..
    } = line
    else {
        return Ok(0);
    };
    let subject = SubjectRef(*subject);
    consent_events::lock(id, connection).await?;
    if subjects::get(id, subject, connection).await?.is_none() {
        // The backup does not know the person: then all that can be kept is that nobody may ask or observe them. Where
        // they were erased later, a later line says what remains.
        if let Some(hash) = read(address_hash.as_deref())? {
            suppressions::add(id, &hash, *at, connection).await?;
            return Ok(1);
        }
        return Ok(0);
    }
    let known = consent_events::of_subject(id, subject, connection).await?;
    if known.iter().any(|entry| entry.event_id == *event) {
        return Ok(0);
    }
    let purpose = Purpose::from_code(purpose)
        .ok_or_else(|| ReplayError::Malformed(format!("unknown purpose \"{purpose}\"")))?;
    let scope = scope.map_or(Scope::Controller, |user| Scope::Sender(UserId(user)));
    let standing = standings::by_subject(id, &[subject], keys, connection)
        .await?
        .remove(&subject)
        .unwrap_or_default();
    let Some(state) = refusal(&standing, purpose, scope) else {
        return Ok(0);
    };
    let statement = Statement {
        subject,
        purpose,
        scope,
        state,
        author: Author::System,
        expires_at: None,
        profile: Profile::CURRENT,
        notice: None,
        language: None,
        method: Method::Cli,
        evidence: json!({"by": "the journal, after a restore", "said_at": at}),
    };
    consent_events::append_as(id, &statement, *event, keys, *at, connection).await?;
    Ok(1)
}

fn read(text: Option<&str>) -> Result<Option<[u8; 32]>, ReplayError> {
    text.map(|text| hash(text).map_err(ReplayError::Malformed))
        .transpose()
}
