// SPDX-License-Identifier: GPL-3.0-or-later
//! The erasure journal: a file beside the database, so that a restored backup does not bring erased people back.
//!
//! One line of JSON for each erased subject: random name, time, keyed hash. It names nobody. The database keeps the same
//! list; the file is what survives the loss of the database. `fairtrackctl consent replay` does it all again.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use common::{
    config::Config,
    consent::chain::{hex, instant},
    db::erasures::Erasure,
};
use serde_json::json;

/// Returns where the journal lies.
pub fn path(config: &Config) -> PathBuf {
    config.collector.journal.join("erasures.jsonl")
}

/// Adds to the journal. An erasure that cannot be journalled is done all the same, and said in the log.
pub fn write(config: &Config, erased: &[Erasure]) {
    if let Err(error) = append(config, erased) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            path = %path(config).display(),
            "an erasure was done but not written to the journal: a restored backup would undo it"
        );
    }
}

fn append(config: &Config, erased: &[Erasure]) -> io::Result<()> {
    let path = path(config);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)?;
    let lines: String = erased
        .iter()
        .map(|erasure| {
            let line = json!({
                "controller": erasure.controller_id,
                "subject": erasure.subject_ref,
                "at": instant(erasure.at),
                "suppression": erasure.address_hash.as_deref().map(hex),
            });
            format!("{line}\n")
        })
        .collect();
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}
