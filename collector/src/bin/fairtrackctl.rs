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

const PROGRAM: &str = "fairtrackctl";

/// Looks after an installation of Fairtrack.
#[derive(Parser)]
#[command(name = PROGRAM, version)]
struct Options {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "FAIRTRACK_CONFIG", default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Read the configuration, print the effective one without secrets, and exit
    #[arg(long)]
    check: bool,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Check the consent log, and show what administrators did
    #[command(subcommand)]
    Audit(cli::audit::Command),
    /// Count what a breach would touch: people, kinds of data, time (GDPR, Article 33)
    Breach(cli::breach::Options),
    /// Judge hits, one JSON object a line on standard input, and write one verdict a line
    Classify {
        /// Give the verdict at the moment of the hit, before later hits are known
        #[arg(long)]
        initial: bool,
    },
    /// Record, show, prove, withdraw and erase consent
    #[command(subcommand)]
    Consent(cli::consent::Command),
    /// Check the installation and say what to do
    Doctor,
    /// Make, rotate and list signing keys
    #[command(subcommand)]
    Keys(cli::keys::Command),
    /// Take tracking URLs apart
    #[command(subcommand)]
    Link(cli::link::Command),
    /// Bring the schema of the database up to date
    Migrate(cli::migrate::Options),
    /// Look after the lists that tell whose network an address belongs to
    #[command(subcommand)]
    Networks(cli::networks::Command),
    /// Keep and list the texts that people saw
    #[command(subcommand)]
    Notice(cli::notice::Command),
    /// Delete what has reached the end of its retention
    #[command(subcommand)]
    Retention(cli::retention::Command),
    /// Print the register of processing (GDPR, Article 30)
    Ropa(cli::consent::Which),
    /// Make API tokens
    #[command(subcommand)]
    Token(cli::token::Command),
    /// List, add, disable and erase users
    #[command(subcommand)]
    User(cli::user::Command),
}

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
        println!("{}", context.config()?.effective());
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
        Command::Retention(command) => cli::retention::run(command, context).await,
        Command::Ropa(which) => cli::ropa::run(which, context),
        Command::Token(command) => cli::token::run(command, context).await,
        Command::User(command) => cli::user::run(command, context).await,
    }
}
