// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent export`: what stands, as CSV that `import` reads; or everything about one person, for a request by letter.

use std::{collections::HashMap, io};

use anyhow::Context as _;
use chrono::Utc;
use clap::Args;
use common::{
    address::Address,
    consent::chain::{hex, instant},
    db::{
        consent_events::{self, Recorded},
        subjects, users,
    },
    telemetry,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Desk, Which, rows::COLUMNS};
use crate::{
    cli::{Context, Output},
    recipient::document::{self, About, Depth},
};

/// What to export.
#[derive(Args)]
pub struct Options {
    /// Everything about this person, instead of what stands for all
    #[arg(long)]
    address: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Subjects that are worked on together.
const PIECE: i64 = 500;

/// Exports.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.which, context).await?;
    match &options.address {
        Some(address) => {
            let address = Address::parse(address).context("that is no mail address")?;
            one(&mut desk, &address, context).await
        }
        None => all(&mut desk, context).await,
    }
}

async fn one(desk: &mut Desk, address: &Address, context: &Context) -> anyhow::Result<()> {
    let (books, connection) = desk.books()?;
    let subject = subjects::find(&books.controller.id, address, connection)
        .await?
        .context("nothing is stored about that address")?;
    let about = About {
        config: books.config,
        controller: books.controller,
        keys: books.keys,
        subject,
        address,
    };
    let document = document::gather(&about, Depth::Everything, Utc::now(), connection).await?;
    desk.note("data-exported", json!({"subject": subject.0}))
        .await?;
    context.print(&document, document::text)
}

async fn all(desk: &mut Desk, context: &Context) -> anyhow::Result<()> {
    desk.note("consents-exported", json!({})).await?;
    let (books, connection) = desk.books()?;
    let id = &books.controller.id;
    let logins: HashMap<Uuid, String> = users::all(connection)
        .await?
        .into_iter()
        .map(|user| (user.id, user.login))
        .collect();
    let mut csv = csv::Writer::from_writer(io::BufWriter::new(io::stdout().lock()));
    if context.output == Output::Words {
        csv.write_record(COLUMNS)?;
    }
    let mut after = String::new();
    loop {
        let people = subjects::after(id, &after, PIECE, connection).await?;
        let Some((_, last)) = people.as_slice().last() else {
            break;
        };
        after.clone_from(last);
        for (subject, address) in &people {
            let events = consent_events::of_subject(id, *subject, connection).await?;
            if events.is_empty() {
                continue;
            }
            let evidence = consent_events::evidence_of_subject(id, *subject, connection).await?;
            for event in newest(&events) {
                let fields = fields(address, event, evidence.get(&event.seq), &logins);
                match context.output {
                    Output::Json => {
                        let object: serde_json::Map<String, Value> = COLUMNS
                            .iter()
                            .zip(&fields)
                            .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
                            .collect();
                        telemetry::answer(&Value::Object(object).to_string())?;
                    }
                    Output::Words => csv.write_record(&fields)?,
                }
            }
        }
    }
    csv.flush()?;
    Ok(())
}

/// Returns the newest yes or no for each purpose and scope.
fn newest(events: &[Recorded]) -> Vec<&Recorded> {
    let mut newest: Vec<&Recorded> = Vec::new();
    for event in events {
        let key = (&event.purpose, event.scope_user);
        newest.retain(|other| (&other.purpose, other.scope_user) != key);
        newest.push(event);
    }
    newest.retain(|event| matches!(event.state.as_str(), "granted" | "denied" | "withdrawn"));
    newest
}

fn fields(
    address: &str,
    event: &Recorded,
    evidence: Option<&Value>,
    logins: &HashMap<Uuid, String>,
) -> [String; 8] {
    let said = |name: &str| {
        evidence
            .and_then(|evidence| evidence.get(name))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let scope = match event.scope_user {
        None => "controller".to_owned(),
        Some(user) => logins
            .get(&user)
            .cloned()
            .unwrap_or_else(|| user.to_string()),
    };
    [
        address.to_owned(),
        event.purpose.clone(),
        event.state.clone(),
        scope,
        said("given_at").unwrap_or_else(|| instant(event.at)),
        said("channel").unwrap_or_else(|| event.method.clone()),
        said("evidence").unwrap_or_else(|| format!("record {}", event.event_id)),
        event.notice_hash.as_deref().map(hex).unwrap_or_default(),
    ]
}
