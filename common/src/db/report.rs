// SPDX-License-Identifier: GPL-3.0-or-later
//! What a user's report is made of: own messages with recipients, links, hits and hours.
//!
//! Every query names the user, so that nobody gets to see another's, and leaves messages out that a recipient has frozen.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    dsl::exists,
    pg::Pg,
    prelude::*,
    sql_types::{BigInt, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Connection, consent_events, consent_retention,
    schema::{activity, hits, message_recipients, messages, subjects},
    withdrawals,
};
use crate::{
    consent::Purpose,
    ids::{ControllerId, MessageId, UserId},
};

/// A message as its sender sees it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Message {
    pub id: Uuid,
    pub message_id_header: Option<String>,
    pub subject: String,
    pub sent_at: DateTime<Utc>,
    pub opens: bool,
    pub links: bool,
    pub reason: Option<String>,
    pub muted: bool,
    pub open_count: i32,
    pub first_open_at: Option<DateTime<Utc>>,
    pub last_open_at: Option<DateTime<Utc>>,
    pub click_count: i32,
    pub first_click_at: Option<DateTime<Utc>>,
    pub last_click_at: Option<DateTime<Utc>>,
    pub automatic_count: i32,
    pub unclear_opens: i32,
    pub unclear_clicks: i32,
}

/// Which messages are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filter {
    Clicked,
    Opened,
    /// Instrumented, and nothing was seen.
    Quiet,
    /// Instrumented.
    Tracked,
    /// Left as they came.
    Untracked,
}

/// Which messages are wanted, and from where on.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub filter: Option<Filter>,
    /// Words that subject or a recipient's address must contain.
    pub search: Option<String>,
    /// Only messages older than this one.
    pub before: Option<(DateTime<Utc>, Uuid)>,
}

/// A hit as the message's sender sees it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = hits)]
pub struct Hit {
    pub id: Uuid,
    pub kind: String,
    pub ordinal: i16,
    pub at: DateTime<Utc>,
    pub class: String,
    pub confidence: i16,
    pub reasons: Vec<String>,
    pub settled: bool,
    pub features: Value,
    pub duplicate_of: Option<Uuid>,
}

/// What was seen within one hour.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = activity)]
pub struct Hour {
    pub hour: DateTime<Utc>,
    pub opens: i32,
    pub clicks: i32,
    pub automatic: i32,
}

/// How many messages of a time had what.
#[derive(Clone, Copy, Debug, Default, QueryableByName)]
pub struct Totals {
    /// Sent while tracking was switched on.
    #[diesel(sql_type = BigInt)]
    pub sent: i64,
    /// Instrumented.
    #[diesel(sql_type = BigInt)]
    pub tracked: i64,
    /// Of these, opened or clicked by likely people.
    #[diesel(sql_type = BigInt)]
    pub people: i64,
    /// Of these, touched by machines only, or by nobody knows whom: somebody may have read them.
    #[diesel(sql_type = BigInt)]
    pub doubtful: i64,
}

