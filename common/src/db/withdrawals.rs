// SPDX-License-Identifier: GPL-3.0-or-later
//! What a no does to what was recorded: hits and queued notifications go, and the counters shrink, in one transaction.
//!
//! Design note: whoever records hits holds the lock of the controller's consent, shared, from asking for consent to the
//! commit; whoever changes consent takes it alone. So either a hit is committed first and is deleted here, or the no is,
//! and the hit is never kept. Whoever counts hits holds the message's row, which is taken `FOR UPDATE` here.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{Array, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection, consent_events,
    schema::{message_recipients, messages, notifications, settlements, subjects},
};
use crate::{
    consent::{Purpose, Scope},
    ids::{ControllerId, MessageId, SubjectRef},
};

/// Deletes what was recorded for one purpose about mail that a refusal now covers, and returns how many messages that
/// touched.
///
/// A refusal covers every address with the same base; a message to several people is covered as a whole, because its
/// hits belong to none of them.
pub async fn take_effect(
    controller: &ControllerId,
    subject: SubjectRef,
    purpose: Purpose,
    scope: Scope,
    connection: &mut Connection,
) -> QueryResult<usize> {
    let relatives = relatives(controller, subject, connection).await?;
    let mut covered = messages::table
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::reason.is_null())
                .and(
                    messages::id.eq_any(
                        message_recipients::table
                            .filter(
                                message_recipients::controller_id
                                    .eq(controller.as_str())
                                    .and(message_recipients::subject_ref.eq_any(relatives)),
                            )
                            .select(message_recipients::message_id),
                    ),
                ),
        )
        .select(messages::id)
        .order(messages::id)
        .into_boxed();
    if let Scope::Sender(user) = scope {
        covered = covered.filter(messages::user_id.eq(user.0));
    }
    let ids: Vec<Uuid> = lock(covered.load(connection).await?, controller, connection).await?;
    forget(controller, &ids, &[purpose], connection).await?;
    Ok(ids.len())
}

/// Ends the recording of one message for all its recipients, and deletes what was recorded; false if there is no such
/// message, or it had been ended before.
pub async fn stop_message(
    controller: &ControllerId,
    message: MessageId,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    // First the lock that ends at the commit for whoever records, then the row: all take them in this order.
    consent_events::lock(controller, connection).await?;
    let ids = lock(vec![message.0], controller, connection).await?;
    let stopped = diesel::update(messages::table)
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::id.eq(message.0))
                .and(messages::stopped_at.is_null()),
        )
        .set(messages::stopped_at.eq(at))
        .execute(connection)
        .await?;
    if stopped == 0 {
        return Ok(false);
    }
    forget(controller, &ids, &Purpose::ALL, connection).await?;
    Ok(true)
}

/// Returns the subjects whose addresses have the same base, the subject itself included.
pub async fn relatives(
    controller: &ControllerId,
    subject: SubjectRef,
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    let (own, other) = diesel::alias!(subjects as own, subjects as other);
    own.inner_join(
        other.on(own
            .field(subjects::controller_id)
            .eq(other.field(subjects::controller_id))
            .and(
                own.field(subjects::base_address)
                    .eq(other.field(subjects::base_address)),
            )),
    )
    .filter(
        own.field(subjects::controller_id)
            .eq(controller.as_str())
            .and(own.field(subjects::subject_ref).eq(subject.0)),
    )
    .select(other.field(subjects::subject_ref))
    .load(connection)
    .await
}

