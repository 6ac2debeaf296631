// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl migrate`: brings the schema up to date, makes the partitions of the months to come, and sets the rights
//! of the programs' roles.

use chrono::Utc;
use clap::Args;
use common::{
    config::Part,
    db::{self, controllers, partitions, roles},
};
use serde::Serialize;

use super::Context;

/// What to do beside it.
#[derive(Args)]
pub struct Options {
    /// Make the roles of the programs that are missing: see `[database]` in the configuration
    #[arg(long)]
    roles: bool,
}

#[derive(Serialize)]
struct Migrated {
    applied: Vec<String>,
    /// Those that exist.
    roles: Vec<String>,
}

/// Runs the migrations that are missing.
///
/// # Errors
///
/// Fails if the database cannot be reached or refuses.
pub async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let url = config.database.url_of(Part::Owner);
    let applied = db::migrate(url).await?;
    let mut connection = db::connect(url).await?;
    controllers::save(&config.controllers, Utc::now(), &mut connection).await?;
    partitions::create_ahead(Utc::now(), &mut connection).await?;
    if options.roles {
        roles::create(&config.database, &mut connection).await?;
    }
    // New tables need new rights.
    let roles = roles::grant(&config.database, &mut connection).await?;
    context.print(&Migrated { applied, roles }, words)
}

fn words(migrated: &Migrated) -> String {
    let mut lines = if migrated.applied.is_empty() {
        "the schema is up to date\n".to_owned()
    } else {
        migrated
            .applied
            .iter()
            .map(|name| format!("applied {name}\n"))
            .collect()
    };
    for role in &migrated.roles {
        lines += &format!("role \"{role}\" has its rights\n");
    }
    lines
}
