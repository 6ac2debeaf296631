// SPDX-License-Identifier: GPL-3.0-or-later
//! What goes on beside the answers. Each job may run in several collectors at once and does its work once.

mod covered;
mod daily;
mod digest;
mod heads;
mod hints;
mod journal;
mod judge;
mod look;
mod news;
pub mod reclassify;
mod registration;
pub mod retention;
mod settle;
mod tell;
pub mod webhooks;

use std::sync::Arc;

use common::config::Part;
use tokio::task::JoinSet;

use self::daily::daily;
use crate::{
    ingest::{self, Alarm, HitLog, Recorder},
    metrics::Metrics,
    state::State,
};

/// Starts every job; they end when the set is dropped or shut down.
pub fn start(
    state: &State,
    recorder: Recorder,
    alarm: Arc<Alarm>,
    log: &HitLog,
    metrics: &Arc<Metrics>,
) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    jobs.spawn(registration::register(state.clone()));
    jobs.spawn(daily(
        state.clone(),
        "retention is put off",
        retention::run_once,
    ));
    jobs.spawn(daily(
        state.clone(),
        "the heads of the logs were not written down",
        heads::run_once,
    ));
    jobs.spawn(daily(
        state.clone(),
        "the journal was not tidied",
        journal::run_once,
    ));
    jobs.spawn(settle::run(state.clone(), alarm, Arc::clone(metrics)));
    jobs.spawn(digest::run(state.clone()));
    jobs.spawn(webhooks::run(state.clone()));
    let live = state.live.clone();
    jobs.spawn(live.listen(state.config.database.url_of(Part::Collector).to_owned()));
    jobs.spawn(ingest::replay(log.clone(), recorder, Arc::clone(metrics)));
    jobs
}
