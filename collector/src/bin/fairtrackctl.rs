// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl`: everything that is not serving.

use std::{
    io::{BufWriter, stdin, stdout},
    process::ExitCode,
};

use clap::Parser;
use collector::cli::{
    self, Context, Output,
    classify::Moment,
    options::{Command, Options, PROGRAM},
};
use common::telemetry::{self, LogFormat};

fn main() -> ExitCode {
    let options = Options::parse();
    telemetry::start(LogFormat::Text);
    match run(options) {
        Ok(status) => status,
        Err(error) => {
            telemetry::print_error(PROGRAM, &error);
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> anyhow::Result<ExitCode> {
    let context = Context {
        config: options.config,
        output: if options.json {
            Output::Json
        } else {
            Output::Words
        },
    };
    if options.check {
        telemetry::answer(&context.config()?.effective())?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(command) = options.command else {
        eprintln!("{PROGRAM}: no command given (see --help)");
        return Ok(ExitCode::from(MISUSE));
    };
    // Migrations need a runtime of several threads.
    tokio::runtime::Runtime::new()?
        .block_on(dispatch(&command, &context))
        .map(|()| ExitCode::SUCCESS)
}

const MISUSE: u8 = 2;

async fn dispatch(command: &Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Classify { initial } => {
            let moment = if *initial {
                Moment::AtOnce
            } else {
                Moment::Settled
            };
            cli::classify::run(moment, stdin().lock(), BufWriter::new(stdout().lock()))
        }
        Command::Audit(command) => cli::audit::run(command, context).await,
        Command::Breach(options) => cli::breach::run(options, context).await,
        Command::Consent(command) => cli::consent::run(command, context).await,
        Command::Doctor(arguments) => cli::doctor::run(arguments, context).await,
        Command::Keys(command) => cli::keys::run(command, context),
        Command::Link(command) => cli::link::run(command, context),
        Command::Migrate(options) => cli::migrate::run(options, context).await,
        Command::Networks(command) => cli::networks::run(command, context),
        Command::Notice(command) => cli::notice::run(command, context).await,
        Command::Postfix(arguments) => cli::postfix::run(arguments, context),
        Command::Reclassify(command) => cli::reclassify::run(command, context).await,
        Command::Retention(command) => cli::retention::run(command, context).await,
        Command::Ropa(which) => cli::ropa::run(which, context),
        Command::Token(command) => cli::token::run(command, context).await,
        Command::User(command) => cli::user::run(command, context).await,
    }
}
