// SPDX-License-Identifier: GPL-3.0-or-later
//! The counters that the report reads: on a message, and by user and hour.
//!
//! Design note: they change by the difference, in the transaction that changes the verdicts and with the message's row
//! locked. What a message loses, because a person turned out to be a machine, is counted anew from its hits.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Array, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, prepared::Prepare};
use crate::ids::{ControllerId, MessageId};

/// What an hour gains, or loses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    pub opens: i32,
    pub clicks: i32,
    pub automatic: i32,
}

/// What a message gains once more of its hits are settled; it loses nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gain {
    pub message: MessageId,
    /// Hits up to this moment are settled from now on.
    pub until: DateTime<Utc>,
    pub opens: i32,
    pub clicks: i32,
    pub automatic: i32,
    /// Of which it is not clear who made them.
    pub unclear_opens: i32,
    pub unclear_clicks: i32,
    /// The first and the last of the opens, and of the clicks, by people.
    pub opened: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub clicked: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// Marks messages as settled until a moment each, and adds what they gain.
pub async fn add(
    controller: &ControllerId,
    gains: &[Gain],
    connection: &mut Connection,
) -> QueryResult<usize> {
    if gains.is_empty() {
        return Ok(0);
    }
    let number = |value: fn(&Gain) -> i32| -> Vec<i32> { gains.iter().map(value).collect() };
    let time = |value: fn(&Gain) -> Option<DateTime<Utc>>| -> Vec<Option<DateTime<Utc>>> {
        gains.iter().map(value).collect()
    };
    let ids: Vec<Uuid> = gains.iter().map(|gain| gain.message.0).collect();
    diesel::sql_query(ADD)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<Nullable<Timestamptz>>, _>(time(|gain| Some(gain.until)))
        .bind::<Array<Integer>, _>(number(|gain| gain.opens))
        .bind::<Array<Nullable<Timestamptz>>, _>(time(|gain| gain.opened.map(|(first, _)| first)))
        .bind::<Array<Nullable<Timestamptz>>, _>(time(|gain| gain.opened.map(|(_, last)| last)))
        .bind::<Array<Integer>, _>(number(|gain| gain.clicks))
        .bind::<Array<Nullable<Timestamptz>>, _>(time(|gain| gain.clicked.map(|(first, _)| first)))
        .bind::<Array<Nullable<Timestamptz>>, _>(time(|gain| gain.clicked.map(|(_, last)| last)))
        .bind::<Array<Integer>, _>(number(|gain| gain.automatic))
        .bind::<Array<Integer>, _>(number(|gain| gain.unclear_opens))
        .bind::<Array<Integer>, _>(number(|gain| gain.unclear_clicks))
        .prepared()
        .execute(connection)
        .await
}

/// Counts the settled hits of messages anew: for those that lost something.
pub async fn recount(
    controller: &ControllerId,
    messages: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<usize> {
    if messages.is_empty() {
        return Ok(0);
    }
    diesel::sql_query(RECOUNT)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(messages)
        .prepared()
        .execute(connection)
        .await
}

/// Adds differences to users' hours; each hour of a user named once.
pub async fn add_activity(
    controller: &ControllerId,
    hours: &[((Uuid, DateTime<Utc>), Difference)],
    connection: &mut Connection,
) -> QueryResult<usize> {
    if hours.is_empty() {
        return Ok(0);
    }
    let column = |value: fn(&Difference) -> i32| -> Vec<i32> {
        hours
            .iter()
            .map(|(_, difference)| value(difference))
            .collect()
    };
    let users: Vec<Uuid> = hours.iter().map(|((user, _), _)| *user).collect();
    let times: Vec<DateTime<Utc>> = hours.iter().map(|((_, hour), _)| *hour).collect();
    diesel::sql_query(ADD_ACTIVITY)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(users)
        .bind::<Array<Timestamptz>, _>(times)
        .bind::<Array<Integer>, _>(column(|difference| difference.opens))
        .bind::<Array<Integer>, _>(column(|difference| difference.clicks))
        .bind::<Array<Integer>, _>(column(|difference| difference.automatic))
        .prepared()
        .execute(connection)
        .await
}

const ADD: &str = "
UPDATE messages SET open_count = open_count + new.opens,
    first_open_at = least(first_open_at, new.first_open), last_open_at = greatest(last_open_at, new.last_open),
    click_count = click_count + new.clicks,
    first_click_at = least(first_click_at, new.first_click), last_click_at = greatest(last_click_at, new.last_click),
    automatic_count = automatic_count + new.automatic, unclear_opens = messages.unclear_opens + new.unclear_opens,
    unclear_clicks = messages.unclear_clicks + new.unclear_clicks, settled_until = greatest(settled_until, new.until)
FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    AS new (message_id, until, opens, first_open, last_open, clicks, first_click, last_click, automatic, unclear_opens,
        unclear_clicks)
WHERE messages.controller_id = $1 AND messages.id = new.message_id";

const RECOUNT: &str = "
UPDATE messages SET (open_count, first_open_at, last_open_at, click_count, first_click_at, last_click_at,
    automatic_count, unclear_opens, unclear_clicks) = (
    SELECT count(*) FILTER (WHERE is_person AND kind = 'open'),
        min(at) FILTER (WHERE is_person AND kind = 'open'),
        max(at) FILTER (WHERE is_person AND kind = 'open'),
        count(*) FILTER (WHERE is_person AND kind = 'click'),
        min(at) FILTER (WHERE is_person AND kind = 'click'),
        max(at) FILTER (WHERE is_person AND kind = 'click'),
        count(*) FILTER (WHERE class IN ('machine-prefetch', 'security-scanner', 'link-preview')),
        count(*) FILTER (WHERE class = 'unknown' AND kind = 'open'),
        count(*) FILTER (WHERE class = 'unknown' AND kind = 'click')
    FROM hits, LATERAL (SELECT class IN ('human', 'image-proxy-on-open')) AS verdict (is_person)
    WHERE hits.controller_id = $1 AND hits.message_id = messages.id AND settled AND at <= messages.settled_until)
WHERE controller_id = $1 AND id = ANY ($2)";

const ADD_ACTIVITY: &str = "
INSERT INTO activity AS old (controller_id, user_id, hour, opens, clicks, automatic)
SELECT $1, user_id, hour, greatest(0, opens), greatest(0, clicks), greatest(0, automatic)
FROM unnest($2, $3, $4, $5, $6) AS new (user_id, hour, opens, clicks, automatic)
-- Always in the same order, so that two collectors never wait for each other.
ORDER BY user_id, hour
ON CONFLICT (controller_id, user_id, hour) DO UPDATE SET
    opens = greatest(0, old.opens + excluded.opens),
    clicks = greatest(0, old.clicks + excluded.clicks),
    automatic = greatest(0, old.automatic + excluded.automatic)";
