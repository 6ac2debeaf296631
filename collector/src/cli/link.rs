// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl link decode`: what a tracking URL says. Needs only the key file.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use common::{
    keys::KeyRing,
    telemetry, token,
    tracking_url::{self, Artefact},
};
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use super::Context;

/// What to do with a tracking URL.
#[derive(Subcommand)]
pub enum Command {
    /// Print what a tracking URL says, as JSON
    Decode(Decode),
}

/// A URL to be taken apart.
#[derive(Args)]
pub struct Decode {
    /// The URL of a tracked link, a pixel or a recipient's page
    url: String,
    /// The key file; without it, the configured one
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

#[derive(Serialize)]
struct Decoded {
    kind: &'static str,
    destination: Option<String>,
    message_id: Uuid,
    ordinal: u16,
    key: u8,
    /// Whether the signature holds.
    valid: bool,
}

/// Takes a URL apart.
///
/// # Errors
///
/// Fails if it is no tracking URL, or the key file cannot be read.
pub fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    let Command::Decode(options) = command;
    let path = match &options.keys {
        Some(path) => path.clone(),
        None => context.config()?.keys.file,
    };
    let decoded = decode(&options.url, &KeyRing::read(&path)?)?;
    telemetry::answer(&serde_json::to_string_pretty(&decoded)?)?;
    Ok(())
}

fn decode(url: &str, keys: &KeyRing) -> anyhow::Result<Decoded> {
    let parsed = Url::parse(url).context("no absolute URL")?;
    let base = url
        .get(..url.len() - after_origin(url))
        .filter(|_| parsed.has_host())
        .context("no URL with a host")?;
    let Some(artefact) = tracking_url::recognise(base, url) else {
        bail!("no tracking URL");
    };
    let (kind, token, destination) = match &artefact {
        Artefact::Choices { token } => ("choices", token, None),
        Artefact::Link { token, destination } => ("link", token, Some(destination.clone())),
        Artefact::Pixel { token } => ("pixel", token, None),
    };
    let said = token::read(token).context("no tracking URL")?;
    Ok(Decoded {
        kind,
        destination,
        message_id: said.message.0,
        ordinal: said.ordinal,
        key: said.key,
        valid: tracking_url::verify(keys, &artefact).is_some(),
    })
}

/// Returns how many octets of an absolute URL follow its scheme, host and port.
fn after_origin(url: &str) -> usize {
    url.split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|start| rest.len() - start))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use common::ids::MessageId;

    use super::*;

    #[test]
    fn link_is_taken_apart_and_a_forged_one_is_told() {
        let keys = KeyRing::for_testing();
        let message = MessageId(Uuid::from_u128(5));
        let url = tracking_url::link(
            "https://t.example:8443",
            &keys,
            message,
            3,
            "https://a.example/?b=c",
        );

        let decoded = decode(&url, &keys).unwrap();
        let forged = decode(&url.replace("a.example", "b.example"), &keys).unwrap();

        assert_eq!(
            decoded.destination.as_deref(),
            Some("https://a.example/?b=c")
        );
        assert_eq!(
            (decoded.message_id, decoded.ordinal, decoded.key),
            (message.0, 3, 1)
        );
        assert!(decoded.valid);
        assert_eq!(
            forged.destination.as_deref(),
            Some("https://b.example/?b=c")
        );
        assert!(!forged.valid);
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "",
            "https://a.example",
            "https://a.example/l/x?u=y",
            "/o/x.gif",
            "mailto:a@b",
        ] {
            assert!(decode(url, &KeyRing::for_testing()).is_err(), "{url}");
        }
    }
}
