// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl retention run`: deletes what has reached the end of its retention.

use chrono::Utc;
use clap::{Args, Subcommand};

use super::{Context, connect};
use crate::jobs::retention::{Mode, purge};

/// What to do about retention.
#[derive(Subcommand)]
pub enum Command {
    /// Delete now what the collector would delete within a day
    Run(Run),
}

/// How to run.
#[derive(Args)]
pub struct Run {
    /// Count only
    #[arg(long)]
    dry_run: bool,
}

/// Deletes, or counts, and prints the number of rows of each table.
///
/// # Errors
///
/// Fails if the database cannot be reached or refuses.
pub async fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    let Command::Run(options) = command;
    let config = context.config()?;
    let mode = if options.dry_run {
        Mode::Count
    } else {
        Mode::Delete
    };
    let mut connection = connect(&config).await?;
    let purged = purge(&config.retention, mode, Utc::now(), &mut connection).await?;
    context.print(&purged, |purged| {
        let verb = if options.dry_run { "would go" } else { "gone" };
        purged
            .iter()
            .map(|purged| format!("{:>10} {verb}  {}\n", purged.rows, purged.table))
            .collect()
    })
}
