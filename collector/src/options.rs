// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line of `fairtrack-collector`.

use std::path::PathBuf;

use clap::Parser;
use common::{config::DEFAULT_PATH, telemetry::LogFormat};

/// The name of the program.
pub const PROGRAM: &str = "fairtrack-collector";

/// Answers pixels and tracked links, and shows users what became of their mail.
#[derive(Parser)]
#[command(name = PROGRAM, version)]
pub struct Options {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FAIRTRACK_CONFIG", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// Read the configuration, print the effective one without secrets, and exit
    #[arg(long)]
    pub check: bool,
    /// The form of log lines: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}
