// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent withdraw`: a no by telephone, by post or in a reply counts like the person's own. Only the channel is needed.

use chrono::Utc;
use clap::Args;
use common::{
    consent::{Author, Method, Purpose},
    db::{Transactions, acts, consent_events::AppendError, subjects},
};
use serde_json::{Map, json};

use super::{Desk, Whom, account, purpose, scope, show};
use crate::{
    cli::Context,
    journal,
    recipient::{
        attest::kept,
        choose::{self, Circumstances},
        form::{Answer, Choice},
    },
};

/// What the person said.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    whom: Whom,
    /// How the person said so: by telephone, by post, in a reply
    #[arg(long)]
    channel: String,
    /// For what only: open or click; both if left out
    #[arg(long = "purpose", value_delimiter = ',', value_parser = purpose)]
    purposes: Vec<Purpose>,
    /// In whose mail: controller, or a user's login
    #[arg(long, default_value = "controller")]
    scope: String,
}

/// Takes it down, at once, and shows what stands then.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.whom.which, context).await?;
    let address = options.whom.address()?;
    let purposes = if options.purposes.is_empty() {
        Purpose::ALL.to_vec()
    } else {
        options.purposes.clone()
    };
    let (books, connection) = desk.books()?;
    let choice = Choice {
        answers: purposes
            .into_iter()
            .map(|purpose| (purpose, Answer::Refuse))
            .collect(),
        scope: scope(&options.scope, books.controller, connection).await?,
    };
    let mut evidence = Map::new();
    evidence.insert("channel".into(), kept(&options.channel).into());
    evidence.insert("recorded_by".into(), account().into());
    let now = Utc::now();
    let entries = connection
        .transaction(async |connection| {
            let id = &books.controller.id;
            let mut entries = Vec::new();
            let one = std::slice::from_ref(&address);
            for subject in subjects::find_or_create(id, one, connection).await? {
                let circumstances = Circumstances {
                    author: Author::Admin,
                    method: Method::Cli,
                    language: None,
                    evidence: evidence.clone(),
                };
                let written =
                    choose::record(books, subject, &choice, circumstances, now, connection).await?;
                entries.extend(written);
                let detail = json!({"subject": subject.0});
                acts::append(id, &account(), "withdrawal", detail, now, connection).await?;
            }
            Ok::<_, AppendError>(entries)
        })
        .await?;
    journal::write_statements(books, &entries, connection).await;
    show::print(&mut desk, &address, context).await
}
