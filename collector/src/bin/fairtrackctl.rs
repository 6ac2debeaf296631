// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl`: everything about Fairtrack that is not serving.

use std::{
    io::{BufWriter, stdin, stdout},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use collector::{classify::Network, cli};

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
        Command::Networks {
            command:
                NetworksCommand::Update {
                    folder,
                    label,
                    files,
                },
        } => cli::networks::update(&folder, &files, label, stdout().lock()),
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
    /// Looks after the lists that tell whose network an address belongs to
    Networks {
        #[command(subcommand)]
        command: NetworksCommand,
    },
}

#[derive(Subcommand)]
enum NetworksCommand {
    /// Takes published lists into use: Apple's relay egress, Google's goog.json and cloud.json, Amazon's ip-ranges.json,
    /// Microsoft's endpoints, ip2asn tables, or one prefix a line
    Update {
        /// Where the lists are kept
        #[arg(long, default_value = "/var/lib/fairtrack/networks")]
        folder: PathBuf,
        /// Whose networks a list of mere prefixes holds, such as hosting or web-gateway
        #[arg(long, value_parser = cli::networks::parse_label)]
        label: Option<Network>,
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}