/// Deletes the hits and queued notifications of messages, for some purposes, and takes them out of every counter. The
/// rows of the messages are locked.
pub async fn forget(
    controller: &ControllerId,
    ids: &[Uuid],
    purposes: &[Purpose],
    connection: &mut Connection,
) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = purposes.iter().map(|purpose| purpose.code()).collect();
    diesel::sql_query(DELETE_HITS)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<Text>, _>(&codes)
        .execute(connection)
        .await?;
    for purpose in purposes {
        let statement = match purpose {
            Purpose::Click => CLEAR_CLICKS,
            Purpose::Open => CLEAR_OPENS,
        };
        diesel::sql_query(statement)
            .bind::<Text, _>(controller.as_str())
            .bind::<Array<SqlUuid>, _>(ids)
            .execute(connection)
            .await?;
    }
    diesel::sql_query(RECOUNT_AUTOMATIC)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(connection)
        .await?;
    let kinds = purposes.iter().flat_map(|purpose| match purpose {
        Purpose::Click => &["first-click"][..],
        Purpose::Open => &["first-open", "repeat-open"][..],
    });
    diesel::delete(notifications::table)
        .filter(
            notifications::controller_id
                .eq(controller.as_str())
                .and(notifications::message_id.eq_any(ids))
                .and(notifications::kind.eq_any(kinds)),
        )
        .execute(connection)
        .await?;
    if purposes.len() == Purpose::ALL.len() {
        diesel::delete(settlements::table)
            .filter(
                settlements::controller_id
                    .eq(controller.as_str())
                    .and(settlements::message_id.eq_any(ids)),
            )
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Locks messages, always in the same order so that two transactions never wait for each other, and returns those that
/// are still there.
async fn lock(
    ids: Vec<Uuid>,
    controller: &ControllerId,
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    messages::table
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::id.eq_any(ids)),
        )
        .order(messages::id)
        .select(messages::id)
        .for_update()
        .load(connection)
        .await
}

/// Deletes hits, and takes those that had been counted out of the picture on the report page.
const DELETE_HITS: &str = "
WITH gone AS (
    DELETE FROM hits WHERE controller_id = $1 AND message_id = ANY ($2) AND kind = ANY ($3)
    RETURNING message_id, at, kind, class, settled, duplicate_of
), hours AS (
    SELECT messages.user_id, date_trunc('hour', gone.at, 'UTC') AS hour,
        count(*) FILTER (WHERE class IN ('human', 'image-proxy-on-open') AND kind = 'open') AS opens,
        count(*) FILTER (WHERE class IN ('human', 'image-proxy-on-open') AND kind = 'click') AS clicks,
        count(*) FILTER (WHERE class IN ('machine-prefetch', 'security-scanner', 'link-preview')) AS automatic
    FROM gone JOIN messages ON messages.controller_id = $1 AND messages.id = gone.message_id
    -- Those of frozen messages were taken out when they were frozen.
    WHERE gone.settled AND gone.at <= messages.settled_until AND gone.duplicate_of IS NULL AND NOT messages.frozen
    GROUP BY 1, 2
), locked AS MATERIALIZED (
    -- In the order in which settling takes them, so that neither waits for the other.
    SELECT activity.user_id, activity.hour FROM activity JOIN hours USING (user_id, hour)
    WHERE activity.controller_id = $1 ORDER BY user_id, hour FOR NO KEY UPDATE OF activity
)
UPDATE activity SET opens = greatest(0, activity.opens - hours.opens),
    clicks = greatest(0, activity.clicks - hours.clicks),
    automatic = greatest(0, activity.automatic - hours.automatic)
FROM hours JOIN locked USING (user_id, hour)
WHERE activity.controller_id = $1 AND activity.user_id = hours.user_id AND activity.hour = hours.hour";

const CLEAR_OPENS: &str = "
UPDATE messages SET open_count = 0, first_open_at = NULL, last_open_at = NULL, unclear_opens = 0
WHERE controller_id = $1 AND id = ANY ($2)";

const CLEAR_CLICKS: &str = "
UPDATE messages SET click_count = 0, first_click_at = NULL, last_click_at = NULL, unclear_clicks = 0
WHERE controller_id = $1 AND id = ANY ($2)";

const RECOUNT_AUTOMATIC: &str = "
UPDATE messages SET automatic_count = (
    SELECT count(*) FROM hits
    WHERE hits.controller_id = messages.controller_id AND hits.message_id = messages.id
        AND hits.settled AND hits.at <= messages.settled_until
        AND hits.class IN ('machine-prefetch', 'security-scanner', 'link-preview'))
WHERE controller_id = $1 AND id = ANY ($2) AND automatic_count > 0";
