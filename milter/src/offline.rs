// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrack-milter instrument`: one message offline, through the same code as the milter. No database; consent is
//! taken as given for the purposes named.
//!
//! Status 0: instrumented; 3: left untouched, the output equal to the input, the reason on standard error.

use std::{
    io::{Read, Write},
    path::PathBuf,
};

use anyhow::Context;
use common::{
    config::Config,
    ids::MessageId,
    keys::{KeyError, KeyRing},
    reason::SkipReason,
};

use crate::{
    control::Links,
    instrument::{Plan, instrument},
    message::Eml,
};

/// What the command line says.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Arguments {
    /// Put the pixel in. Without --opens and --links, both.
    #[arg(long)]
    pub opens: bool,
    /// Rewrite links.
    #[arg(long)]
    pub links: bool,
    /// Rewrite links in plain text too.
    #[arg(long)]
    pub text_links: bool,
    /// A recipient; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub to: Vec<String>,
    /// The user who sends; decides the controller. Default: the first controller.
    #[arg(long, value_name = "LOGIN")]
    pub from: Option<String>,
}

/// The exit status of a message that was left untouched.
pub const UNTOUCHED: u8 = 3;

/// Instruments the message on the standard input; returns the exit status.
///
/// # Errors
///
/// Fails if the configuration cannot be used, or the input or the output fails.
pub fn run(
    config: Option<PathBuf>,
    arguments: &Arguments,
    input: &mut impl Read,
    output: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<u8> {
    let config = read_config(config, notes)?;
    let keys = read_keys(&config, notes)?;
    let mut raw = Vec::new();
    input
        .read_to_end(&mut raw)
        .context("failed to read the message")?;
    match instrument_raw(&config, &keys, arguments, &raw) {
        Ok(written) => {
            output.write_all(&written).context("failed to write")?;
            Ok(0)
        }
        Err(reason) => {
            output.write_all(&raw).context("failed to write")?;
            writeln!(notes, "untouched: {}", reason.code()).context("failed to write")?;
            Ok(UNTOUCHED)
        }
    }
}

/// Instruments a message as it lies in a file.
///
/// # Errors
///
/// Returns the reason for which it is left untouched.
pub fn instrument_raw(
    config: &Config,
    keys: &KeyRing,
    arguments: &Arguments,
    raw: &[u8],
) -> Result<Vec<u8>, SkipReason> {
    let mut eml = Eml::parse(raw);
    if !eml.is_regular() {
        return Err(SkipReason::Malformed);
    }
    if raw.len() > config.milter.max_message_size.0 {
        return Err(SkipReason::TooLarge);
    }
    let controller = match &arguments.from {
        Some(login) => config
            .controller_of(login)
            .map(|(controller, _)| controller),
        None => config.controllers.first(),
    };
    let controller = controller.ok_or(SkipReason::NoUser)?;
    let both = !arguments.opens && !arguments.links;
    let plan = Plan {
        controller,
        keys,
        language: controller.language,
        message: MessageId::random(),
        opens: arguments.opens || both,
        links: Links::from_settings(arguments.links || both, arguments.text_links),
    };
    let instrumented = instrument(eml.message(), &plan)?;
    eml.set_body(instrumented.body);
    eml.apply(&instrumented.header_edits);
    Ok(eml.to_bytes())
}

/// What is assumed where there is no configuration file.
const BUILT_IN: &str = r#"
[[controller]]
id = "offline"
name = "Example"
address = "-"
contact = "privacy@example.com"
authority = "-"
domains = ["example.com"]
public_url = "https://track.example.com"
"#;

fn read_config(path: Option<PathBuf>, notes: &mut impl Write) -> anyhow::Result<Config> {
    let default = PathBuf::from(common::config::DEFAULT_PATH);
    match path {
        Some(path) => Ok(Config::read(&path)?),
        None if default.exists() => Ok(Config::read(&default)?),
        None => {
            writeln!(
                notes,
                "note: no configuration file, using built-in settings"
            )?;
            Ok(Config::parse(&default, BUILT_IN)?)
        }
    }
}

fn read_keys(config: &Config, notes: &mut impl Write) -> anyhow::Result<KeyRing> {
    match KeyRing::read(&config.keys.file) {
        Err(KeyError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            writeln!(notes, "note: no key file, signing with a throw-away key")?;
            KeyRing::throw_away(chrono::Utc::now()).context("failed to make a key")
        }
        other => Ok(other?),
    }
}
