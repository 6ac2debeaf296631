// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl token create`: API tokens, printed once.

use anyhow::Context as _;
use chrono::Utc;
use clap::{Args, Subcommand};
use common::db::{api_tokens, users};
use serde::Serialize;
use uuid::Uuid;

use super::{Context, connect};
use crate::auth::secret;

/// What to do with API tokens.
#[derive(Subcommand)]
pub enum Command {
    /// Make a token for a user and print it, this once
    Create(Create),
}

/// A token to be made.
#[derive(Args)]
pub struct Create {
    /// The user's login
    login: String,
    /// What the token is for
    #[arg(long, value_name = "N", default_value = "fairtrackctl")]
    name: String,
}

#[derive(Serialize)]
struct Created {
    id: Uuid,
    name: String,
    token: String,
}

/// Makes a token.
///
/// # Errors
///
/// Fails if there is no such user, or the database cannot be reached.
pub async fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    let Command::Create(options) = command;
    let config = context.config()?;
    let (controller, login) = config
        .controller_of(&options.login)
        .with_context(|| format!("no controller answers for \"{}\"", options.login))?;
    let mut connection = connect(&config).await?;
    let user = users::find(&controller.id, &login, &mut connection)
        .await?
        .with_context(|| format!("no user \"{login}\""))?;
    let token = secret::api_token().context("no random numbers from the operating system")?;
    let kept = api_tokens::insert(
        &controller.id,
        user.user_id(),
        &options.name,
        &secret::hash(&token),
        Utc::now(),
        &mut connection,
    )
    .await?;
    let created = Created {
        id: kept.id,
        name: kept.name,
        token,
    };
    context.print(&created, |created| created.token.clone())
}
