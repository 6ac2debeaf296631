// SPDX-License-Identifier: GPL-3.0-or-later
//! Writing messages down: before anything in them is replaced.

use chrono::Utc;

use common::{
    address::Address,
    config::Controller,
    db::{
        Connection, DbError, consent_requests, controllers,
        copies::{self, Promise},
        json::Json,
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
    policy::{Lot, Purposes},
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
                links: made.is_ok_and(|made| made.links > 0),
                reason: made.err(),
                record: Json::of(record),
            },
            recipients: self.intake.recipients.iter().flatten().cloned().collect(),
            remembered: remembered(&self.intake.choice, self.user),
            warnings: self.intake.warnings.clone(),
        }
    }

    /// Returns what is written down where the message leaves untouched, whatever was made of it before.
    pub(crate) fn fallback(
        &self,
        id: MessageId,
        reason: SkipReason,
        record: &Record,
    ) -> Registration {
        let mut record = record.clone();
        record.take_back();
        self.registration(id, Err(reason), &record)
    }

    /// Divides the draft: those who get the message as it came, together, and each of the others alone.
    pub(crate) fn split(&self, lots: &[Lot], fingerprint: [u8; 32]) -> Split {
        let reason = lots.iter().find_map(|lot| lot.err());
        let registration = |reason, recipients: Vec<Address>| Registration {
            recipients,
            ..self.registration(MessageId::random(), Err(reason), &Record::default())
        };
        let drawn = || self.intake.recipients.iter().zip(lots);
        let left: Vec<Address> = drawn()
            .filter(|(_, lot)| lot.is_err())
            .filter_map(|(recipient, _)| recipient.clone())
            .collect();
        let rest = reason
            .filter(|_| !left.is_empty())
            .map(|reason| registration(reason, left));
        let mut promised: Vec<(Registration, Promise)> = drawn()
            .filter_map(|(recipient, lot)| {
                let (recipient, purposes) = (recipient.clone()?, lot.ok()?);
                // What is known of it until it comes back.
                let written = registration(SkipReason::SeveralRecipients, vec![recipient]);
                Some((written, promise(purposes, fingerprint)))
            })
            .collect();
        // What the author said is said once.
        let mut has_spoken = rest.is_some();
        for (registration, _) in &mut promised {
            if has_spoken {
                registration.remembered = None;
                registration.warnings.clear();
            }
            has_spoken = true;
        }
        Split { rest, promised }
    }
}

/// A message as it is split.
pub(crate) struct Split {
    rest: Option<Registration>,
    promised: Vec<(Registration, Promise)>,
}

fn promise(purposes: Purposes, fingerprint: [u8; 32]) -> Promise {
    Promise {
        fingerprint,
        opens: purposes.opens,
        links: purposes.links.word(),
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

/// Writes a message down that invites its recipient to choose; false, and nothing is written, if they were asked before.
///
/// # Errors
///
/// Fails if the database does. Then nothing may be put in.
pub(crate) async fn register_invitation(
    registration: &Registration,
    recipient: &Address,
    settings: &Settings,
    database: &Database,
) -> Result<bool, Unavailable> {
    let hash = standings::suppression_hash(&settings.keys, recipient);
    let mut loan = database.lend().await?;
    let answer = write_invitation(registration, &hash, settings, loan.connection()).await;
    loan.settle(answer)
}

async fn write_invitation(
    registration: &Registration,
    hash: &[u8],
    settings: &Settings,
    connection: &mut Connection,
) -> Result<bool, DbError> {
    save_controllers(settings, connection).await?;
    Ok(consent_requests::invite(registration, hash, Utc::now(), connection).await?)
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

/// Writes down, in one transaction, a message that is split.
///
/// # Errors
///
/// Fails if the database does. Then it must not be split.
pub(crate) async fn register_split(
    split: &Split,
    settings: &Settings,
    database: &Database,
) -> Result<(), Unavailable> {
    let mut loan = database.lend().await?;
    let answer = write_split(split, settings, loan.connection()).await;
    loan.settle(answer)
}

async fn write_split(
    split: &Split,
    settings: &Settings,
    connection: &mut Connection,
) -> Result<(), DbError> {
    save_controllers(settings, connection).await?;
    Ok(copies::register(split.rest.as_ref(), &split.promised, connection).await?)
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
