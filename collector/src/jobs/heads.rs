// SPDX-License-Identifier: GPL-3.0-or-later
//! Once a day, the signed head of each log is written down. Every collector does it, each into its own file.

use chrono::Utc;

use crate::{
    heads::{self, HeadError},
    state::State,
};

/// Writes them down now.
pub(super) async fn run_once(state: State) -> Result<(), HeadError> {
    let mut connection = state.db.get().await?;
    for head in heads::write(&state.config, &state.keys, Utc::now(), &mut connection).await? {
        tracing::info!("head of a log: {head}");
    }
    Ok(())
}
