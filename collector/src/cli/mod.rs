// SPDX-License-Identifier: GPL-3.0-or-later
//! The commands of `fairtrackctl`, one file each.

pub mod audit;
pub mod breach;
pub mod classify;
pub mod consent;
pub mod doctor;
pub mod keys;
pub mod link;
pub mod migrate;
pub mod networks;
pub mod notice;
pub mod options;
pub mod postfix;
pub mod reclassify;
pub mod retention;
pub mod ropa;
pub mod token;
pub mod user;

use std::path::PathBuf;

use anyhow::Context as _;
use common::{
    config::{Config, Part},
    db::{self, Connection},
    telemetry,
};
use serde::Serialize;

/// What every command is given.
pub struct Context {
    /// The configuration file; read by the commands that need it.
    pub config: PathBuf,
    pub output: Output,
}

/// The form in which data is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    Json,
    Words,
}

impl Context {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be used.
    pub fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::read(&self.config)?)
    }

    /// Prints data, as JSON or in words.
    ///
    /// # Errors
    ///
    /// Fails if the data has no JSON form.
    pub fn print<T: Serialize>(
        &self,
        data: &T,
        words: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let text = match self.output {
            Output::Json => serde_json::to_string_pretty(data)?,
            Output::Words => words(data),
        };
        let text = text.trim_end();
        if !text.is_empty() {
            telemetry::answer(text)?;
        }
        Ok(())
    }
}

/// Connects to the configured database, as administrators do.
///
/// # Errors
///
/// Fails if it cannot be reached.
pub async fn connect(config: &Config) -> anyhow::Result<Connection> {
    db::connect(config.database.url_of(Part::Admin))
        .await
        .context("the database is not reachable")
}