/// Returns messages, the newest first.
pub async fn messages(
    controller: &ControllerId,
    user: UserId,
    wanted: &Wanted,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Message>> {
    selection(controller, user, wanted)
        .order((messages::sent_at.desc(), messages::id.desc()))
        .limit(limit)
        .select(Message::as_select())
        .load(connection)
        .await
}

/// Returns one message and its decision record, unless it is somebody else's.
pub async fn message(
    controller: &ControllerId,
    user: UserId,
    id: MessageId,
    connection: &mut Connection,
) -> QueryResult<Option<(Message, Option<Value>)>> {
    messages::table
        .find((controller.as_str(), id.0))
        .filter(messages::user_id.eq(user.0))
        .filter(messages::frozen.eq(false))
        .select((Message::as_select(), messages::record))
        .first(connection)
        .await
        .optional()
}

/// Returns who the messages went to, in order. Those whose data are frozen are left out.
pub async fn recipients(
    controller: &ControllerId,
    ids: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashMap<Uuid, Vec<String>>> {
    let rows: Vec<(Uuid, String)> = message_recipients::table
        .inner_join(
            subjects::table.on(subjects::controller_id
                .eq(message_recipients::controller_id)
                .and(subjects::subject_ref.eq(message_recipients::subject_ref))),
        )
        .filter(
            message_recipients::controller_id
                .eq(controller.as_str())
                .and(message_recipients::message_id.eq_any(ids))
                .and(subjects::restricted.eq(false)),
        )
        .order(subjects::address)
        .select((message_recipients::message_id, subjects::address))
        .load(connection)
        .await?;
    let mut found: HashMap<Uuid, Vec<String>> = HashMap::with_capacity(ids.len());
    for (message, address) in rows {
        found.entry(message).or_default().push(address);
    }
    Ok(found)
}

/// Returns the hits of a message, the newest first.
pub async fn hits(
    controller: &ControllerId,
    id: MessageId,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Hit>> {
    // Asked first: what is settled meanwhile is shown as provisional once more, never the other way round.
    let until: Option<DateTime<Utc>> = messages::table
        .find((controller.as_str(), id.0))
        .select(messages::settled_until)
        .first(connection)
        .await
        .optional()?
        .flatten();
    let mut found: Vec<Hit> = hits::table
        .filter(
            hits::controller_id
                .eq(controller.as_str())
                .and(hits::message_id.eq(id.0)),
        )
        .order((hits::at.desc(), hits::id.desc()))
        .limit(limit)
        .select(Hit::as_select())
        .load(connection)
        .await?;
    for hit in &mut found {
        hit.settled &= until.is_some_and(|until| hit.at <= until);
    }
    Ok(found)
}

/// Returns the hours since then in which something was seen.
pub async fn hours(
    controller: &ControllerId,
    user: UserId,
    since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Vec<Hour>> {
    activity::table
        .filter(
            activity::controller_id
                .eq(controller.as_str())
                .and(activity::user_id.eq(user.0))
                .and(activity::hour.ge(since)),
        )
        .order(activity::hour)
        .select(Hour::as_select())
        .load(connection)
        .await
}

/// Counts the messages sent since then.
pub async fn totals(
    controller: &ControllerId,
    user: UserId,
    since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Totals> {
    diesel::sql_query(
        "SELECT count(*) AS sent, \
         count(*) FILTER (WHERE reason IS NULL AND (opens OR links)) AS tracked, \
         count(*) FILTER (WHERE open_count + click_count > 0) AS people, \
         count(*) FILTER (WHERE open_count + click_count = 0 \
            AND automatic_count + unclear_opens + unclear_clicks > 0) AS doubtful \
         FROM messages WHERE controller_id = $1 AND user_id = $2 AND sent_at >= $3 AND NOT frozen",
    )
    .bind::<diesel::sql_types::Text, _>(controller.as_str())
    .bind::<SqlUuid, _>(user.0)
    .bind::<Timestamptz, _>(since)
    .get_result(connection)
    .await
}

/// Switches notifications about a message on or off; false if it is somebody else's, gone, or frozen.
pub async fn mute(
    controller: &ControllerId,
    user: UserId,
    id: MessageId,
    muted: bool,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let changed = diesel::update(messages::table.find((controller.as_str(), id.0)))
        .filter(messages::user_id.eq(user.0))
        .filter(messages::frozen.eq(false))
        .set(messages::muted.eq(muted))
        .execute(connection)
        .await?;
    Ok(changed > 0)
}

/// Deletes a message and everything recorded about it; false if it is somebody else's, gone, or frozen.
///
/// What a recipient wants kept is not the sender's to delete, and the link in the message still withdraws a permission
/// that holds.
pub async fn delete(
    controller: &ControllerId,
    user: UserId,
    id: MessageId,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    connection
        .transaction(async |connection| {
            // In the order in which a withdrawal takes them: the log, then the message.
            consent_events::lock(controller, connection).await?;
            let found: Option<Uuid> = messages::table
                .find((controller.as_str(), id.0))
                .filter(messages::user_id.eq(user.0))
                .filter(messages::frozen.eq(false))
                .select(messages::id)
                .for_update()
                .first(connection)
                .await
                .optional()?;
            let Some(found) = found else {
                return Ok(false);
            };
            // Said before the deletion, which would else wait for every other controller's log.
            consent_events::begin_epoch(controller, connection).await?;
            // First, so that no picture shows what no withdrawal could take out of it any more.
            withdrawals::forget(controller, &[found], &Purpose::ALL, connection).await?;
            consent_retention::keep_withdrawal_key(controller, user, id, now, connection).await?;
            let deleted = diesel::delete(messages::table.find((controller.as_str(), found)))
                .execute(connection)
                .await?;
            Ok(deleted > 0)
        })
        .await
}

type Selection<'a> = messages::BoxedQuery<'a, Pg>;

fn selection<'a>(controller: &'a ControllerId, user: UserId, wanted: &Wanted) -> Selection<'a> {
    let mut query = messages::table
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::user_id.eq(user.0))
                .and(messages::frozen.eq(false)),
        )
        .into_boxed();
    let is_instrumented = messages::opens.or(messages::links);
    query = match wanted.filter {
        None => query,
        Some(Filter::Clicked) => query.filter(messages::click_count.gt(0)),
        Some(Filter::Opened) => query.filter(messages::open_count.gt(0)),
        Some(Filter::Quiet) => query
            .filter(messages::reason.is_null())
            .filter(is_instrumented)
            .filter(messages::open_count.eq(0))
            .filter(messages::click_count.eq(0))
            .filter(messages::automatic_count.eq(0))
            .filter(messages::unclear_opens.eq(0))
            .filter(messages::unclear_clicks.eq(0)),
        Some(Filter::Tracked) => query
            .filter(messages::reason.is_null())
            .filter(is_instrumented),
        Some(Filter::Untracked) => query.filter(
            messages::reason
                .is_not_null()
                .or(diesel::dsl::not(is_instrumented)),
        ),
    };
    for word in words(wanted.search.as_deref()) {
        let pattern = pattern(word);
        let sent_to = message_recipients::table
            .inner_join(
                subjects::table.on(subjects::controller_id
                    .eq(message_recipients::controller_id)
                    .and(subjects::subject_ref.eq(message_recipients::subject_ref))),
            )
            .filter(
                message_recipients::controller_id
                    .eq(messages::controller_id)
                    .and(message_recipients::message_id.eq(messages::id))
                    .and(subjects::restricted.eq(false))
                    .and(subjects::address.ilike(pattern.clone())),
            );
        query = query.filter(messages::subject.ilike(pattern).or(exists(sent_to)));
    }
    if let Some((at, id)) = wanted.before {
        // The first condition is for the index.
        query = query
            .filter(messages::sent_at.le(at))
            .filter(messages::sent_at.lt(at).or(messages::id.lt(id)));
    }
    query
}

/// More words than these would only cost time.
fn words(search: Option<&str>) -> impl Iterator<Item = &str> {
    search.unwrap_or_default().split_whitespace().take(5)
}

/// Takes the pattern characters of LIKE for themselves.
pub(super) fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.chars().take(200) {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        // PostgreSQL has no character 0.
        if c != '\0' {
            pattern.push(c);
        }
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_characters_stand_for_themselves() {
        assert_eq!(pattern("50%_a\\"), "%50\\%\\_a\\\\%");
    }
}
