// SPDX-License-Identifier: GPL-3.0-or-later
//! What recording asks of a message: whose it is, what went into it, until when, and who received it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::{consent_epochs, message_recipients, messages},
};
use crate::{
    consent::Purpose,
    ids::{ControllerId, MessageId, SubjectRef, UserId},
};

/// A message, as far as the recording of its hits looks at it.
#[derive(Clone, Debug)]
pub struct Recording {
    pub controller: ControllerId,
    pub sender: UserId,
    pub sent_at: DateTime<Utc>,
    /// Whether the pixel went in.
    pub opens: bool,
    /// Whether links were rewritten.
    pub links: bool,
    /// When a recipient ended the recording, for all.
    pub stopped_at: Option<DateTime<Utc>>,
    /// By envelope; none once all of them were erased.
    pub recipients: Vec<SubjectRef>,
}

impl Recording {
    /// Tells whether the message was instrumented for a purpose.
    pub fn is_instrumented_for(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Click => self.links,
            Purpose::Open => self.opens,
        }
    }
}

type Row = (
    String,
    Uuid,
    Uuid,
    DateTime<Utc>,
    bool,
    bool,
    Option<DateTime<Utc>>,
);

/// Tells the database that this connection asks for few rows of large tables, by their keys, over and over.
///
/// What it would plan while a table is small, and keep, would be slow when the table has grown. And to plan a question anew
/// each time, as it does where it is asked with lists, would cost more than to answer it.
pub async fn ask_by_keys(connection: &mut Connection) -> QueryResult<()> {
    diesel::sql_query(BY_KEYS)
        .execute(connection)
        .await
        .map(|_rows| ())
}

const BY_KEYS: &str = "
SELECT set_config(name, value, false) FROM (VALUES ('enable_seqscan', 'off'), ('enable_hashjoin', 'off'),
    ('enable_mergejoin', 'off'), ('plan_cache_mode', 'force_generic_plan')) AS settings (name, value)";

/// Returns the epoch of each controller's consent, in order: what is read from now on holds as long as it does.
pub async fn epochs(controllers: &[&str], connection: &mut Connection) -> QueryResult<Vec<i64>> {
    let found: HashMap<String, i64> = consent_epochs::table
        .filter(consent_epochs::controller_id.eq_any(controllers))
        .select((consent_epochs::controller_id, consent_epochs::epoch))
        .load::<(String, i64)>(connection)
        .await?
        .into_iter()
        .collect();
    let epochs = controllers
        .iter()
        .map(|controller| found.get(*controller).copied().unwrap_or(0));
    Ok(epochs.collect())
}

/// Returns those of the messages that exist under one of the controllers.
pub async fn find(
    controllers: &[&str],
    ids: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashMap<MessageId, Recording>> {
    let rows: Vec<(Row, Option<Uuid>)> = messages::table
        .left_join(
            message_recipients::table.on(message_recipients::controller_id
                .eq(messages::controller_id)
                .and(message_recipients::message_id.eq(messages::id))),
        )
        .filter(
            messages::controller_id
                .eq_any(controllers)
                .and(messages::id.eq_any(ids)),
        )
        .select((
            (
                messages::controller_id,
                messages::id,
                messages::user_id,
                messages::sent_at,
                messages::opens,
                messages::links,
                messages::stopped_at,
            ),
            message_recipients::subject_ref.nullable(),
        ))
        .load(connection)
        .await?;
    let mut found: HashMap<MessageId, Recording> = HashMap::with_capacity(ids.len());
    for ((controller, id, user, sent_at, opens, links, stopped_at), recipient) in rows {
        let recording = found.entry(MessageId(id)).or_insert_with(|| Recording {
            controller: ControllerId(controller),
            sender: UserId(user),
            sent_at,
            opens,
            links,
            stopped_at,
            recipients: Vec::with_capacity(1),
        });
        recording.recipients.extend(recipient.map(SubjectRef));
    }
    Ok(found)
}
