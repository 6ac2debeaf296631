// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent replay`: after a restore, takes back again what people had taken back since the backup, from the journals.
//!
//! Each collector, and each machine where `fairtrackctl` runs, has a journal of its own: they are read together, in the
//! order of time. What the database knows is skipped, whatever became of it later; so on a database that needs no replay
//! it changes nothing. What cannot be done is named, and the rest is done.

mod again;

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use common::{consent::chain::instant, db::Transactions, ids::ControllerId};
use serde::Serialize;

use self::again::{Done, Replay, ReplayError};
use super::{Desk, Which};
use crate::{
    cli::Context,
    journal::{self, file},
};

/// From where.
#[derive(Args)]
pub struct Options {
    /// The journals of all collectors and of the machines where fairtrackctl ran; the configured one if left out
    files: Vec<PathBuf>,
    #[command(flatten)]
    which: Which,
}

#[derive(Default, Serialize)]
struct Replayed {
    lines: usize,
    erased: usize,
    forgotten: usize,
    accounts: usize,
    refused: usize,
    lifted: usize,
    frozen: usize,
    stopped: usize,
    /// Lines of controllers that are not configured, by name.
    unknown_controllers: BTreeMap<String, usize>,
    /// Lines that cannot be read, and where they are.
    unreadable: Vec<String>,
}

/// Does it; doing it twice does no harm.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.which, context).await?;
    let mut files = options.files.clone();
    if files.is_empty() {
        files.push(journal::path(&desk.config));
    }
    let mut replayed = Replayed::default();
    let mut lines = Vec::new();
    for path in files {
        let named = || format!("failed to read journal \"{}\"", path.display());
        for read in file::read(&path).with_context(named)? {
            match read {
                Ok(line) => lines.push(line),
                Err(number) => {
                    let place = format!("\"{}\", line {number}", path.display());
                    replayed.unreadable.push(place);
                }
            }
        }
    }
    // Those of one moment stay in the order in which they were written.
    lines.sort_by_key(|line| line.at);
    let mut replay = Replay::of(&lines, &desk.keys);
    for line in &lines {
        let id = ControllerId(line.controller.clone());
        if desk.config.controller(&id).is_none() {
            *replayed.unknown_controllers.entry(id.0).or_default() += 1;
            continue;
        }
        let done = desk
            .connection
            .transaction(async |connection| replay.again(&id, line, connection).await)
            .await;
        match done {
            Ok(done) => replayed.count(done),
            Err(ReplayError::Malformed(what)) => {
                let place = format!("the line of {}: {what}", instant(line.at));
                replayed.unreadable.push(place);
            }
            Err(error) => {
                let failed = format!("failed at the line of {}", instant(line.at));
                return Err(anyhow::Error::from(error).context(failed));
            }
        }
    }
    let detail = serde_json::to_value(&replayed)?;
    desk.note("journal-replayed", detail).await?;
    for (controller, count) in &replayed.unknown_controllers {
        eprintln!("{count} lines skipped: no controller \"{controller}\"");
    }
    for place in &replayed.unreadable {
        eprintln!("{place}: skipped, because it is torn or was written by a newer release");
    }
    context.print(&replayed, Replayed::words)
}

impl Replayed {
    fn count(&mut self, done: Done) {
        self.lines += 1;
        match done {
            Done::Account => self.accounts += 1,
            Done::Erased(people) => self.erased += people,
            Done::Forgotten => self.forgotten += 1,
            Done::Frozen => self.frozen += 1,
            Done::Lifted => self.lifted += 1,
            Done::Nothing => {}
            Done::Refused => self.refused += 1,
            Done::Stopped => self.stopped += 1,
        }
    }

    fn words(&self) -> String {
        format!(
            "{} lines in the journal; {} people were there again and are erased, {} fingerprints are forgotten, {} users \
             are erased, {} refusals are written down again, {} suppressions lifted, {} freezes and their ends, {} \
             messages stopped",
            self.lines,
            self.erased,
            self.forgotten,
            self.accounts,
            self.refused,
            self.lifted,
            self.frozen,
            self.stopped
        )
    }
}
