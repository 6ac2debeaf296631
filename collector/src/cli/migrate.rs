// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl migrate`: brings the schema up to date and makes the partitions of the months to come.

use chrono::Utc;
use common::db::{self, controllers, partitions};
use serde::Serialize;

use super::{Context, connect};

#[derive(Serialize)]
struct Migrated {
    applied: Vec<String>,
}

/// Runs the migrations that are missing.
///
/// # Errors
///
/// Fails if the database cannot be reached or refuses.
pub async fn run(context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let applied = db::migrate(config.database.url.expose()).await?;
    let mut connection = connect(&config).await?;
    controllers::save(&config.controllers, Utc::now(), &mut connection).await?;
    partitions::create_ahead(Utc::now(), &mut connection).await?;
    context.print(&Migrated { applied }, |migrated| {
        if migrated.applied.is_empty() {
            "the schema is up to date".into()
        } else {
            migrated
                .applied
                .iter()
                .map(|name| format!("applied {name}\n"))
                .collect()
        }
    })
}
