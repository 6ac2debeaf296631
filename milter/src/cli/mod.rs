// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line.

mod serve;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use common::{
    config::{Config, DEFAULT_PATH},
    telemetry::{self, LogFormat},
};

use crate::{explain, offline, reload};

/// Instruments the mail of users who want it, where recipients consent. Serves, unless a command is given.
#[derive(Debug, Parser)]
#[command(name = "fairtrack-milter", version)]
pub struct CommandLine {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "FAIRTRACK_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Read the configuration, print the effective one without secrets, and exit.
    #[arg(long)]
    check: bool,
    /// The form of log lines: text or json.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what would be done with a message, and why; change nothing.
    Explain(explain::Arguments),
    /// Instrument one message offline, consent taken as given: message in, message out.
    Instrument(offline::Arguments),
}

impl CommandLine {
    /// Does what the command line says, and returns the exit status. Errors are printed.
    pub fn run(self) -> ExitCode {
        match self.dispatch() {
            Ok(status) => ExitCode::from(status),
            Err(error) => {
                telemetry::print_error("fairtrack-milter", &error);
                ExitCode::from(1)
            }
        }
    }

    fn dispatch(self) -> anyhow::Result<u8> {
        let path = self.config.clone().unwrap_or_else(|| DEFAULT_PATH.into());
        match self.command {
            Some(Command::Instrument(arguments)) => {
                let mut output = io::BufWriter::new(io::stdout().lock());
                let status = offline::run(
                    self.config,
                    &arguments,
                    &mut io::stdin().lock(),
                    &mut output,
                    &mut io::stderr().lock(),
                )?;
                output.flush().context("failed to write")?;
                Ok(status)
            }
            Some(Command::Explain(arguments)) => {
                let settings = reload::read(&path)?;
                let mut input = io::stdin().lock();
                let explaining = explain::explain(&arguments, &settings, &mut input);
                let explanation = runtime()?.block_on(explaining)?;
                let answer = if arguments.json {
                    serde_json::to_string_pretty(&explanation)?
                } else {
                    explanation.to_string()
                };
                telemetry::answer(&answer)?;
                Ok(0)
            }
            None if self.check => {
                telemetry::answer(&Config::read(&path)?.effective())?;
                Ok(0)
            }
            None => {
                telemetry::start(self.log_format);
                runtime()?.block_on(serve::serve(&path))?;
                Ok(0)
            }
        }
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start threads")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
