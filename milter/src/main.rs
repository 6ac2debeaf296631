// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrack-milter`: see `--help`.

use std::process::ExitCode;

use clap::Parser;
use milter::cli::CommandLine;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
