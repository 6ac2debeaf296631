// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line of `fairtrack-milter`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use milter::offline;

/// Fairtrack's milter.
#[derive(Parser)]
#[command(name = "fairtrack-milter", version)]
struct Cli {
    /// The configuration file.
    #[arg(long, global = true, env = "FAIRTRACK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Instruments one message offline, from standard input to standard output.
    Instrument(offline::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Instrument(arguments) => {
            let mut output = io::BufWriter::new(io::stdout().lock());
            offline::run(
                cli.config,
                &arguments,
                &mut io::stdin().lock(),
                &mut output,
                &mut io::stderr(),
            )
            .and_then(|status| Ok(output.flush().map(|()| status)?))
        }
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            common::telemetry::print_error("fairtrack-milter", &error);
            ExitCode::FAILURE
        }
    }
}
