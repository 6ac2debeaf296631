// SPDX-License-Identifier: GPL-3.0-or-later
//! Signed heads: once a day, the number and hash of the newest entry of each log is written to a file beside the
//! database, sealed with a key that the database does not have.
//!
//! Whoever may write the database could rewrite a whole log and its chain; they could not make the heads agree.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use common::{
    config::Config,
    consent::chain::{canonical, hex, instant, storable},
    db::{Connection, DbError, acts, consent_events},
    ids::ControllerId,
    keys::KeyRing,
};
use serde_json::{Value, json};

use crate::journal::file;

const CONTEXT: &str = "fairtrack 2026-11 chain heads";

/// Why a head could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("failed to write \"{}\"", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A head that does not agree with the database.
#[derive(Debug)]
pub struct HeadFault {
    pub controller: String,
    pub what: String,
}

/// Returns where the heads lie.
pub fn path(config: &Config) -> PathBuf {
    config.collector.journal.join("heads.jsonl")
}

/// Writes the head of each log down, and returns them.
///
/// # Errors
///
/// Fails if the database does not serve or the file cannot be written.
pub async fn write(
    config: &Config,
    keys: &KeyRing,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<Value>, HeadError> {
    let mut heads = Vec::new();
    for controller in &config.controllers {
        let id = &controller.id;
        let consent = consent_events::head(id, connection)
            .await
            .map_err(DbError::from)?;
        let acts = acts::head(id, connection).await.map_err(DbError::from)?;
        for (log, head) in [("consent", consent), ("acts", acts)] {
            if let Some((seq, hash)) = head {
                heads.push(sealed(id, log, seq, &hash, now, keys));
            }
        }
    }
    append(config, &heads).map_err(|source| HeadError::Write {
        path: path(config),
        source,
    })?;
    Ok(heads)
}

/// Returns the first head whose seal is broken, or whose entry is not in the database as it was.
///
/// # Errors
///
/// Fails if the database does not serve. Without a file there is nothing to compare.
pub async fn first_fault(
    config: &Config,
    keys: &KeyRing,
    connection: &mut Connection,
) -> Result<Option<HeadFault>, DbError> {
    let Ok(file) = File::open(path(config)) else {
        return Ok(None);
    };
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let head = line
            .ok()
            .and_then(|line| serde_json::from_str::<Value>(&line).ok());
        let broken = || HeadFault {
            controller: String::new(),
            what: format!("line {} of the file of heads was altered", number + 1),
        };
        let Some(head) = head.filter(|head| is_sealed(head, keys)) else {
            return Ok(Some(broken()));
        };
        let word = |name: &str| head.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = ControllerId(word("controller").to_owned());
        let seq = head.get("seq").and_then(Value::as_i64).unwrap_or_default();
        let found = match word("log") {
            "consent" => consent_events::after(&id, seq - 1, 1, connection)
                .await?
                .pop()
                .map(|entry| (entry.seq, entry.entry_hash)),
            _ => acts::after(&id, seq - 1, 1, connection)
                .await?
                .pop()
                .map(|entry| (entry.seq, entry.entry_hash)),
        };
        let agrees = match &found {
            Some((found, hash)) if *found == seq => hex(hash) == word("hash"),
            // The oldest acts go after twelve months.
            Some(_) => word("log") == "acts",
            None => false,
        };
        if !agrees {
            return Ok(Some(HeadFault {
                what: format!(
                    "entry {seq} of the {} log is not the one that was there on {}",
                    word("log"),
                    word("at")
                ),
                controller: id.0,
            }));
        }
    }
    Ok(None)
}

fn sealed(
    controller: &ControllerId,
    log: &str,
    seq: i64,
    hash: &[u8],
    now: DateTime<Utc>,
    keys: &KeyRing,
) -> Value {
    let head = json!({
        "controller": controller.as_str(), "log": log, "seq": seq, "hash": hex(hash), "at": instant(storable(now)),
    });
    let seal = seal(&head, keys);
    match head {
        Value::Object(mut members) => {
            members.insert("seal".into(), seal.into());
            Value::Object(members)
        }
        other => other,
    }
}

fn is_sealed(head: &Value, keys: &KeyRing) -> bool {
    let Value::Object(members) = head else {
        return false;
    };
    let mut members = members.clone();
    let written = members.remove("seal");
    written.as_ref().and_then(Value::as_str) == Some(&seal(&Value::Object(members), keys))
}

fn seal(head: &Value, keys: &KeyRing) -> String {
    let key = keys.derived(CONTEXT);
    blake3::keyed_hash(&key, canonical(head).as_bytes())
        .to_hex()
        .to_string()
}

fn append(config: &Config, heads: &[Value]) -> io::Result<()> {
    let lines: String = heads.iter().map(|head| format!("{head}\n")).collect();
    file::append_text(&path(config), lines.into_bytes())
}
