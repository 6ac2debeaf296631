// SPDX-License-Identifier: GPL-3.0-or-later
//! Fairtrack's milter: sees submitted mail, decides, instruments.
//!
//! Whatever goes wrong, the message leaves as it came.

pub mod actions;
pub mod budget;
mod callbacks;
pub mod cli;
mod consents;
pub mod control;
mod copy;
mod cork;
mod database;
pub mod eligibility;
pub mod envelope;
pub mod explain;
mod fingerprint;
mod health;
pub mod instrument;
mod intake;
mod legible;
pub mod listener;
pub mod message;
pub mod milter;
pub mod offline;
pub mod policy;
mod registry;
pub mod reload;
mod return_path;
mod rewriting;
mod send_buffer;
pub mod session;
mod subject;
mod treatment;
mod unanswered;
mod workshop;

use std::sync::Arc;

use tokio::sync::watch;

use crate::{listener::Listener, milter::Milter};

/// Serves until `stop` is ready; then takes no more connections, finishes what is in flight, and returns.
pub async fn run(listener: Listener, milter: Arc<Milter>, stop: impl Future) {
    let watching = [
        tokio::spawn(health::watch(Arc::clone(&milter))),
        tokio::spawn(return_path::watch(Arc::clone(&milter))),
    ];
    let unanswered = milter.unanswered.clone();
    let most = milter.settings().config.milter.max_sessions;
    let (ring, bell) = watch::channel(false);
    let conversations = bell.clone();
    let serving = listener.serve(most, bell, move |connection| {
        callbacks::converse(connection, Arc::clone(&milter), conversations.clone())
    });
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        _ = stop => {
            // It fails only if nobody listens any more, and then all has ended.
            let _all_ended = ring.send(true);
            serving.await;
        }
    }
    for watch in watching {
        watch.abort();
    }
    unanswered.finish().await;
}
