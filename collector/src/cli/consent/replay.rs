// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent replay`: after a restore, erases again who had been erased since the backup, from the journal.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use common::{
    db::{
        DbError, Transactions,
        erasures::{self, Suppression},
        suppressions,
    },
    ids::{ControllerId, SubjectRef},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Desk, Which, record::hash};
use crate::{cli::Context, recipient::journal};

/// From where.
#[derive(Args)]
pub struct Options {
    /// The journal; the configured one if left out
    file: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

#[derive(Deserialize)]
struct Line {
    controller: String,
    subject: Uuid,
    at: DateTime<Utc>,
    suppression: Option<String>,
}

#[derive(Serialize)]
struct Replayed {
    lines: usize,
    erased: usize,
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
    let mut replayed = Replayed {
        lines: 0,
        erased: 0,
    };
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line: Line = serde_json::from_str(&line?)
            .with_context(|| format!("\"{}\", line {}", path.display(), number + 1))?;
        let id = ControllerId(line.controller.clone());
        if desk.config.controller(&id).is_none() {
            bail!("no controller \"{id}\"");
        }
        let address_hash = match &line.suppression {
            Some(text) => Some(hash(text).map_err(anyhow::Error::msg)?),
            None => None,
        };
        let subject = SubjectRef(line.subject);
        let erased = desk
            .connection
            .transaction(async |connection| {
                let suppression = match &address_hash {
                    Some(_) => Suppression::Keep,
                    None => Suppression::Forget,
                };
                let hash = address_hash.as_ref().map_or(&[][..], |hash| &hash[..]);
                if let Some(hash) = &address_hash {
                    suppressions::add(&id, hash, line.at, connection).await?;
                }
                let erased =
                    erasures::erase(&id, subject, hash, suppression, line.at, connection).await?;
                Ok::<_, DbError>(erased)
            })
            .await?;
        replayed.lines += 1;
        replayed.erased += erased.len();
    }
    context.print(&replayed, |replayed| {
        format!(
            "{} erasures in the journal; {} people were there again and are erased",
            replayed.lines, replayed.erased
        )
    })
}
