// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl`: everything about Fairtrack that is not serving.

use std::{
    io::{BufWriter, stdin, stdout},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use collector::cli;

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fairtrackctl: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  caused by: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Classify { initial } => cli::classify::run(
            if initial {
                cli::classify::Moment::AtOnce
            } else {
                cli::classify::Moment::Settled
            },
            stdin().lock(),
            BufWriter::new(stdout().lock()),
        ),
    }
}

/// Looks after a Fairtrack installation.
#[derive(Parser)]
#[command(name = "fairtrackctl", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judges hits, one JSON object a line on standard input, and writes one verdict a line
    Classify {
        /// Give the verdict at the moment of the hit, before later hits are known
        #[arg(long)]
        initial: bool,
    },
}
