// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl breach`: what a report of a breach must say: how many people, what kinds of data, from when to when.

use chrono::{DateTime, Utc};
use clap::Args;
use common::db::{Transactions, acts, breach};
use serde::Serialize;
use serde_json::json;

use super::{
    Context, connect,
    consent::{Which, account, time},
};

/// Of which time, and whose.
#[derive(Args)]
pub struct Options {
    /// Only what arose since then
    #[arg(long, value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// Only what was there by then
    #[arg(long, value_parser = time)]
    until: Option<DateTime<Utc>>,
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Affected {
    controller: String,
    recipients: i64,
    users: i64,
    classes: Vec<Counted>,
}

#[derive(Serialize)]
struct Counted {
    data: &'static str,
    tables: &'static [&'static str],
    about: &'static str,
    people: i64,
    rows: i64,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

/// Counts and prints.
///
/// # Errors
///
/// Fails if the database does not serve.
pub async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let controller = options.which.controller(&config)?;
    let id = &controller.id;
    let mut connection = connect(&config).await?;
    let now = Utc::now();
    let span = (
        options.since.unwrap_or(DateTime::UNIX_EPOCH),
        options.until.unwrap_or(now),
    );
    let mut classes = Vec::with_capacity(breach::CLASSES.len());
    for class in breach::CLASSES {
        let count = breach::count(class, id, span, &mut connection).await?;
        classes.push(Counted {
            data: class.name,
            tables: class.tables,
            about: class.about,
            people: count.people,
            rows: count.rows,
            first: count.first,
            last: count.last,
        });
    }
    connection
        .transaction(async |connection| {
            acts::append(id, &account(), "breach-counted", json!({}), now, connection).await
        })
        .await?;
    let affected = Affected {
        controller: id.as_str().to_owned(),
        recipients: breach::count_people("recipients", id, span, &mut connection).await?,
        users: breach::count_people("users", id, span, &mut connection).await?,
        classes,
    };
    context.print(&affected, words)
}

fn words(affected: &Affected) -> String {
    let day = |at: Option<DateTime<Utc>>| {
        at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d").to_string())
    };
    let mut text = format!(
        "{}: up to {} recipients and {} users\n\n{:>9} {:>9}  {:<10}  {:<10}  data\n",
        affected.controller, affected.recipients, affected.users, "people", "rows", "first", "last"
    );
    for class in &affected.classes {
        text += &format!(
            "{:>9} {:>9}  {:<10}  {:<10}  {}\n",
            class.people,
            class.rows,
            day(class.first),
            day(class.last),
            class.data
        );
    }
    text + "\nNot stored, and so not affected: IP addresses, user agents, destinations of links, passwords, tokens.\n"
}
