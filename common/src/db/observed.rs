// SPDX-License-Identifier: GPL-3.0-or-later
//! What the recipient's pages read about messages: one by its token, and all of one subject for access and portability.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection, links,
    schema::{hits, message_recipients, messages, users, withdrawal_keys},
};
use crate::ids::{ControllerId, MessageId, SubjectRef};

/// A message, as far as its recipients may know.
#[derive(Clone, Debug, Queryable)]
pub struct Observed {
    pub controller_id: String,
    pub id: Uuid,
    pub user_id: Uuid,
    pub sent_at: DateTime<Utc>,
    pub subject: String,
    pub opens: bool,
    pub links: bool,
    pub stopped_at: Option<DateTime<Utc>>,
    /// Whether it went to more people than are named.
    pub to_several: bool,
    pub login: String,
    pub display_name: Option<String>,
}

/// A hit, as its recipient may see it.
#[derive(Clone, Debug)]
pub struct ObservedHit {
    pub message_id: Uuid,
    pub kind: String,
    pub ordinal: i16,
    pub at: DateTime<Utc>,
    pub class: String,
    pub features: serde_json::Value,
    pub host: Option<String>,
}

/// What is left of a message once it was purged.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = withdrawal_keys)]
pub struct Key {
    pub controller_id: String,
    pub subject_ref: Uuid,
    pub user_id: Uuid,
}

/// Returns the message with that name, of one of these controllers.
pub async fn find(
    controllers: &[&str],
    message: MessageId,
    connection: &mut Connection,
) -> QueryResult<Option<Observed>> {
    messages::table
        .inner_join(
            users::table.on(users::controller_id
                .eq(messages::controller_id)
                .and(users::id.eq(messages::user_id))),
        )
        .filter(
            messages::controller_id
                .eq_any(controllers)
                .and(messages::id.eq(message.0)),
        )
        .select((
            messages::controller_id,
            messages::id,
            messages::user_id,
            messages::sent_at,
            messages::subject,
            messages::opens,
            messages::links,
            messages::stopped_at,
            messages::to_several,
            users::login,
            users::display_name,
        ))
        .first(connection)
        .await
        .optional()
}

/// Returns the recipients of a message.
pub async fn recipients(
    controller: &ControllerId,
    message: MessageId,
    connection: &mut Connection,
) -> QueryResult<Vec<SubjectRef>> {
    let found: Vec<Uuid> = message_recipients::table
        .filter(
            message_recipients::controller_id
                .eq(controller.as_str())
                .and(message_recipients::message_id.eq(message.0)),
        )
        .select(message_recipients::subject_ref)
        .load(connection)
        .await?;
    Ok(found.into_iter().map(SubjectRef).collect())
}

/// Returns what is left of a purged message.
pub async fn key(
    controllers: &[&str],
    message: MessageId,
    connection: &mut Connection,
) -> QueryResult<Option<Key>> {
    withdrawal_keys::table
        .filter(
            withdrawal_keys::controller_id
                .eq_any(controllers)
                .and(withdrawal_keys::message_id.eq(message.0)),
        )
        .select(Key::as_select())
        .first(connection)
        .await
        .optional()
}

/// Returns every message to a subject, the oldest first.
pub async fn of_subject(
    controller: &ControllerId,
    subject: SubjectRef,
    connection: &mut Connection,
) -> QueryResult<Vec<Observed>> {
    messages::table
        .inner_join(
            users::table.on(users::controller_id
                .eq(messages::controller_id)
                .and(users::id.eq(messages::user_id))),
        )
        .filter(
            messages::controller_id.eq(controller.as_str()).and(
                messages::id.eq_any(
                    message_recipients::table
                        .filter(
                            message_recipients::controller_id
                                .eq(controller.as_str())
                                .and(message_recipients::subject_ref.eq(subject.0)),
                        )
                        .select(message_recipients::message_id),
                ),
            ),
        )
        .order((messages::sent_at, messages::id))
        .select((
            messages::controller_id,
            messages::id,
            messages::user_id,
            messages::sent_at,
            messages::subject,
            messages::opens,
            messages::links,
            messages::stopped_at,
            messages::to_several,
            users::login,
            users::display_name,
        ))
        .load(connection)
        .await
}

/// Returns those of these messages that went to more than one recipient.
pub async fn shared(
    controller: &ControllerId,
    message_ids: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashSet<Uuid>> {
    let shared: Vec<Uuid> = message_recipients::table
        .filter(
            message_recipients::controller_id
                .eq(controller.as_str())
                .and(message_recipients::message_id.eq_any(message_ids)),
        )
        .group_by(message_recipients::message_id)
        .having(diesel::dsl::count_star().gt(1))
        .select(message_recipients::message_id)
        .load(connection)
        .await?;
    Ok(shared.into_iter().collect())
}

/// Returns the hits of these messages, the oldest first, each with the host of its link.
pub async fn hits_of(
    controller: &ControllerId,
    message_ids: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<Vec<ObservedHit>> {
    // Not joined: each hit would have the record of its message read once more.
    let hosts = links::hosts(controller, message_ids, connection).await?;
    let found = hits::table
        .filter(
            hits::controller_id
                .eq(controller.as_str())
                .and(hits::message_id.eq_any(message_ids)),
        )
        .order((hits::at, hits::id))
        .select((
            hits::message_id,
            hits::kind,
            hits::ordinal,
            hits::at,
            hits::class,
            hits::features,
        ))
        .load(connection)
        .await?;
    let with_host = |(message_id, kind, ordinal, at, class, features)| ObservedHit {
        host: hosts.get(&(message_id, ordinal)).cloned(),
        message_id,
        kind,
        ordinal,
        at,
        class,
        features,
    };
    Ok(found.into_iter().map(with_host).collect())
}
