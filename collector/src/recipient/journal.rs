// SPDX-License-Identifier: GPL-3.0-or-later
//! The journal: a file beside the database, so that a restored backup does not revive what people took back.
//!
//! One line of JSON for each erased person, each refusal and withdrawal, each freeze and its end, and each message that
//! was stopped. It names nobody: random names, times, keyed hashes. What was allowed since the backup is not in it: in
//! doubt the answer is no. `fairtrackctl consent replay` does it all again.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use common::{
    config::Config,
    consent::chain::hex,
    db::{
        Connection, QueryError,
        consent_events::Recorded,
        erasures::{Erasure, Suppression},
        standings, subjects,
    },
    ids::{ControllerId, MessageId, SubjectRef},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::choose::Books;

/// What happened, as the journal keeps it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Line {
    Erasure {
        controller: String,
        subject: Uuid,
        at: DateTime<Utc>,
        /// The keyed hash that went to the suppression list, unless the person refused that.
        suppression: Option<String>,
    },
    Refusal {
        controller: String,
        subject: Uuid,
        at: DateTime<Utc>,
        event: Uuid,
        purpose: String,
        /// The one sender for whom it holds; none for the whole controller.
        scope: Option<Uuid>,
        /// The keyed hash of the address: for a person whom the backup does not know.
        address_hash: Option<String>,
    },
    Restriction {
        controller: String,
        subject: Uuid,
        at: DateTime<Utc>,
        frozen: bool,
    },
    /// The recording of one message was ended, for all.
    Stop {
        controller: String,
        message: Uuid,
        at: DateTime<Utc>,
    },
}

/// Returns where the journal lies.
pub fn path(config: &Config) -> PathBuf {
    config.collector.journal.join("journal.jsonl")
}

/// Adds to the journal. What cannot be journalled stands all the same, and the log says so.
pub fn write(config: &Config, lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    if let Err(error) = append(&path(config), lines) {
        complain(config, &error);
    }
}

/// Adds erasures. Where not even a fingerprint may stay, it goes from the journal too.
///
/// Where nothing was stored, the wish never to be asked is kept under no subject's name.
pub fn write_erasures(
    books: Books<'_>,
    erased: &[Erasure],
    address_hash: &[u8],
    suppression: Suppression,
    at: DateTime<Utc>,
) {
    let config = books.config;
    if suppression == Suppression::Forget
        && let Err(error) = forget(&path(config), &hex(address_hash))
    {
        complain(config, &error);
    }
    let mut lines: Vec<Line> = erased
        .iter()
        .map(|erasure| Line::Erasure {
            controller: erasure.controller_id.clone(),
            subject: erasure.subject_ref,
            at: erasure.at,
            suppression: erasure.address_hash.as_deref().map(hex),
        })
        .collect();
    if erased.is_empty() && suppression == Suppression::Keep {
        lines.push(Line::Erasure {
            controller: books.controller.id.as_str().to_owned(),
            subject: Uuid::nil(),
            at,
            suppression: Some(hex(address_hash)),
        });
    }
    write(config, &lines);
}

/// Adds those of the entries that say no.
///
/// # Errors
///
/// Fails if the database does; the entries stand all the same.
pub async fn write_refusals(
    books: Books<'_>,
    entries: &[Recorded],
    connection: &mut Connection,
) -> Result<(), QueryError> {
    let mut lines = Vec::new();
    for entry in entries.iter().filter(|entry| is_no(entry)) {
        let subject = SubjectRef(entry.subject_ref);
        let found = subjects::get(&books.controller.id, subject, connection).await?;
        let address_hash =
            found.map(|(address, _)| hex(&standings::suppression_hash(books.keys, &address)));
        lines.push(Line::Refusal {
            controller: entry.controller_id.clone(),
            subject: entry.subject_ref,
            at: entry.at,
            event: entry.event_id,
            purpose: entry.purpose.clone(),
            scope: entry.scope_user,
            address_hash,
        });
    }
    write(books.config, &lines);
    Ok(())
}

/// Adds that a person's data were frozen, or set free.
pub fn write_restriction(
    config: &Config,
    controller: &ControllerId,
    subject: SubjectRef,
    frozen: bool,
    at: DateTime<Utc>,
) {
    let line = Line::Restriction {
        controller: controller.as_str().to_owned(),
        subject: subject.0,
        at,
        frozen,
    };
    write(config, &[line]);
}

/// Adds that the recording of a message was ended.
pub fn write_stop(
    config: &Config,
    controller: &ControllerId,
    message: MessageId,
    at: DateTime<Utc>,
) {
    let line = Line::Stop {
        controller: controller.as_str().to_owned(),
        message: message.0,
        at,
    };
    write(config, &[line]);
}

/// Tells whether an entry is a refusal or a withdrawal.
pub fn is_no(entry: &Recorded) -> bool {
    matches!(entry.state.as_str(), "denied" | "withdrawn")
}

fn complain(config: &Config, error: &io::Error) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        path = %path(config).display(),
        "what a person took back is not in the journal: a restored backup would undo it"
    );
}

fn append(path: &Path, lines: &[Line]) -> io::Result<()> {
    let _lock = lock(path)?;
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    file.write_all(&text)?;
    file.sync_all()
}

/// Writes the journal anew without a hash: lines of refusals with it go, erasures lose it.
fn forget(path: &Path, hash: &str) -> io::Result<()> {
    let _lock = lock(path)?;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let temporary = path.with_extension("new");
    let mut kept = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    for text in BufReader::new(file).lines() {
        let text = text?;
        let line = match serde_json::from_str::<Line>(&text)? {
            Line::Refusal { address_hash, .. } if address_hash.as_deref() == Some(hash) => continue,
            Line::Erasure {
                controller,
                subject,
                at,
                suppression,
            } => Line::Erasure {
                suppression: suppression.filter(|suppression| suppression != hash),
                controller,
                subject,
                at,
            },
            other => other,
        };
        serde_json::to_writer(&mut kept, &line)?;
        kept.write_all(b"\n")?;
    }
    kept.sync_all()?;
    fs::rename(&temporary, path)
}

/// Keeps other programs from the journal until the value is dropped.
fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let lock = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(hash: &str) -> Line {
        Line::Refusal {
            controller: "example".into(),
            subject: Uuid::nil(),
            at: DateTime::UNIX_EPOCH,
            event: Uuid::nil(),
            purpose: "open".into(),
            scope: None,
            address_hash: Some(hash.into()),
        }
    }

    fn erasure(hash: Option<&str>) -> Line {
        Line::Erasure {
            controller: "example".into(),
            subject: Uuid::nil(),
            at: DateTime::UNIX_EPOCH,
            suppression: hash.map(str::to_owned),
        }
    }

    #[test]
    fn whoever_wants_no_fingerprint_has_none_in_the_journal() {
        let folder = std::env::temp_dir().join(format!("ft-journal-{}", std::process::id()));
        let path = folder.join("journal.jsonl");
        append(
            &path,
            &[
                refusal("aa"),
                refusal("bb"),
                erasure(Some("aa")),
                erasure(None),
            ],
        )
        .unwrap();

        forget(&path, "aa").unwrap();

        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Line> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(lines, [refusal("bb"), erasure(None), erasure(None)]);
    }
}
