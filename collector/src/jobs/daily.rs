// SPDX-License-Identifier: GPL-3.0-or-later
//! What is done once at start and then every day.

use std::{error::Error, future::Future, time::Duration};

use crate::state::State;

const PERIOD: Duration = Duration::from_secs(24 * 3600);
const RETRY: Duration = Duration::from_secs(60);

/// Does a job for ever; a minute after a failure, of which `failed` tells, it is tried again.
pub(super) async fn daily<F, W, E>(state: State, failed: &'static str, job: F)
where
    F: Fn(State) -> W,
    W: Future<Output = Result<(), E>>,
    E: Error + 'static,
{
    loop {
        let pause = match job(state.clone()).await {
            Ok(()) => PERIOD,
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "{failed}");
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}
