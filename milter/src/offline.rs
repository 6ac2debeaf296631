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
    address::Address,
    config::{Config, Controller, MultiRecipient},
    ids::MessageId,
    keys::{KeyError, KeyRing},
    reason::SkipReason,
};

use crate::{
    control::{self, Choice, Links},
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
    /// Recipients; may be given several times. Default: control recipients as the header section has them
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
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
    check_recipients(controller, &arguments.to)?;
    let host = controller.tracking_host();
    let fields = &eml.message().fields;
    let named = if arguments.to.is_empty() {
        // Without an envelope, the header section tells whom the author spoke to.
        control::recipients_in(fields, &host)
    } else {
        arguments.to.clone()
    };
    let control = control::read(fields, &named, &host);
    let (opens, links) = wanted(controller, arguments, &control.choice)?;
    let plan = Plan {
        controller,
        controllers: &config.controllers,
        keys,
        language: controller.language,
        message: MessageId::random(),
        opens,
        links,
    };
    eml.apply(&control.edits);
    let instrumented = instrument(eml.message(), &plan)?;
    eml.set_body(instrumented.body);
    eml.apply(&instrumented.header_edits);
    Ok(eml.to_bytes())
}

/// Combines what the command line names, what the controller allows and what the message says. The message can take
/// away and not add: consent is given for the purposes named, and no others.
fn wanted(
    controller: &Controller,
    arguments: &Arguments,
    choice: &Choice,
) -> Result<(bool, Links), SkipReason> {
    let both = !arguments.opens && !arguments.links;
    let opens = arguments.opens || both;
    let links = Links::from_settings(arguments.links || both, arguments.text_links);
    let ceiling = Links::from_settings(controller.links, controller.text_links);
    let (may_open, may_follow) = (opens && controller.opens, links.within(ceiling));
    if !may_open && may_follow == Links::No {
        return Err(SkipReason::Ceiling);
    }
    let said = choice.links.map_or(may_follow, |choice| {
        choice.resolve(arguments.text_links).within(may_follow)
    });
    let opens = may_open && choice.opens != Some(false);
    if !opens && said == Links::No {
        return Err(SkipReason::Control);
    }
    Ok((opens, said))
}

fn check_recipients(controller: &Controller, recipients: &[String]) -> Result<(), SkipReason> {
    let host = controller.tracking_host();
    let addresses: Vec<Address> = recipients
        .iter()
        .filter_map(|recipient| Address::parse(recipient))
        .filter(|address| address.domain() != host)
        .collect();
    let is_excluded = |address: &Address| {
        let mut entries = controller.exclude_recipients.iter();
        entries.any(|entry| address.matches(entry))
    };
    if addresses.iter().any(is_excluded) {
        return Err(SkipReason::Excluded);
    }
    if !controller.internal
        && addresses
            .iter()
            .any(|address| controller.owns(address.domain()))
    {
        return Err(SkipReason::Internal);
    }
    if addresses.len() > 1 && controller.multi_recipient == MultiRecipient::Never {
        return Err(SkipReason::SeveralRecipients);
    }
    Ok(())
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
internal = true
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
