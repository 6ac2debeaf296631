// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl networks update`: takes published lists of networks into use.
//!
//! Nothing is downloaded: the operator fetches the files and says where they are.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Subcommand;

use super::Context;
use crate::{classify::Network, network_lists};

/// What `fairtrackctl networks` does.
#[derive(Subcommand)]
pub enum Command {
    /// Take published lists into use: Apple's relay egress, Google's goog.json and cloud.json, Amazon's ip-ranges.json,
    /// Microsoft's endpoints, ip2asn tables, or one prefix a line
    Update {
        /// Where the lists are kept [default: what the configuration says]
        #[arg(long)]
        folder: Option<PathBuf>,
        /// Whose networks a list of mere prefixes holds, such as hosting or web-gateway
        #[arg(long, value_parser = parse_label)]
        label: Option<Network>,
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
///
/// At the first list that is refused or cannot be read or written; those before it are in use.
pub fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    let Command::Update {
        folder,
        label,
        files,
    } = command;
    let folder = match folder {
        Some(folder) => folder.clone(),
        None => context.config()?.collector.networks,
    };
    update(&folder, files, *label, std::io::stdout().lock())
}

/// Takes every list into the folder, in order, and says for each how many prefixes it has.
///
/// # Errors
///
/// At the first list that is refused or cannot be read or written; those before it are in use.
fn update(
    folder: &Path,
    sources: &[PathBuf],
    label: Option<Network>,
    mut output: impl Write,
) -> anyhow::Result<()> {
    for source in sources {
        let updated = network_lists::update(folder, source, label)?;
        let file = updated.file.display();
        match updated.prefixes_before {
            None => writeln!(output, "{file}: {} prefixes", updated.prefixes)?,
            Some(before) => {
                writeln!(
                    output,
                    "{file}: {} prefixes, before {before}",
                    updated.prefixes
                )?;
            }
        }
    }
    Ok(())
}

/// Reads a label as the command line gives it.
///
/// # Errors
///
/// If there is no such label.
fn parse_label(code: &str) -> Result<Network, String> {
    Network::from_code(code).ok_or_else(|| format!("unknown label \"{code}\""))
}
