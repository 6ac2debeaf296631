// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl doctor`: checks the installation piece by piece, and says what to do where something is wrong.
//!
//! It looks from outside wherever it can: it speaks to the milter as Postfix does, and asks for a pixel at the public
//! URL as a reader's mail program does. It changes nothing, and leaves no trace in anybody's numbers. Of what runs on
//! another host it says so, and calls nothing there wrong or right.

mod database;
mod disk;
mod fetch;
mod finding;
mod here;
mod mail;
mod milter;
mod mta;
mod outside;
mod service;
mod weaker;

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use common::{
    config::{Config, DEFAULT_PATH, Part},
    keys::{KeyError, KeyRing},
};

use self::{
    finding::{Finding, Level},
    here::Host,
};
use super::{Context, postfix::installed::Installed};

/// Where to look.
#[derive(Args)]
pub struct Arguments {
    /// The folder of Postfix's configuration; asked of Postfix unless given
    #[arg(long, value_name = "FOLDER")]
    postfix: Option<PathBuf>,
    /// A folder with logs of the proxy before the collector, searched for tokens
    #[arg(long, value_name = "FOLDER", default_values = outside::LOGS)]
    proxy_logs: Vec<PathBuf>,
}

/// Checks everything and prints the findings.
///
/// # Errors
///
/// Fails if something is wrong, so that the command's status says so.
pub async fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let findings = match context.config() {
        Ok(config) => examine(&config, arguments, context).await,
        Err(error) => vec![Finding::wrong(
            "configuration",
            error.to_string(),
            "correct the file; docs/configuration.md describes every key",
        )],
    };
    context.print(&findings, |findings| {
        findings.iter().map(Finding::line).collect()
    })?;
    let wrong = findings
        .iter()
        .filter(|finding| finding.level == Level::Wrong)
        .count();
    ensure!(wrong == 0, "{wrong} of {} checks failed", findings.len());
    Ok(())
}

async fn examine(config: &Config, arguments: &Arguments, context: &Context) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("configuration", "is valid")];
    if context.config != Path::new(DEFAULT_PATH) {
        findings.push(Finding::note(
            "configuration",
            format!("is \"{}\"", context.config.display()),
            format!("the programs read \"{DEFAULT_PATH}\" unless they are told otherwise: FAIRTRACK_CONFIG, --config"),
        ));
    }
    let milter = here::milter(config).await;
    let collector = here::collector(config);
    let keys = KeyRing::read(&config.keys.file);
    // A host that only has Postfix needs neither.
    if milter.is_here() || collector.is_here() {
        findings.push(signing_keys(&keys));
        findings.extend(database::examine(config, part(&collector)).await);
    }
    if collector.is_here() {
        findings.push(disk::hit_log(config));
        findings.extend(disk::room(config));
        findings.push(service::collector(config));
    }
    findings.extend(collector.note(
        "collector",
        "run this there too: the hit log, its disk and sign-in mail are looked at on the collector's host",
    ));
    let installed = Installed::read(arguments.postfix.as_deref());
    findings.extend(milter_and_postfix(config, &milter, installed.as_ref()).await);
    if collector.is_here() {
        findings.push(mail::examine(config).await);
    }
    for controller in &config.controllers {
        let ring = keys.as_ref().ok();
        findings.extend(outside::examine(controller, ring, &arguments.proxy_logs).await);
    }
    findings.extend(weaker::examine(config));
    findings
}

/// Looks at the milter if it runs here, or else where the Postfix of this host asks it.
async fn milter_and_postfix(
    config: &Config,
    milter: &Host,
    installed: Option<&Installed>,
) -> Vec<Finding> {
    let socket = &config.milter.socket;
    let asked = installed
        .map(|installed| mta::asked(installed, socket))
        .unwrap_or_default();
    let mut findings = Vec::new();
    if milter.is_here() {
        findings.push(milter::examine(socket).await);
    } else {
        for socket in &asked {
            findings.push(milter::examine(socket).await);
        }
    }
    findings.extend(milter.note("milter", "run this there too"));
    findings.extend(mta::examine(config, installed, milter));
    if milter.is_here() || !asked.is_empty() {
        findings.extend(mail::way_back(config).await);
    }
    findings
}

fn signing_keys(keys: &Result<KeyRing, KeyError>) -> Finding {
    match keys {
        Ok(ring) => Finding::ok("keys", format!("{} in the file", ring.all().len())),
        Err(error) => Finding::wrong(
            "keys",
            error.to_string(),
            "run \"fairtrackctl keys generate\" once; give the file to the programs' user, mode 0600, or to root and their group, mode 0640",
        ),
    }
}

/// Returns as whom to ask the database: as the collector, which also looks after it, wherever it is here.
fn part(collector: &Host) -> Part {
    if collector.is_here() {
        Part::Collector
    } else {
        Part::Milter
    }
}
