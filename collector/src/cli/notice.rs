// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl notice`: the texts that people saw, kept for ever under their hashes.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use common::{
    consent::chain::{hex, sha256},
    db::{Transactions, acts, controllers, notices},
    language::Language,
};
use serde::Serialize;
use serde_json::json;

use super::{
    Context, connect,
    consent::{Which, account},
};

/// What to do about notices.
#[derive(Subcommand)]
pub enum Command {
    /// Keep a text that people agreed to elsewhere, so that `consent record` can refer to it
    Add(Add),
    /// Show the texts and their hashes
    List(List),
}

/// A text.
#[derive(Args)]
pub struct Add {
    /// The text, in UTF-8
    file: PathBuf,
    /// Its language: en, pl, de or fr
    #[arg(long, default_value = "en", value_parser = language)]
    language: Language,
    /// What kind of text it is
    #[arg(long, default_value = "attestation")]
    kind: String,
    /// Its version
    #[arg(long, default_value_t = 1)]
    version: i32,
    #[command(flatten)]
    which: Which,
}

/// Whose texts.
#[derive(Args)]
pub struct List {
    /// Show the texts themselves too
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Shown {
    hash: String,
    kind: String,
    version: i32,
    language: String,
    valid_from: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// The most octets of a text.
const LONGEST: usize = 1_000_000;

/// Does it.
///
/// # Errors
///
/// Fails if the file cannot be read, or if the database does not serve.
pub async fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Add(options) => add(options, context).await,
        Command::List(options) => {
            let config = context.config()?;
            let id = &options.which.controller(&config)?.id;
            let mut connection = connect(&config).await?;
            let shown: Vec<Shown> = notices::all(id, &mut connection)
                .await?
                .into_iter()
                .map(|notice| Shown::new(notice, options.full))
                .collect();
            context.print(&shown, |shown| shown.iter().map(Shown::words).collect())
        }
    }
}

async fn add(options: &Add, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let id = options.which.controller(&config)?.id.clone();
    let path = options.file.display();
    let text =
        fs::read_to_string(&options.file).with_context(|| format!("failed to read \"{path}\""))?;
    if text.len() > LONGEST || text.trim().is_empty() || text.contains('\0') {
        bail!("\"{path}\" is no text that a person could have read");
    }
    let mut connection = connect(&config).await?;
    let now = Utc::now();
    controllers::save(&config.controllers, now, &mut connection).await?;
    connection
        .transaction(async |connection| {
            let (kind, language) = (&options.kind, options.language);
            notices::keep(&id, kind, options.version, language, &text, connection).await?;
            let detail = json!({"sha256": hex(&sha256(&text))});
            acts::append(&id, &account(), "notice-added", detail, now, connection).await?;
            Ok::<_, common::db::DbError>(())
        })
        .await?;
    let shown = Shown {
        hash: hex(&sha256(&text)),
        kind: options.kind.clone(),
        version: options.version,
        language: options.language.code().to_owned(),
        valid_from: now,
        text: None,
    };
    context.print(&shown, Shown::words)
}

fn language(text: &str) -> Result<Language, String> {
    Language::from_code(text).ok_or_else(|| "en, pl, de or fr".to_owned())
}

impl Shown {
    fn new(notice: notices::Notice, full: bool) -> Self {
        Self {
            hash: hex(&notice.hash),
            kind: notice.kind,
            version: notice.version,
            language: notice.language,
            valid_from: notice.valid_from,
            text: full.then_some(notice.body),
        }
    }

    fn words(&self) -> String {
        let mut words = format!(
            "{}  {}  {}  version {}  since {}\n",
            self.hash,
            self.kind,
            self.language,
            self.version,
            self.valid_from.format("%Y-%m-%d")
        );
        if let Some(text) = &self.text {
            words.push('\n');
            words.push_str(text);
            words.push('\n');
        }
        words
    }
}
