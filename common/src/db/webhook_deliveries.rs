// SPDX-License-Identifier: GPL-3.0-or-later
//! `webhook_deliveries`: what webhooks were, or are to be, told. A trigger queues every notification.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, QueryableByName,
    dsl::sql,
    prelude::*,
    sql_query,
    sql_types::{Array, BigInt, Bool, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, prepared::Prepare, schema::webhook_deliveries, webhooks::Webhook};
use crate::ids::{ControllerId, UserId};

/// That the message of a delivery is not frozen.
const IS_SHOWN: &str = "EXISTS (SELECT FROM notifications n \
    JOIN messages m ON m.controller_id = n.controller_id AND m.id = n.message_id \
    WHERE n.controller_id = webhook_deliveries.controller_id AND n.user_id = webhook_deliveries.user_id \
        AND n.id = webhook_deliveries.notification_id AND NOT m.frozen)";

/// A delivery, as its user sees it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries)]
pub struct Delivery {
    pub id: Uuid,
    pub notification_id: i64,
    pub created_at: DateTime<Utc>,
    pub attempts: i16,
    pub next_at: Option<DateTime<Utc>>,
    pub tried_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub outcome: Option<String>,
}

/// A delivery that is ours to make.
#[derive(Clone, Debug, QueryableByName)]
pub struct Claimed {
    #[diesel(sql_type = Text)]
    pub controller_id: String,
    #[diesel(sql_type = SqlUuid)]
    pub user_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub webhook_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = BigInt)]
    pub notification_id: i64,
    /// This attempt included.
    #[diesel(sql_type = SmallInt)]
    pub attempts: i16,
}

/// Claims some deliveries that are due, of each webhook a few, and none of the webhooks that are `busy`.
///
/// Whoever claims has until `until`: then another may try.
pub async fn claim(
    busy: &[Uuid],
    of_each: i64,
    limit: i64,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Vec<Claimed>> {
    // Only the oldest are looked at, so that what a claim costs does not grow with what one receiver leaves undone; once
    // that one is busy, the next claim sees the others.
    sql_query(
        "UPDATE webhook_deliveries d SET attempts = d.attempts + 1, tried_at = $1, next_at = $2 \
         FROM (SELECT w.controller_id, w.user_id, w.webhook_id, w.id FROM webhook_deliveries w \
               JOIN (SELECT controller_id, user_id, webhook_id, id, \
                        row_number() OVER (PARTITION BY webhook_id ORDER BY next_at, id) AS place \
                     FROM (SELECT controller_id, user_id, webhook_id, id, next_at FROM webhook_deliveries \
                           WHERE next_at <= $1 AND webhook_id <> ALL ($4) ORDER BY next_at LIMIT 1000) oldest) few \
                   USING (controller_id, user_id, webhook_id, id) \
               WHERE few.place <= $5 AND w.next_at <= $1 ORDER BY w.next_at LIMIT $3 FOR UPDATE OF w SKIP LOCKED) due \
         WHERE (d.controller_id, d.user_id, d.webhook_id, d.id) \
             = (due.controller_id, due.user_id, due.webhook_id, due.id) \
         RETURNING d.controller_id, d.user_id, d.webhook_id, d.id, d.notification_id, d.attempts",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(until)
    .bind::<BigInt, _>(limit)
    .bind::<Array<SqlUuid>, _>(busy)
    .bind::<BigInt, _>(of_each)
    .prepared()
    .load(connection)
    .await
}

/// Writes down what came of an attempt: delivered, to be tried again at `next`, or given up.
pub async fn finish(
    claimed: &Claimed,
    outcome: &str,
    delivered_at: Option<DateTime<Utc>>,
    next_at: Option<DateTime<Utc>>,
    connection: &mut Connection,
) -> QueryResult<usize> {
    let key = (
        &claimed.controller_id,
        claimed.user_id,
        claimed.webhook_id,
        claimed.id,
    );
    diesel::update(webhook_deliveries::table.find(key))
        .set((
            webhook_deliveries::outcome.eq(outcome),
            webhook_deliveries::delivered_at.eq(delivered_at),
            webhook_deliveries::next_at.eq(next_at),
        ))
        .execute(connection)
        .await
}

/// Returns the newest deliveries of a webhook, but for what is about frozen messages.
pub async fn of_webhook(
    webhook: &Webhook,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Delivery>> {
    webhook_deliveries::table
        .filter(
            webhook_deliveries::controller_id
                .eq(&webhook.controller_id)
                .and(webhook_deliveries::user_id.eq(webhook.user_id))
                .and(webhook_deliveries::webhook_id.eq(webhook.id)),
        )
        .filter(sql::<Bool>(IS_SHOWN))
        .order((
            webhook_deliveries::created_at.desc(),
            webhook_deliveries::id.desc(),
        ))
        .limit(limit)
        .select(Delivery::as_select())
        .load(connection)
        .await
}

/// Lets a delivery be made again, now; false if the user has none with that id, or its message is frozen.
pub async fn again(
    controller: &ControllerId,
    user: UserId,
    webhook: Uuid,
    id: Uuid,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let key = (controller.as_str(), user.0, webhook, id);
    let changed = diesel::update(webhook_deliveries::table.find(key))
        .filter(sql::<Bool>(IS_SHOWN))
        .set((
            webhook_deliveries::attempts.eq(0),
            webhook_deliveries::next_at.eq(now),
        ))
        .execute(connection)
        .await?;
    Ok(changed > 0)
}
