// SPDX-License-Identifier: GPL-3.0-or-later
//! Writing messages down: before anything in them is replaced.

use std::time::Duration;

use chrono::Utc;

use common::{
    db::{
        Connection, DbError, controllers,
        messages::{self, Registration},
    },
    ids::{ControllerId, MessageId},
    reason::SkipReason,
};

use crate::{
    database::{Database, Unavailable},
    milter::Settings,
};

/// How often, and how many times, a retraction is tried: the database was slow a moment ago.
const RETRY: Duration = Duration::from_secs(1);
const TRIES: u32 = 60;

/// Writes a message down in one transaction.
///
/// # Errors
///
/// Fails if the database does. Then nothing may be replaced.
pub(crate) async fn register(
    registration: &Registration,
    settings: &Settings,
    database: &Database,
) -> Result<(), Unavailable> {
    let mut loan = database.lend().await?;
    let answer = write(registration, settings, loan.connection()).await;
    loan.settle(answer)
}

/// Writes the controllers of the configuration down, once for each configuration, before anything refers to them.
///
/// # Errors
///
/// Fails if the database does.
pub(crate) async fn save_controllers(
    settings: &Settings,
    connection: &mut Connection,
) -> Result<(), DbError> {
    if !settings.are_controllers_saved() {
        controllers::save(&settings.config.controllers, Utc::now(), connection).await?;
        settings.set_controllers_saved();
    }
    Ok(())
}

/// Corrects the row of a message that was being written down as instrumented when the deadline came, and so left
/// untouched. The row may appear later than the correction, so absence is no answer at first.
pub(crate) async fn retract(controller: ControllerId, message: MessageId, database: Database) {
    for _ in 0..TRIES {
        tokio::time::sleep(RETRY).await;
        let Ok(mut loan) = database.lend().await else {
            continue;
        };
        let answer = messages::leave_untouched(
            &controller,
            message,
            SkipReason::Deadline,
            loan.connection(),
        )
        .await;
        if matches!(loan.settle(answer), Ok(true)) {
            return;
        }
    }
}

async fn write(
    registration: &Registration,
    settings: &Settings,
    connection: &mut Connection,
) -> Result<(), DbError> {
    save_controllers(settings, connection).await?;
    Ok(messages::register(registration, connection).await?)
}
