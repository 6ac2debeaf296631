// SPDX-License-Identifier: GPL-3.0-or-later
//! Once a day, the signed head of each log is written down. Every collector does it, each into its own file.

use std::time::Duration;

use chrono::Utc;

use crate::{
    heads::{self, HeadError},
    state::State,
};

const PERIOD: Duration = Duration::from_secs(24 * 3600);
const RETRY: Duration = Duration::from_secs(300);

/// Runs once at start and then every day.
pub(super) async fn run_daily(state: State) {
    loop {
        let pause = match run_once(&state).await {
            Ok(()) => PERIOD,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the heads of the logs were not written down"
                );
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn run_once(state: &State) -> Result<(), HeadError> {
    let mut connection = state.db.get().await?;
    for head in heads::write(&state.config, &state.keys, Utc::now(), &mut connection).await? {
        tracing::info!("head of a log: {head}");
    }
    Ok(())
}
