// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent restrict`: freezes a person's data, or sets them free.

use anyhow::Context as _;
use chrono::Utc;
use clap::Args;
use common::db::{DbError, Transactions, acts, consent_events, standings, subjects};
use serde_json::json;

use super::{Desk, Whom, account, show};
use crate::{cli::Context, journal};

/// Whom, and which.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    whom: Whom,
    /// Set free again
    #[arg(long)]
    lift: bool,
}

/// Does it and shows what stands then.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.whom.which, context).await?;
    let address = options.whom.address()?;
    let (books, connection) = desk.books()?;
    let id = &books.controller.id;
    let subject = subjects::find(id, &address, connection)
        .await?
        .context("nothing is stored about that address")?;
    let now = Utc::now();
    let is_new = connection
        .transaction(async |connection| {
            let is_new = subjects::restrict(id, subject, !options.lift, connection).await?;
            let detail = json!({"subject": subject.0, "lifted": options.lift});
            acts::append(id, &account(), "restriction", detail, now, connection).await?;
            consent_events::announce(id, connection).await?;
            Ok::<_, DbError>(is_new)
        })
        .await?;
    if is_new {
        let hash = standings::suppression_hash(books.keys, &address);
        journal::write_restriction(books, subject, &hash, !options.lift, now).await;
    }
    show::print(&mut desk, &address, context).await
}
