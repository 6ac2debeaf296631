// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl user`: who may use Fairtrack.

use anyhow::{Context as _, bail};
use chrono::Utc;
use clap::{Args, Subcommand};
use common::{
    config::{Config, Controller},
    db::{
        DbError, Transactions, acts, controllers,
        users::{self, User},
    },
};
use serde::Serialize;
use serde_json::json;

use super::{Context, connect, consent::account};
use crate::journal;

/// What to do with users.
#[derive(Subcommand)]
pub enum Command {
    /// Entitle a user, or switch one on again
    Add(Add),
    /// Switch a user off: nothing more is instrumented, nobody signs in
    Disable(Login),
    /// Delete a user with all messages, hits and notifications
    Erase(Login),
    /// Show the users
    List,
}

/// A user to be added.
#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    login: Login,
    /// Let the user see the administrators' pages
    #[arg(long)]
    admin: bool,
}

/// A user, by login.
#[derive(Args)]
pub struct Login {
    /// The SASL login; without a domain it gets the first one configured
    login: String,
}

#[derive(Serialize)]
struct Shown {
    controller: String,
    login: String,
    enabled: bool,
    admin: bool,
    opens: bool,
    links: bool,
    notifications: String,
}

/// Does it, and shows the users that it was about.
///
/// # Errors
///
/// Fails if there is no such login, or the database cannot be reached.
pub async fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let mut connection = connect(&config).await?;
    let shown = match command {
        Command::Add(Add { login, admin }) => {
            let (controller, login) = login.resolve(&config)?;
            controllers::save(&config.controllers, Utc::now(), &mut connection).await?;
            users::find_or_create(&controller.id, &login, &mut connection).await?;
            users::enable(&controller.id, &login, true, &mut connection).await?;
            if *admin {
                users::appoint(&controller.id, &login, &mut connection).await?;
            }
            let user = users::find(&controller.id, &login, &mut connection).await?;
            user.into_iter().collect()
        }
        Command::Disable(login) => {
            let (controller, login) = login.resolve(&config)?;
            if !users::enable(&controller.id, &login, false, &mut connection).await? {
                bail!("no user \"{login}\"");
            }
            let user = users::find(&controller.id, &login, &mut connection).await?;
            user.into_iter().collect()
        }
        Command::Erase(login) => {
            let (controller, login) = login.resolve(&config)?;
            let id = &controller.id;
            let user = users::find(id, &login, &mut connection).await?;
            let user = user
                .with_context(|| format!("no user \"{login}\""))?
                .user_id();
            let now = Utc::now();
            connection
                .transaction(async |connection| {
                    users::erase(id, user, now, connection).await?;
                    let detail = json!({"user": user.0});
                    let act = "account-erased";
                    acts::append(id, &account(), act, detail, now, connection).await?;
                    Ok::<_, DbError>(())
                })
                .await?;
            journal::write_account(&config, id, user, now).await;
            Vec::new()
        }
        Command::List => users::all(&mut connection).await?,
    };
    let shown: Vec<Shown> = shown.into_iter().map(Shown::from).collect();
    context.print(&shown, |shown| shown.iter().map(Shown::line).collect())
}

impl Login {
    fn resolve<'a>(&self, config: &'a Config) -> anyhow::Result<(&'a Controller, String)> {
        config
            .controller_of(&self.login)
            .with_context(|| format!("no controller answers for \"{}\"", self.login))
    }
}

impl From<User> for Shown {
    fn from(user: User) -> Self {
        Self {
            controller: user.controller_id,
            login: user.login,
            enabled: user.enabled,
            admin: user.is_admin,
            opens: user.opens,
            links: user.links,
            notifications: user.notifications,
        }
    }
}

impl Shown {
    fn line(&self) -> String {
        let switch = |on: bool| if on { "on" } else { "off" };
        format!(
            "{}  {}  {}{}  opens {}  links {}  notifications {}\n",
            self.controller,
            self.login,
            if self.enabled { "enabled" } else { "disabled" },
            if self.admin { "  admin" } else { "" },
            switch(self.opens),
            switch(self.links),
            self.notifications
        )
    }
}
