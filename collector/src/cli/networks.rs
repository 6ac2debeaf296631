// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl networks update`: takes published lists of networks into use.
//!
//! Nothing is downloaded: the operator fetches the files and says where they are.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use crate::{classify::Network, network_lists};

/// Takes every list into the folder, in order, and says for each how many prefixes it has.
///
/// # Errors
///
/// At the first list that is refused or cannot be read or written; those before it are in use.
pub fn update(
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
pub fn parse_label(code: &str) -> Result<Network, String> {
    Network::from_code(code).ok_or_else(|| format!("unknown label \"{code}\""))
}
