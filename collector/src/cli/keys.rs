// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl keys`: the signing keys.

use chrono::Utc;
use clap::Subcommand;
use common::keys::KeyRing;
use serde::Serialize;

use super::Context;

/// What to do with the signing keys.
#[derive(Subcommand)]
pub enum Command {
    /// Make the key file, which must not exist yet
    Generate,
    /// Show the keys without their secrets
    List,
    /// Put a new signing key before the others, which go on verifying
    Rotate,
}

/// A link that is signed with a key which the collector does not know leads nowhere.
const AFTER_ROTATING: &str = "A collector on this host knows the new key within a second. Where others run, copy the file to them \
    first; then let the milters sign with it: systemctl reload fairtrack-milter";

#[derive(Serialize)]
struct Shown {
    id: u8,
    created: String,
    signing: bool,
}

/// Does it and shows the keys as they are then.
///
/// # Errors
///
/// Fails if the key file cannot be read or written.
pub fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    let path = context.config()?.keys.file;
    let ring = match command {
        Command::Generate => KeyRing::generate(&path, Utc::now())?,
        Command::List => KeyRing::read(&path)?,
        Command::Rotate => KeyRing::rotate(&path, Utc::now())?,
    };
    if matches!(command, Command::Rotate) {
        eprintln!("{AFTER_ROTATING}");
    }
    let signing = ring.signing().id;
    let keys: Vec<Shown> = ring
        .all()
        .iter()
        .map(|key| Shown {
            id: key.id,
            created: key.created.clone(),
            signing: key.id == signing,
        })
        .collect();
    context.print(&keys, |keys| keys.iter().map(Shown::line).collect())
}

impl Shown {
    fn line(&self) -> String {
        let role = if self.signing { "signs" } else { "verifies" };
        format!("{:>3}  {}  {role}\n", self.id, self.created)
    }
}
