// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl audit`: checks that the consent log and the log of acts are as they were written.

use anyhow::bail;
use chrono::Utc;
use clap::{Args, Subcommand};
use common::{
    consent::chain::hex,
    db::{acts, audit},
    ids::ControllerId,
    keys::KeyRing,
};
use serde::Serialize;

use super::{Context, connect};
use crate::heads;

/// What to check.
#[derive(Subcommand)]
pub enum Command {
    /// Show what administrators and users did or looked at
    Acts(Acts),
    /// Write the signed head of each log down now, as the collector does every day
    Head,
    /// Check every entry of every log; status 1 if one is not as it was written, naming the first
    Verify,
}

/// Which acts.
#[derive(Args)]
pub struct Acts {
    /// Only those after this number
    #[arg(long, default_value_t = 0)]
    after: i64,
    /// The most that are shown
    #[arg(long, default_value_t = 1000)]
    limit: i64,
}

#[derive(Serialize)]
struct Checked {
    controller: String,
    log: &'static str,
    entries: u64,
    head: Option<String>,
    fault: Option<String>,
}

#[derive(Serialize)]
struct Act {
    controller: String,
    seq: i64,
    at: chrono::DateTime<Utc>,
    actor: String,
    act: String,
    detail: serde_json::Value,
}

/// Does it.
///
/// # Errors
///
/// Fails if an entry is not as it was written, or if the database does not serve.
pub async fn run(command: &Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Acts(options) => show_acts(options, context).await,
        Command::Head => {
            let config = context.config()?;
            let keys = KeyRing::read(&config.keys.file)?;
            let mut connection = connect(&config).await?;
            let heads = heads::write(&config, &keys, Utc::now(), &mut connection).await?;
            context.print(&heads, |heads| {
                heads.iter().map(|head| format!("{head}\n")).collect()
            })
        }
        Command::Verify => verify(context).await,
    }
}

async fn verify(context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let mut connection = connect(&config).await?;
    let proof_since = Utc::now() - config.retention.consent_proof.delta();
    let mut checked = Vec::new();
    for controller in &config.controllers {
        let id = &controller.id;
        let log = audit::consent_log(id, proof_since, &mut connection).await?;
        checked.push(Checked::new(id, "consent", log));
        let log = audit::act_log(id, &mut connection).await?;
        checked.push(Checked::new(id, "acts", log));
    }
    // Whoever rewrites a whole log leaves a whole chain; the heads kept beside the database tell.
    if let Ok(keys) = KeyRing::read(&config.keys.file)
        && let Some(fault) = heads::first_fault(&config, &keys, &mut connection).await?
    {
        checked.push(Checked {
            controller: fault.controller,
            log: "heads",
            entries: 0,
            head: None,
            fault: Some(fault.what),
        });
    }
    context.print(&checked, |checked| {
        checked.iter().map(Checked::line).collect()
    })?;
    let first = checked.iter().find_map(|one| {
        let fault = one.fault.as_deref()?;
        Some(format!(
            "{} log of \"{}\": {fault}",
            one.log, one.controller
        ))
    });
    match first {
        Some(fault) => bail!("{fault}"),
        None => Ok(()),
    }
}

async fn show_acts(options: &Acts, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let mut connection = connect(&config).await?;
    let mut shown = Vec::new();
    for controller in &config.controllers {
        let id = &controller.id;
        let found = acts::after(id, options.after, options.limit, &mut connection).await?;
        shown.extend(found.into_iter().map(|act| Act {
            controller: act.controller_id,
            seq: act.seq,
            at: act.at,
            actor: act.actor,
            act: act.act,
            detail: act.detail,
        }));
    }
    context.print(&shown, |shown| {
        shown
            .iter()
            .map(|act| {
                format!(
                    "{}  {:>6}  {}  {}  {}  {}\n",
                    act.controller,
                    act.seq,
                    act.at.format("%Y-%m-%d %H:%M:%S"),
                    act.actor,
                    act.act,
                    act.detail
                )
            })
            .collect()
    })
}

impl Checked {
    fn new(
        controller: &ControllerId,
        log: &'static str,
        outcome: Result<audit::Intact, audit::Fault>,
    ) -> Self {
        let (entries, head, fault) = match outcome {
            Ok(intact) => (intact.entries, intact.head, None),
            Err(fault) => (0, None, Some(fault.to_string())),
        };
        Self {
            controller: controller.as_str().to_owned(),
            log,
            entries,
            head: head.map(|(_, hash)| hex(&hash)),
            fault,
        }
    }

    fn line(&self) -> String {
        match &self.fault {
            Some(fault) => format!("{}  {}: {fault}\n", self.controller, self.log),
            None => format!(
                "{}  {}: {} entries, all as they were written\n",
                self.controller, self.log, self.entries
            ),
        }
    }
}
