// SPDX-License-Identifier: GPL-3.0-or-later
//! Serving: start, signals, stop.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{listener::Listener, milter::Milter, registry, reload, run};

/// Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again.
pub(super) async fn serve(path: &Path) -> anyhow::Result<()> {
    let settings = reload::read(path)?;
    // Signals from here on are kept for later, so that none ends the program half started.
    let mut hangup = listen_for(SignalKind::hangup())?;
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    tracing::info!("configuration: {}", settings.config.effective());
    let listener = Listener::bind(&settings.config.milter).await?;
    tracing::info!("listening on {}", listener.place());
    let milter = Milter::new(settings);
    let journal = &milter.settings().config.milter.journal;
    if let Err(error) = milter.unanswered.keep_journal(journal) {
        tracing::warn!(
            "failed to keep the journal \"{}\": {error}; after a kill some messages may be shown as tracked that are not",
            journal.display()
        );
    }
    let introduction = tokio::spawn(introduce(Arc::clone(&milter)));
    notify(&[NotifyState::Ready]);
    let watch = tokio::spawn(keep_watch());

    let stop = async {
        loop {
            tokio::select! {
                _ = hangup.recv() => again(path, &milter),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        tracing::info!("stopping");
        notify(&[NotifyState::Stopping]);
    };
    run(listener, Arc::clone(&milter), stop).await;
    introduction.abort();
    watch.abort();
    tracing::info!("stopped");
    Ok(())
}

fn listen_for(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("failed to listen for signals")
}

fn again(path: &Path, milter: &Arc<Milter>) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
    reload::reload(path, milter);
    tokio::spawn(introduce(Arc::clone(milter)));
    notify(&[NotifyState::Ready]);
}

/// Writes the controllers down if the database can be reached; else the first message that needs them does.
async fn introduce(milter: Arc<Milter>) {
    let settings = milter.settings();
    let Ok(mut loan) = milter.database.lend().await else {
        return;
    };
    let answer = registry::save_controllers(&settings, loan.connection()).await;
    if let Err(error) = loan.settle(answer) {
        tracing::warn!("failed to write the controllers down: {error}");
    }
}

/// Tells the service manager twice within its time limit that we are alive; it restarts a program that hangs.
async fn keep_watch() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(limit / 2).await;
    }
}

fn notify(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("service manager not told: {error}");
    }
}
