// SPDX-License-Identifier: GPL-3.0-or-later
//! What recording asks of a message: whose it is, what went into it, until when, and who received it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection,
    schema::{message_recipients, messages},
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
    Option<Uuid>,
);

/// Returns those of the messages that exist under one of the controllers.
pub async fn find(
    controllers: &[&str],
    ids: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashMap<MessageId, Recording>> {
    let rows: Vec<Row> = messages::table
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
            messages::controller_id,
            messages::id,
            messages::user_id,
            messages::sent_at,
            messages::opens,
            messages::links,
            messages::stopped_at,
            message_recipients::subject_ref.nullable(),
        ))
        .load(connection)
        .await?;
    let mut found: HashMap<MessageId, Recording> = HashMap::with_capacity(ids.len());
    for (controller, id, user, sent_at, opens, links, stopped_at, recipient) in rows {
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
