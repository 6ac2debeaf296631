// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl postfix`: prints the lines for `main.cf` and `master.cf`, as the Postfix of this host needs them.
//!
//! It only reads; what it prints, the administrator puts in.

pub(super) mod installed;
mod lines;
pub(super) mod milters;
pub(super) mod ours;
mod plan;
mod way_back;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use common::config::{MultiRecipient, Socket};

use self::{installed::Installed, lines::Plan, plan::Wish};
use super::Context;

/// What to print lines for.
#[derive(Args)]
pub struct Arguments {
    /// The folder of Postfix's configuration; asked of Postfix unless given
    #[arg(long, value_name = "FOLDER")]
    config_dir: Option<PathBuf>,
    /// A service of master.cf that users submit to, such as submission; found by name and authentication unless given
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// Where the milter listens as Postfix sees it, if not as the configuration says: unix:PATH or inet:HOST:PORT
    #[arg(long, value_name = "SOCKET")]
    socket: Option<String>,
    /// Whether smtpd runs in a chroot; read from master.cf unless given
    #[arg(long, value_name = "WHETHER")]
    chroot: Option<Chroot>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Chroot {
    No,
    Yes,
}

/// Prints the lines.
///
/// # Errors
///
/// Fails if the configuration cannot be read, or if a named service does not exist.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let socket = match &arguments.socket {
        None => config.milter.socket.clone(),
        Some(text) => Socket::parse(text)
            .with_context(|| format!("invalid socket \"{text}\" (unix:PATH or inet:HOST:PORT)"))?,
    };
    let installed = Installed::read(arguments.config_dir.as_deref());
    let mut services = match &installed {
        Some(installed) => installed.submission(&arguments.service),
        None => Vec::new(),
    };
    for name in &arguments.service {
        ensure!(
            installed.is_none() || services.iter().any(|service| service.is_named(name)),
            "no service \"{name}\" in master.cf runs smtpd"
        );
    }
    if let Some(chroot) = arguments.chroot {
        for service in &mut services {
            service.is_chrooted = chroot == Chroot::Yes;
        }
    }
    let plan = Plan::make(&Wish {
        socket,
        deadline: config.milter.deadline.0,
        folder: arguments.config_dir.clone(),
        chroot_unless_known: arguments.chroot != Some(Chroot::No),
        installed: installed.as_ref(),
        services,
        way_back: config
            .controllers
            .iter()
            .any(|controller| controller.multi_recipient == MultiRecipient::Split)
            .then(|| config.milter.reinject.clone())
            .flatten(),
    });
    context.print(&plan, Plan::text)
}
