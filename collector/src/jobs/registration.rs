// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes the configured controllers down, as soon as the database is there: other rows refer to them.

use std::time::Duration;

use chrono::Utc;
use common::db::{DbError, controllers};

use crate::state::State;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Tries until it is done.
pub(super) async fn register(state: State) {
    let mut pause = FIRST_PAUSE;
    while let Err(error) = save(&state).await {
        tracing::warn!("controllers are not written down yet: {error}");
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

async fn save(state: &State) -> Result<(), DbError> {
    let mut connection = state.db.get().await?;
    controllers::save(&state.config.controllers, Utc::now(), &mut connection).await?;
    Ok(())
}
