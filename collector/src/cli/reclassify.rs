// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl reclassify`: judges stored hits again, for instance after an upgrade that changed the rules.

use std::fmt::Write;

use chrono::Utc;
use clap::Args;

use super::{Context, connect};
use crate::jobs::reclassify::{self, Mode, Report};

/// How to run.
#[derive(Args)]
pub struct Command {
    /// Write the new verdicts down; without it they are only counted
    #[arg(long)]
    apply: bool,
}

/// Messages after which a line tells how far it is.
const STEP: u64 = 10_000;

/// Judges, and prints how many hits changed from what to what.
///
/// # Errors
///
/// Fails if the database cannot be reached or refuses.
pub async fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let mode = if command.apply {
        Mode::Apply
    } else {
        Mode::DryRun
    };
    let mut connection = connect(&config).await?;
    let mut told = 0;
    let progress = |messages: u64| {
        if messages / STEP > told {
            told = messages / STEP;
            eprintln!("{messages} messages");
        }
    };
    let report = reclassify::run(&config, mode, Utc::now(), progress, &mut connection).await?;
    context.print(&report, words)
}

fn words(report: &Report) -> String {
    let mut text = format!(
        "{} hits on {} messages judged by version {} of the rules\n",
        report.hits, report.messages, report.rules_version
    );
    for change in &report.changes {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{:>10}  {} → {}", change.hits, change.from, change.to);
    }
    if report.changes.is_empty() {
        text.push_str("no class changes\n");
    }
    if report.skipped > 0 {
        let _infallible = writeln!(
            text,
            "{} messages were being worked on; run it again for them",
            report.skipped
        );
    }
    if !report.applied {
        text.push_str("nothing was written; --apply does\n");
    }
    text
}
