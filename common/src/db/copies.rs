// SPDX-License-Identifier: GPL-3.0-or-later
//! `copies`: what a message to several was split into, so that each part is known again when it comes back.

use diesel::{QueryResult, prelude::*};
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    Connection,
    messages::{self, Registration},
    schema::{copies, message_recipients, messages as rows, subjects, users},
    users::User,
};
use crate::{
    address::Address,
    ids::{ControllerId, MessageId},
};

/// What one recipient's copy may become.
#[derive(Clone, Debug)]
pub struct Promise {
    /// The keyed hash by which the message is known again; all copies share it.
    pub fingerprint: [u8; 32],
    pub opens: bool,
    /// `both`, `html`, `no` or `text`.
    pub links: &'static str,
}

/// A copy that has come back.
pub struct Copy {
    pub message: MessageId,
    /// Who wrote it.
    pub user: User,
    pub opens: bool,
    pub links: String,
}

#[derive(Insertable)]
#[diesel(table_name = copies)]
struct Row<'a> {
    controller_id: &'a str,
    message_id: Uuid,
    fingerprint: &'a [u8],
    opens: bool,
    links: &'a str,
}

/// Writes a message down that is split: those who get it as it came together, each of the others with a promise; all
/// in one transaction, and all as left untouched until they come back.
pub async fn register(
    rest: Option<&Registration>,
    promised: &[(Registration, Promise)],
    connection: &mut Connection,
) -> QueryResult<()> {
    let rows: Vec<Row<'_>> = promised
        .iter()
        .map(|(registration, promise)| Row {
            controller_id: registration.message.controller.as_str(),
            message_id: registration.message.id.0,
            fingerprint: &promise.fingerprint,
            opens: promise.opens,
            links: promise.links,
        })
        .collect();
    let registrations: Vec<Registration> = promised
        .iter()
        .map(|(registration, _)| registration)
        .chain(rest)
        .cloned()
        .collect();
    connection
        .transaction(async |connection| {
            messages::insert(&registrations, connection).await?;
            diesel::insert_into(copies::table)
                .values(&rows)
                .execute(connection)
                .await?;
            Ok(())
        })
        .await
}

/// Returns the copy with that fingerprint that goes to that recipient, the newest if the message was sent twice.
pub async fn find(
    controllers: &[ControllerId],
    fingerprint: &[u8; 32],
    recipient: &Address,
    connection: &mut Connection,
) -> QueryResult<Option<Copy>> {
    let names: Vec<&str> = controllers.iter().map(ControllerId::as_str).collect();
    let found: Option<(Uuid, bool, String, User)> = copies::table
        .inner_join(
            rows::table.on(rows::controller_id
                .eq(copies::controller_id)
                .and(rows::id.eq(copies::message_id))),
        )
        .inner_join(
            message_recipients::table.on(message_recipients::controller_id
                .eq(copies::controller_id)
                .and(message_recipients::message_id.eq(copies::message_id))),
        )
        .inner_join(
            subjects::table.on(subjects::controller_id
                .eq(copies::controller_id)
                .and(subjects::subject_ref.eq(message_recipients::subject_ref))),
        )
        .inner_join(
            users::table.on(users::controller_id
                .eq(copies::controller_id)
                .and(users::id.eq(rows::user_id))),
        )
        .filter(
            copies::controller_id
                .eq_any(names)
                .and(copies::fingerprint.eq(fingerprint.as_slice()))
                .and(subjects::address.eq(recipient.as_str())),
        )
        .order(rows::sent_at.desc())
        .select((
            copies::message_id,
            copies::opens,
            copies::links,
            User::as_select(),
        ))
        .first(connection)
        .await
        .optional()?;
    Ok(found.map(|(message, opens, links, user)| Copy {
        message: MessageId(message),
        user,
        opens,
        links,
    }))
}
