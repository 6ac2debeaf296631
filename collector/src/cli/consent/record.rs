// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent record`: a person agreed elsewhere, and there is evidence of it.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::Args;
use common::consent::Purpose;

use super::{Desk, Whom, account, purpose, scope, show, time};
use crate::{
    cli::Context,
    recipient::attest::{self, Attestation, Attestor},
};

/// What was agreed.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    whom: Whom,
    /// For what: open, click, or both with a comma
    #[arg(long = "purpose", required = true, value_delimiter = ',', value_parser = purpose)]
    purposes: Vec<Purpose>,
    /// In whose mail: controller, or a user's login
    #[arg(long, default_value = "controller")]
    scope: String,
    /// When the person agreed
    #[arg(long, value_parser = time)]
    given_at: DateTime<Utc>,
    /// How the person agreed: on paper, by telephone, on a web page
    #[arg(long)]
    channel: String,
    /// Where the evidence is: a ticket, a URL, a SHA-256
    #[arg(long)]
    evidence: String,
    /// The text that the person saw, by its hash in `notice list`
    #[arg(long, value_name = "SHA256", value_parser = hash)]
    notice: Option<[u8; 32]>,
    /// Why the address of an office may be taken after all
    #[arg(long, value_name = "REASON")]
    role_address: Option<String>,
}

/// Takes it down and shows what stands then.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.whom.which, context).await?;
    let address = options.whom.address()?;
    let (books, connection) = desk.books()?;
    let attestation = Attestation {
        address: address.clone(),
        purposes: options.purposes.clone(),
        scope: scope(&options.scope, books.controller, connection).await?,
        given_at: options.given_at,
        channel: options.channel.clone(),
        evidence: options.evidence.clone(),
        notice: options.notice,
        role_reason: options.role_address.clone(),
    };
    attest::write(
        books,
        &attestation,
        &Attestor::Admin(account()),
        Utc::now(),
        connection,
    )
    .await
    .context("nothing was recorded")?;
    show::print(&mut desk, &address, context).await
}

/// Reads 64 hexadecimal digits.
pub(super) fn hash(text: &str) -> Result<[u8; 32], String> {
    let invalid = || "64 hexadecimal digits".to_owned();
    if text.len() != 64 || !text.is_ascii() {
        return Err(invalid());
    }
    let mut hash = [0; 32];
    for (place, octet) in hash.iter_mut().enumerate() {
        let digits = text.get(place * 2..place * 2 + 2).ok_or_else(invalid)?;
        *octet = u8::from_str_radix(digits, 16).map_err(|_malformed| invalid())?;
    }
    Ok(hash)
}
