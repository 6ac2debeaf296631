// SPDX-License-Identifier: GPL-3.0-or-later
//! `messages` and `message_recipients`, the inserting side: what the milter writes down before it answers the MTA.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{Array, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    Connection,
    json::Json,
    registration::{self, Written},
    schema::{message_recipients, messages},
    subjects, users, warnings,
};
use crate::{
    address::Address,
    ids::{ControllerId, MessageId, UserId},
    reason::SkipReason,
};

/// A message, as it is written down.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub controller: ControllerId,
    pub id: MessageId,
    pub user: UserId,
    pub queue_id: String,
    pub message_id_header: Option<String>,
    pub subject: String,
    pub sent_at: DateTime<Utc>,
    /// Whether the pixel goes in.
    pub opens: bool,
    /// Whether links are rewritten.
    pub links: bool,
    /// Why the message is left untouched; `None` for an instrumented one.
    pub reason: Option<SkipReason>,
    /// The decision record, which names the tracked links.
    pub record: Json,
}

/// Everything that one message leaves in the database.
#[derive(Clone, Debug)]
pub struct Registration {
    pub message: NewMessage,
    /// By envelope, without control addresses; each once.
    pub recipients: Vec<Address>,
    /// What the author's choice makes the new default.
    pub remembered: Option<users::Changes>,
    /// What the user is told: codes and what they are about; never an address.
    pub warnings: Vec<String>,
}

#[derive(Insertable)]
#[diesel(table_name = messages)]
struct Row<'a> {
    controller_id: &'a str,
    id: Uuid,
    user_id: Uuid,
    queue_id: &'a str,
    message_id_header: Option<&'a str>,
    subject: &'a str,
    sent_at: DateTime<Utc>,
    opens: bool,
    links: bool,
    reason: Option<&'a str>,
    record: &'a Json,
}

#[derive(Insertable)]
#[diesel(table_name = message_recipients)]
struct RecipientRow<'a> {
    controller_id: &'a str,
    message_id: Uuid,
    subject_ref: Uuid,
}

/// Writes a message down, with its recipients, in one transaction.
///
/// A tracked link whose message is missing would be answered and never recorded; a message without its recipients would
/// be recorded against nobody's consent.
pub async fn register(registration: &Registration, connection: &mut Connection) -> QueryResult<()> {
    if registration::write(registration, connection).await? == Written::Whole {
        return Ok(());
    }
    connection
        .transaction(async |connection| {
            insert(std::slice::from_ref(registration), connection).await
        })
        .await
}

/// Writes a message down as left untouched that may have been, or may still be about to be, written down as
/// instrumented.
///
/// For when the database was slower than the deadline, and the message left as it came. Where the first attempt is
/// still waiting somewhere, this one waits for it; where it comes later, it finds the row and fails.
pub async fn correct(registration: &Registration, connection: &mut Connection) -> QueryResult<()> {
    connection
        .transaction(async |connection| {
            let message = &registration.message;
            let written = diesel::insert_into(messages::table)
                .values(Row::from(message))
                .on_conflict_do_nothing()
                .execute(connection)
                .await?;
            if written == 1 {
                return insert_what_belongs_to(std::slice::from_ref(registration), connection)
                    .await;
            }
            let reason = message.reason.unwrap_or(SkipReason::Database);
            leave_untouched(&message.controller, message.id, reason, connection).await?;
            diesel::update(messages::table.find((message.controller.as_str(), message.id.0)))
                .set(messages::record.eq(&message.record))
                .execute(connection)
                .await?;
            Ok(())
        })
        .await
}

/// Turns a message that was written down as left untouched into an instrumented one; false if it is not written down
/// any more.
pub async fn make_instrumented(
    controller: &ControllerId,
    id: MessageId,
    opens: bool,
    links: bool,
    record: &Json,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let changed = diesel::update(messages::table.find((controller.as_str(), id.0)))
        .set((
            messages::opens.eq(opens),
            messages::links.eq(links),
            messages::reason.eq(None::<&str>),
            messages::record.eq(record),
        ))
        .execute(connection)
        .await?;
    Ok(changed > 0)
}

/// Sets why a message was left untouched, whatever stood there; false if it is not written down.
pub async fn leave_untouched(
    controller: &ControllerId,
    id: MessageId,
    reason: SkipReason,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let changed = diesel::update(messages::table.find((controller.as_str(), id.0)))
        .set((
            messages::opens.eq(false),
            messages::links.eq(false),
            messages::reason.eq(reason.code()),
        ))
        .execute(connection)
        .await?;
    Ok(changed > 0)
}

/// Hides those of the messages that have a recipient whose data are frozen, and shows the others again.
pub async fn freeze(
    controller: &ControllerId,
    ids: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<()> {
    diesel::sql_query("SELECT freeze_messages($1, $2)")
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// Inserts messages of one controller with everything that belongs to them; within a transaction.
pub(super) async fn insert(
    registrations: &[Registration],
    connection: &mut Connection,
) -> QueryResult<()> {
    let rows: Vec<Row<'_>> = registrations
        .iter()
        .map(|registration| Row::from(&registration.message))
        .collect();
    diesel::insert_into(messages::table)
        .values(&rows)
        .execute(connection)
        .await?;
    insert_what_belongs_to(registrations, connection).await
}

async fn insert_what_belongs_to(
    registrations: &[Registration],
    connection: &mut Connection,
) -> QueryResult<()> {
    insert_recipients(registrations, connection).await?;
    for registration in registrations {
        let message = &registration.message;
        if let Some(changes) = &registration.remembered {
            users::change(&message.controller, message.user, changes, connection).await?;
        }
        warnings::insert(message, &registration.warnings, connection).await?;
    }
    Ok(())
}

async fn insert_recipients(
    registrations: &[Registration],
    connection: &mut Connection,
) -> QueryResult<()> {
    let Some(controller) = registrations.first().map(|first| &first.message.controller) else {
        return Ok(());
    };
    let recipients = || {
        registrations.iter().flat_map(|registration| {
            let id = registration.message.id;
            registration
                .recipients
                .iter()
                .map(move |address| (id, address))
        })
    };
    let addresses: Vec<Address> = recipients().map(|(_, address)| address.clone()).collect();
    let subjects = subjects::find_or_create(controller, &addresses, connection).await?;
    let rows: Vec<RecipientRow<'_>> = recipients()
        .zip(&subjects)
        .map(|((message, _), subject)| RecipientRow {
            controller_id: controller.as_str(),
            message_id: message.0,
            subject_ref: subject.0,
        })
        .collect();
    diesel::insert_into(message_recipients::table)
        .values(&rows)
        .execute(connection)
        .await?;
    Ok(())
}

impl<'a> From<&'a NewMessage> for Row<'a> {
    fn from(message: &'a NewMessage) -> Self {
        Self {
            controller_id: message.controller.as_str(),
            id: message.id.0,
            user_id: message.user.0,
            queue_id: &message.queue_id,
            message_id_header: message.message_id_header.as_deref(),
            subject: &message.subject,
            sent_at: message.sent_at,
            opens: message.opens,
            links: message.links,
            reason: message.reason.map(SkipReason::code),
            record: &message.record,
        }
    }
}

/// Returns messages with settled hits, in the order of their ids, from the one after `after` on.
pub async fn settled(
    controller: &ControllerId,
    after: Uuid,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    messages::table
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::id.gt(after))
                .and(messages::settled_until.is_not_null()),
        )
        .order(messages::id)
        .limit(limit)
        .select(messages::id)
        .load(connection)
        .await
}
