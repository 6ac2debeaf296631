// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line of `fairtrackctl`, from which its help, manual pages and completions are made.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use common::config::DEFAULT_PATH;

/// The name of the program.
pub const PROGRAM: &str = "fairtrackctl";

/// Looks after an installation of Fairtrack.
#[derive(Parser)]
#[command(name = PROGRAM, version)]
pub struct Options {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "FAIRTRACK_CONFIG", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// Read the configuration, print the effective one without secrets, and exit
    #[arg(long)]
    pub check: bool,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `fairtrackctl` does.
#[derive(Subcommand)]
pub enum Command {
    /// Check the consent log, and show what administrators did
    #[command(subcommand)]
    Audit(super::audit::Command),
    /// Count what a breach would touch: people, kinds of data, time (GDPR, Article 33)
    Breach(super::breach::Options),
    /// Judge hits, one JSON object a line on standard input, and write one verdict a line
    Classify {
        /// Give the verdict at the moment of the hit, before later hits are known
        #[arg(long)]
        initial: bool,
    },
    /// Record, show, prove, withdraw and erase consent
    #[command(subcommand)]
    Consent(super::consent::Command),
    /// Check the installation and say what to do
    Doctor(super::doctor::Arguments),
    /// Make, rotate and list signing keys
    #[command(subcommand)]
    Keys(super::keys::Command),
    /// Take tracking URLs apart
    #[command(subcommand)]
    Link(super::link::Command),
    /// Bring the schema of the database up to date
    Migrate(super::migrate::Options),
    /// Look after the lists that tell whose network an address belongs to
    #[command(subcommand)]
    Networks(super::networks::Command),
    /// Keep and list the texts that people saw
    #[command(subcommand)]
    Notice(super::notice::Command),
    /// Print the lines for main.cf and master.cf
    Postfix(super::postfix::Arguments),
    /// Judge stored hits again, after the rules have changed
    Reclassify(super::reclassify::Command),
    /// Delete what has reached the end of its retention
    #[command(subcommand)]
    Retention(super::retention::Command),
    /// Print the register of processing (GDPR, Article 30)
    Ropa(super::consent::Which),
    /// Make API tokens
    #[command(subcommand)]
    Token(super::token::Command),
    /// List, add, disable and erase users
    #[command(subcommand)]
    User(super::user::Command),
}
