// SPDX-License-Identifier: GPL-3.0-or-later
//! Once a day, fingerprints go from the journal that people no longer want kept. Every collector does it, each with its own.

use std::time::Duration;

use crate::{
    journal::{self, TidyError},
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
                    "the journal was not tidied"
                );
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn run_once(state: &State) -> Result<(), TidyError> {
    let mut connection = state.db.get().await?;
    journal::tidy(&state.config, &mut connection).await
}
