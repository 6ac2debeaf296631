// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl consent`: what an administrator or a data-protection officer does about one person's consent, or about
//! many at once. Whoever looks or changes is named in the log of acts.

pub mod erase;
pub mod export;
pub mod import;
pub mod proof;
pub mod record;
pub mod replay;
pub mod restrict;
mod rows;
pub mod show;
pub mod withdraw;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use common::{
    address::Address,
    config::{Config, Controller},
    consent::{Purpose, Scope},
    db::{Connection, DbError, Transactions, acts, controllers, users},
    ids::ControllerId,
    keys::KeyRing,
};
use serde_json::Value;

use super::{Context, connect};
use crate::{moment, recipient::choose::Books};

/// What to do about consent.
#[derive(Subcommand)]
pub enum Command {
    /// Erase a person; a keyed fingerprint stays, so that nobody asks or observes them again
    Erase(erase::Options),
    /// Print what stands, as CSV that `import` reads; or, with --address, everything about one person
    Export(export::Options),
    /// Read statements from a CSV file; nothing is changed without --apply
    Import(import::Options),
    /// Print the proof of a person's consent, to be shown or printed
    Proof(proof::Options),
    /// Take down that a person agreed elsewhere
    Record(record::Options),
    /// Take back again, after a restore, what people had taken back since the backup
    Replay(replay::Options),
    /// Freeze a person's data, or set them free (GDPR, Article 18)
    Restrict(restrict::Options),
    /// Show what a person said
    Show(show::Options),
    /// Take down that a person refuses or withdraws, by telephone, by post or in any other way
    Withdraw(withdraw::Options),
}

/// Does it.
///
/// # Errors
///
/// Fails if the arguments make no sense, or if the database does not serve.
pub async fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Erase(options) => erase::run(options, context).await,
        Command::Export(options) => export::run(options, context).await,
        Command::Import(options) => import::run(options, context).await,
        Command::Proof(options) => proof::run(options, context).await,
        Command::Record(options) => record::run(options, context).await,
        Command::Replay(options) => replay::run(options, context).await,
        Command::Restrict(options) => restrict::run(options, context).await,
        Command::Show(options) => show::run(options, context).await,
        Command::Withdraw(options) => withdraw::run(options, context).await,
    }
}

/// Whose log to look at.
#[derive(Args)]
pub struct Which {
    /// The controller; the only one needs no naming
    #[arg(long, value_name = "ID")]
    controller: Option<String>,
}

/// Of whom.
#[derive(Args)]
pub struct Whom {
    /// The person's mail address
    address: String,
    #[command(flatten)]
    which: Which,
}

/// The configuration, the keys and a connection: what every command here works with.
pub(super) struct Desk {
    config: Config,
    controller: ControllerId,
    keys: KeyRing,
    connection: Connection,
}

impl Which {
    pub fn controller<'a>(&self, config: &'a Config) -> anyhow::Result<&'a Controller> {
        match (&self.controller, config.controllers.as_slice()) {
            (Some(id), _) => config
                .controller(&ControllerId(id.clone()))
                .with_context(|| format!("no controller \"{id}\"")),
            (None, [only]) => Ok(only),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|one| one.id.as_str()).collect();
                bail!("--controller is required; there are {}", names.join(", "))
            }
        }
    }
}

impl Whom {
    fn address(&self) -> anyhow::Result<Address> {
        Address::parse(&self.address).context("that is no mail address")
    }
}

impl Desk {
    pub(super) async fn open(which: &Which, context: &Context) -> anyhow::Result<Self> {
        let config = context.config()?;
        let controller = which.controller(&config)?.id.clone();
        let keys = KeyRing::read(&config.keys.file)?;
        let mut connection = connect(&config).await?;
        controllers::save(&config.controllers, Utc::now(), &mut connection).await?;
        Ok(Self {
            config,
            controller,
            keys,
            connection,
        })
    }

    /// Returns the books to write in, and the connection to write through.
    fn books(&mut self) -> anyhow::Result<(Books<'_>, &mut Connection)> {
        let controller = self
            .config
            .controller(&self.controller)
            .context("the controller is configured")?;
        let books = Books {
            config: &self.config,
            controller,
            keys: &self.keys,
        };
        Ok((books, &mut self.connection))
    }

    /// Writes into the log of acts that somebody did or looked at something.
    async fn note(&mut self, act: &str, detail: Value) -> anyhow::Result<()> {
        let id = &self.controller;
        let account = account();
        self.connection
            .transaction(async |connection| {
                acts::append(id, &account, act, detail.clone(), Utc::now(), connection).await?;
                Ok::<_, DbError>(())
            })
            .await?;
        Ok(())
    }
}

/// Returns the scope that `controller`, `sender:LOGIN` or a login means.
async fn scope(
    text: &str,
    controller: &Controller,
    connection: &mut Connection,
) -> anyhow::Result<Scope> {
    if matches!(text, "controller" | "org") {
        return Ok(Scope::Controller);
    }
    let login = text.strip_prefix("sender:").unwrap_or(text).to_lowercase();
    let login = match (login.contains('@'), controller.domains.first()) {
        (false, Some(domain)) => format!("{login}@{domain}"),
        _ => login,
    };
    let user = users::find(&controller.id, &login, connection).await?;
    let user = user.with_context(|| {
        format!("no user \"{login}\"; a scope is \"controller\" or a user's login")
    })?;
    Ok(Scope::Sender(user.user_id()))
}

/// Returns the purpose that a word means.
fn purpose(text: &str) -> Result<Purpose, String> {
    Purpose::from_code(text).ok_or_else(|| "open or click".to_owned())
}

/// Returns the time that a date, or a date with a time, means.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    moment::read(text)
        .ok_or_else(|| "a date such as 2026-11-24, or a time such as 2026-11-24T15:00:00Z".into())
}

/// Returns who runs the command, as far as the system tells.
pub(super) fn account() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}
