// SPDX-License-Identifier: GPL-3.0-or-later
//! `recipient_links`: links mailed to recipients, good for one use; at rest only a keyed hash of each.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Connection, schema::recipient_links};
use crate::ids::{ControllerId, SubjectRef};

/// More than anybody needs, and few enough: whoever changes their mind by a program fills a log that is kept for ever.
const MOST_ACTS: i32 = 50;

/// A mailed link.
#[derive(Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = recipient_links)]
pub struct Link {
    pub controller_id: String,
    pub token_hash: Vec<u8>,
    pub subject_ref: Uuid,
    /// The sender whose mail led to the link.
    pub scope_user: Option<Uuid>,
    /// The request that carried it; `None` for one that the person asked for.
    pub request_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

/// Writes a link down.
pub async fn create(link: &Link, connection: &mut Connection) -> QueryResult<()> {
    diesel::insert_into(recipient_links::table)
        .values(link)
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns the link with that hash, of one of these controllers, used or not.
pub async fn find(
    controllers: &[&str],
    hash: &[u8],
    connection: &mut Connection,
) -> QueryResult<Option<Link>> {
    recipient_links::table
        .filter(
            recipient_links::controller_id
                .eq_any(controllers)
                .and(recipient_links::token_hash.eq(hash)),
        )
        .select(Link::as_select())
        .first(connection)
        .await
        .optional()
}

/// Waits until nobody else counts or writes links of this controller, until the transaction ends: so limits are exact.
pub async fn lock(controller: &ControllerId, connection: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('links|' || $1, 0))")
        .bind::<diesel::sql_types::Text, _>(controller.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Uses a link up; false if it had been used or has expired. Of two who try at once, one succeeds.
pub async fn consume(
    link: &Link,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let used = diesel::update(recipient_links::table)
        .filter(
            recipient_links::controller_id
                .eq(&link.controller_id)
                .and(recipient_links::token_hash.eq(&link.token_hash))
                .and(recipient_links::used_at.is_null())
                .and(recipient_links::expires_at.gt(now)),
        )
        .set(recipient_links::used_at.eq(now))
        .execute(connection)
        .await?;
    Ok(used == 1)
}

/// Counts one more use of the page that followed a link; false if it was used too often.
pub async fn use_again(link: &Link, connection: &mut Connection) -> QueryResult<bool> {
    let row = recipient_links::table.find((&link.controller_id, &link.token_hash));
    let counted = diesel::update(row.filter(recipient_links::acts.lt(MOST_ACTS)))
        .set(recipient_links::acts.eq(recipient_links::acts + 1))
        .execute(connection)
        .await?;
    Ok(counted == 1)
}

/// Counts the links that people asked for since then: those of one subject, and those of all.
pub async fn asked_for_since(
    controller: &ControllerId,
    subject: Option<SubjectRef>,
    since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<i64> {
    let mut asked = recipient_links::table
        .filter(
            recipient_links::controller_id
                .eq(controller.as_str())
                .and(recipient_links::created_at.ge(since))
                .and(recipient_links::request_id.is_null()),
        )
        .count()
        .into_boxed();
    if let Some(subject) = subject {
        asked = asked.filter(recipient_links::subject_ref.eq(subject.0));
    }
    asked.get_result(connection).await
}
