// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent proof`: events, evidence, exact texts and the place in the chain, as JSON or as a page to print.

use anyhow::Context as _;
use askama::Template;
use chrono::Utc;
use clap::Args;
use common::{
    consent::chain::instant,
    db::{audit, subjects},
    telemetry,
};
use serde_json::{Value, json};

use super::{Desk, Whom};
use crate::{
    cli::{Context, Output},
    recipient::document::{self, About, Depth},
};

/// Of whom.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    whom: Whom,
}

#[derive(Template)]
#[template(path = "recipient/proof.html")]
struct Page<'a> {
    address: &'a str,
    controller: &'a str,
    at: String,
    chain: String,
    outline: String,
}

/// Prints it.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.whom.which, context).await?;
    let address = options.whom.address()?;
    let (books, connection) = desk.books()?;
    let id = &books.controller.id;
    let subject = subjects::find(id, &address, connection)
        .await?
        .context("nothing is stored about that address")?;
    let about = About {
        config: books.config,
        controller: books.controller,
        keys: books.keys,
        subject,
        address: &address,
    };
    let now = Utc::now();
    let mut proof = document::gather(&about, Depth::Proof, now, connection).await?;
    let proof_since = now - books.config.retention.consent_proof.delta();
    let chain = match audit::consent_log(id, proof_since, connection).await? {
        Ok(intact) => json!({
            "intact": true, "entries": intact.entries,
            "head": intact.head.map(|(seq, hash)| json!({
                "seq": seq, "hash": common::consent::chain::hex(&hash),
            })),
        }),
        Err(fault) => json!({"intact": false, "fault": fault.to_string()}),
    };
    if let Value::Object(members) = &mut proof {
        members.insert("chain".into(), chain.clone());
    }
    desk.note("consent-proved", json!({"subject": subject.0}))
        .await?;
    if context.output == Output::Json {
        return context.print(&proof, |_| String::new());
    }
    let (books, _) = desk.books()?;
    let page = Page {
        address: address.as_str(),
        controller: &books.controller.name,
        at: instant(common::consent::chain::storable(now)),
        chain: document::text(&chain),
        outline: document::text(&proof),
    };
    telemetry::answer(&page.render()?)?;
    Ok(())
}
