// SPDX-License-Identifier: GPL-3.0-or-later
//! Once a day, fingerprints go from the journal that people no longer want kept. Every collector does it, each with its own.

use crate::{
    journal::{self, TidyError},
    state::State,
};

/// Tidies it now.
pub(super) async fn run_once(state: State) -> Result<(), TidyError> {
    let mut connection = state.db.get().await?;
    journal::tidy(&state.config, &mut connection).await
}
