// SPDX-License-Identifier: GPL-3.0-or-later
//! Writing messages down: before anything in them is replaced.

use chrono::Utc;
use serde_json::json;

use common::{
    address::Address,
    config::Controller,
    db::{
        Connection, DbError, consent_requests, controllers,
        links::NewLink,
        messages::{self, NewMessage, Registration},
        standings,
        users::{Changes, User},
    },
    ids::MessageId,
    reason::SkipReason,
};

use crate::{
    control::{Choice, Links},
    database::{Database, Unavailable},
    instrument::Record,
    intake::Intake,
    message::Message,
    milter::Settings,
    rewriting::Made,
    subject,
};

/// What is known of a message before it is decided what becomes of it.
pub(crate) struct Draft<'a> {
    pub(crate) intake: &'a Intake,
    pub(crate) message: &'a Message,
    pub(crate) queue_id: &'a str,
    pub(crate) controller: &'a Controller,
    pub(crate) user: &'a User,
}

impl Draft<'_> {
    /// Completes the draft with what was made of the message, or why nothing was.
    pub(crate) fn registration(
        &self,
        id: MessageId,
        made: Result<&Made, SkipReason>,
        record: &Record,
    ) -> Registration {
        let links = made.map_or(&[][..], |made| &made.links);
        Registration {
            message: NewMessage {
                controller: self.controller.id.clone(),
                id,
                user: self.user.user_id(),
                queue_id: self.queue_id.to_owned(),
                message_id_header: subject::message_id(self.message),
                subject: subject::decoded(self.message, &self.intake.edits),
                sent_at: Utc::now(),
                opens: made.is_ok_and(|made| made.opens),
                links: !links.is_empty(),
                reason: made.err(),
                record: json!(record),
            },
            recipients: self.intake.recipients.iter().flatten().cloned().collect(),
            links: links
                .iter()
                .map(|link| NewLink {
                    ordinal: link.ordinal.cast_signed(),
                    host: link.host.clone(),
                    label: link.text.clone(),
                })
                .collect(),
            remembered: remembered(&self.intake.choice, self.user),
            warnings: self.intake.warnings.clone(),
        }
    }
}

/// Writes a message down in one transaction.
///
/// # Errors
///
/// Fails if the database does. Then nothing may be replaced.
pub(crate) async fn register(
    registration: &Registration,
    settings: &Settings,
    database: &Database,
) -> Result<(), Unavailable> {
    let mut loan = database.lend().await?;
    let answer = write(registration, settings, loan.connection()).await;
    loan.settle(answer)
}

/// Claims the right to invite a recipient to choose; false if they were asked before.
///
/// # Errors
///
/// Fails if the database does.
pub(crate) async fn claim_invitation(
    controller: &Controller,
    recipient: &Address,
    settings: &Settings,
    database: &Database,
) -> Result<bool, Unavailable> {
    let hash = standings::suppression_hash(&settings.keys, recipient);
    let mut loan = database.lend().await?;
    let answer =
        consent_requests::claim_invitation(&controller.id, &hash, Utc::now(), loan.connection())
            .await
            .map_err(DbError::from);
    loan.settle(answer)
}

/// Writes the controllers of the configuration down, once for each configuration, before anything refers to them.
///
/// # Errors
///
/// Fails if the database does.
pub(crate) async fn save_controllers(
    settings: &Settings,
    connection: &mut Connection,
) -> Result<(), DbError> {
    if !settings.are_controllers_saved() {
        controllers::save(&settings.config.controllers, Utc::now(), connection).await?;
        settings.set_controllers_saved();
    }
    Ok(())
}

async fn write(
    registration: &Registration,
    settings: &Settings,
    connection: &mut Connection,
) -> Result<(), DbError> {
    save_controllers(settings, connection).await?;
    Ok(messages::register(registration, connection).await?)
}

/// Returns what the author's choice makes the new default: nothing if it was for once, or changes nothing.
fn remembered(choice: &Choice, user: &User) -> Option<Changes> {
    if choice.once || !user.remember_choice {
        return None;
    }
    let links = choice.links.map(|links| links.resolve(user.text_links));
    let text_links = links
        .filter(|links| *links != Links::No)
        .map(Links::in_text);
    let changes = Changes {
        opens: choice.opens.filter(|opens| *opens != user.opens),
        links: links
            .map(|links| links != Links::No)
            .filter(|links| *links != user.links),
        text_links: text_links.filter(|text_links| *text_links != user.text_links),
        ..Changes::default()
    };
    let is_any = changes.opens.is_some() || changes.links.is_some() || changes.text_links.is_some();
    is_any.then_some(changes)
}
