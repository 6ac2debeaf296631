// SPDX-License-Identifier: GPL-3.0-or-later
//! Consent asked once more, at the moment of telling.

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    consent::{Purpose, Rule},
    db::{Connection, DbError, recordings, standings},
    ids::{ControllerId, MessageId},
};

use crate::{ingest::cover, state::State};

/// Tells whether consent covers, now, telling of a purpose about a message.
pub(super) async fn is_covered(
    state: &State,
    controller_id: &ControllerId,
    message: MessageId,
    purpose: Purpose,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<bool, DbError> {
    let controllers = [controller_id.as_str()];
    let recordings = recordings::find(&controllers, &[message.0], connection).await?;
    let (Some(recording), Some(controller)) = (
        recordings.get(&message),
        state.config.controller(controller_id),
    ) else {
        return Ok(false);
    };
    let recipients = &recording.recipients;
    let standings =
        standings::by_subject(controller_id, recipients, &state.keys, connection).await?;
    let facts = cover::Facts {
        recording,
        standings: &standings,
        rule: Rule::of(controller),
    };
    // Whether it may be told does not depend on the window: the hit was within it.
    Ok(cover::check(&facts, purpose, now, TimeDelta::days(36_500), now).is_ok())
}
