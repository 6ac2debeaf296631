// SPDX-License-Identifier: GPL-3.0-or-later
//! The counters that the report reads: on a message, on its links, and by user and hour.
//!
//! Design note: those on messages and links are counted anew from the hits, so that counting twice does no harm. The
//! hours are many messages' sum; they change by the difference, in the transaction that changes the verdicts.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Array, Integer, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use super::Connection;
use crate::ids::{ControllerId, MessageId, UserId};

/// What an hour gains, or loses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    pub opens: i32,
    pub clicks: i32,
    pub automatic: i32,
}

/// Counts the settled hits of a message and of its links.
pub async fn recount(
    controller: &ControllerId,
    message: MessageId,
    connection: &mut Connection,
) -> QueryResult<()> {
    for statement in [RECOUNT_MESSAGE, RECOUNT_LINKS] {
        diesel::sql_query(statement)
            .bind::<Text, _>(controller.as_str())
            .bind::<SqlUuid, _>(message.0)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Adds differences to a user's hours; each hour named once.
pub async fn add_activity(
    controller: &ControllerId,
    user: UserId,
    hours: &[(DateTime<Utc>, Difference)],
    connection: &mut Connection,
) -> QueryResult<usize> {
    let column = |value: fn(&Difference) -> i32| -> Vec<i32> {
        hours
            .iter()
            .map(|(_, difference)| value(difference))
            .collect()
    };
    let times: Vec<DateTime<Utc>> = hours.iter().map(|(hour, _)| *hour).collect();
    diesel::sql_query(ADD_ACTIVITY)
        .bind::<Text, _>(controller.as_str())
        .bind::<SqlUuid, _>(user.0)
        .bind::<Array<Timestamptz>, _>(times)
        .bind::<Array<Integer>, _>(column(|difference| difference.opens))
        .bind::<Array<Integer>, _>(column(|difference| difference.clicks))
        .bind::<Array<Integer>, _>(column(|difference| difference.automatic))
        .execute(connection)
        .await
}

const RECOUNT_MESSAGE: &str = "
UPDATE messages SET (open_count, first_open_at, last_open_at, click_count, first_click_at, last_click_at,
    automatic_count) = (
    SELECT count(*) FILTER (WHERE is_person AND kind = 'open'),
        min(at) FILTER (WHERE is_person AND kind = 'open'),
        max(at) FILTER (WHERE is_person AND kind = 'open'),
        count(*) FILTER (WHERE is_person AND kind = 'click'),
        min(at) FILTER (WHERE is_person AND kind = 'click'),
        max(at) FILTER (WHERE is_person AND kind = 'click'),
        count(*) FILTER (WHERE class IN ('machine-prefetch', 'security-scanner', 'link-preview'))
    FROM hits, LATERAL (SELECT class IN ('human', 'image-proxy-on-open')) AS verdict (is_person)
    WHERE hits.controller_id = $1 AND hits.message_id = $2 AND settled)
WHERE controller_id = $1 AND id = $2";

const RECOUNT_LINKS: &str = "
UPDATE links SET click_count = clicks.count
FROM (
    SELECT links.ordinal, count(hits.id) AS count
    FROM links LEFT JOIN hits ON hits.controller_id = links.controller_id AND hits.message_id = links.message_id
        AND hits.ordinal = links.ordinal AND hits.kind = 'click' AND hits.settled
        AND hits.class IN ('human', 'image-proxy-on-open')
    WHERE links.controller_id = $1 AND links.message_id = $2
    GROUP BY links.ordinal) AS clicks
WHERE links.controller_id = $1 AND links.message_id = $2 AND links.ordinal = clicks.ordinal
    AND links.click_count <> clicks.count";

const ADD_ACTIVITY: &str = "
INSERT INTO activity AS old (controller_id, user_id, hour, opens, clicks, automatic)
SELECT $1, $2, hour, greatest(0, opens), greatest(0, clicks), greatest(0, automatic)
FROM unnest($3, $4, $5, $6) AS new (hour, opens, clicks, automatic)
ON CONFLICT (controller_id, user_id, hour) DO UPDATE SET
    opens = greatest(0, old.opens + excluded.opens),
    clicks = greatest(0, old.clicks + excluded.clicks),
    automatic = greatest(0, old.automatic + excluded.automatic)";
