// SPDX-License-Identifier: GPL-3.0-or-later
//! What becomes of one message: the story from its end to the verdict.
//!
//! Read what it says, ask the database, decide, instrument, check that the reply fits, write it down, and only then hand
//! the edits over. Whatever fails on the way is a reason, and the message leaves as it came, without the control fields.
//! All of it happens before the deadline; handing over takes no time.

use std::{panic::AssertUnwindSafe, sync::Arc};

use chrono::Utc;
use futures_util::FutureExt;
use serde_json::json;

use common::{
    config::Controller,
    db::{
        links::NewLink,
        messages::{NewMessage, Registration},
        users::{Changes, User},
    },
    ids::{ControllerId, MessageId},
    language::Language,
    reason::SkipReason,
};

use crate::{
    actions::{Edits, LeadingBlank},
    budget::Charge,
    consents::{Facts, Inquiry, Newcomers},
    control::{Choice, Links},
    cork::Outlet,
    database::Unavailable,
    eligibility,
    envelope::Envelope,
    instrument::{self, Plan, Record, TrackedLink},
    intake::Intake,
    message::Message,
    milter::{Milter, Settings},
    policy::{self, Decision, Purposes},
    registry,
    session::{Extent, Transaction},
    subject,
    workshop::Panicked,
};

/// What rewriting takes at most beside the message itself, in copies of its body: the text decoded, the new body, the
/// reply.
const WORKING_COPIES: usize = 3;

/// The way back to the MTA.
pub(crate) struct Channel<'a> {
    pub(crate) outlet: &'a Outlet,
    pub(crate) blank: LeadingBlank,
}

/// What came of a message: encoded edits and the line for the log.
struct Outcome {
    edits: Vec<u8>,
    fate: Fate,
}

enum Fate {
    Instrumented { opens: bool, links: usize },
    Untouched(SkipReason),
}

/// One message in work.
struct Treatment<'a> {
    milter: &'a Milter,
    settings: &'a Arc<Settings>,
    channel: &'a Channel<'a>,
    queue_id: &'a str,
    intake: &'a Intake,
    message: Arc<Message>,
    obstacle: Option<SkipReason>,
    /// Set while a message is being written down as instrumented.
    unsettled: Option<(ControllerId, MessageId)>,
}

/// Treats a message. Its edits are in the outlet when this returns.
pub(crate) async fn treat(
    transaction: Transaction,
    queue_id: String,
    channel: &Channel<'_>,
    milter: &Milter,
) {
    let settings = milter.settings();
    let Transaction {
        envelope,
        message,
        extent,
        charge,
        ..
    } = transaction;
    let intake = Intake::read(&envelope, &message, &settings.config);
    let mut treatment = Treatment {
        milter,
        settings: &settings,
        channel,
        queue_id: &queue_id,
        intake: &intake,
        obstacle: obstacle(extent, &envelope, &message),
        message: Arc::new(message),
        unsettled: None,
    };

    let outcome = tokio::time::timeout(
        settings.config.milter.deadline.0,
        AssertUnwindSafe(treatment.consider(charge)).catch_unwind(),
    )
    .await;

    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => {
            tracing::error!("{queue_id}: a defect was met");
            treatment.untouched(SkipReason::CheckFailed)
        }
        Err(_elapsed) => treatment.cut_short(),
    };
    channel.outlet.hold(outcome.edits);
    match outcome.fate {
        Fate::Instrumented { opens, links } => {
            let opens = if opens { "yes" } else { "no" };
            tracing::info!("{queue_id}: instrumented opens={opens} links={links}");
        }
        Fate::Untouched(reason) => tracing::info!("{queue_id}: untouched: {}", reason.code()),
    }
}

/// Returns why a message is not instrumented whatever anybody wants, as far as its header section tells.
fn obstacle(extent: Extent, envelope: &Envelope, message: &Message) -> Option<SkipReason> {
    match extent {
        Extent::Busy => Some(SkipReason::Busy),
        Extent::TooLarge => Some(SkipReason::TooLarge),
        Extent::Whole => eligibility::check_fields(&message.fields, envelope.sender).err(),
    }
}

impl Treatment<'_> {
    async fn consider(&mut self, mut charge: Charge) -> Outcome {
        let intake = self.intake;
        let Some((controller, login)) = &intake.author else {
            return self.untouched(SkipReason::NoUser);
        };
        let inquiry = Inquiry {
            settings: self.settings,
            controller,
            login,
            choice: &intake.choice,
            obstacle: self.obstacle,
            recipients: &intake.recipients,
            newcomers: Newcomers::Create,
        };
        let Ok(facts) = self.gather(&inquiry).await else {
            return self.untouched(SkipReason::Database);
        };
        let case = inquiry.case(&facts);
        let user = facts
            .user
            .as_ref()
            .filter(|_| policy::is_of_interest(&case));
        match (policy::decide(&case, Utc::now()), user) {
            (Decision::Instrument(purposes), Some(user)) => {
                self.instrument(purposes, controller, user, &mut charge)
                    .await
            }
            (Decision::Instrument(_), None) => self.untouched(SkipReason::NoUser),
            (Decision::Skip(reason), user) => {
                self.leave(reason, Record::default(), controller, user)
                    .await
            }
        }
    }

    async fn gather(&self, inquiry: &Inquiry<'_>) -> Result<Facts, Unavailable> {
        let mut loan = self.milter.database.lend().await?;
        let answer = inquiry.gather(loan.connection()).await;
        loan.settle(answer)
    }

    async fn instrument(
        &mut self,
        purposes: Purposes,
        controller: &Controller,
        user: &User,
        charge: &mut Charge,
    ) -> Outcome {
        if !charge.add(self.message.body.len().saturating_mul(WORKING_COPIES)) {
            return self
                .leave(SkipReason::Busy, Record::default(), controller, Some(user))
                .await;
        }
        let work = Work {
            message: Arc::clone(&self.message),
            settings: Arc::clone(self.settings),
            controller: controller.clone(),
            language: user.language().unwrap_or(controller.language),
            id: MessageId::random(),
            purposes,
            edits: self.intake.edits.clone(),
            blank: self.channel.blank,
        };
        let id = work.id;
        let (made, record) = match self.milter.workshop.work(move || work.carry_out()).await {
            Ok(done) => done,
            Err(Panicked) => (Err(SkipReason::CheckFailed), Record::default()),
        };
        let made = made.and_then(|made| {
            if self.channel.outlet.has_room_for(made.edits.len()) {
                Ok(made)
            } else {
                Err(SkipReason::ReplyTooLarge)
            }
        });
        let made = match made {
            Ok(made) => made,
            Err(reason) => return self.leave(reason, record, controller, Some(user)).await,
        };
        let registration = self.registration(id, controller, user, Ok(&made), &record);
        self.unsettled = Some((controller.id.clone(), id));
        let registered =
            registry::register(&registration, self.settings, &self.milter.database).await;
        self.unsettled = None;
        if registered.is_err() {
            return self.untouched(SkipReason::Database);
        }
        Outcome {
            edits: made.edits,
            fate: Fate::Instrumented {
                opens: made.opens,
                links: made.links.len(),
            },
        }
    }

    /// Leaves a message as it came, and writes that down where its user wants to know.
    async fn leave(
        &self,
        reason: SkipReason,
        record: Record,
        controller: &Controller,
        user: Option<&User>,
    ) -> Outcome {
        if let Some(user) = user {
            let registration =
                self.registration(MessageId::random(), controller, user, Err(reason), &record);
            if let Err(error) =
                registry::register(&registration, self.settings, &self.milter.database).await
            {
                tracing::debug!("{}: not written down: {error}", self.queue_id);
            }
        }
        self.untouched(reason)
    }

    /// The outcome that is always possible: the author's control fields go, nothing else changes.
    fn untouched(&self, reason: SkipReason) -> Outcome {
        Outcome {
            edits: self.intake.edits.encode(self.channel.blank),
            fate: Fate::Untouched(reason),
        }
    }

    /// The outcome where the deadline came first.
    fn cut_short(&self) -> Outcome {
        if let Some((controller, message)) = self.unsettled.clone() {
            tokio::spawn(registry::retract(
                controller,
                message,
                self.milter.database.clone(),
            ));
        }
        self.untouched(if self.milter.workshop.is_full() {
            SkipReason::Busy
        } else {
            SkipReason::Deadline
        })
    }

    fn registration(
        &self,
        id: MessageId,
        controller: &Controller,
        user: &User,
        made: Result<&Made, SkipReason>,
        record: &Record,
    ) -> Registration {
        let links = made.map_or(&[][..], |made| &made.links);
        Registration {
            message: NewMessage {
                controller: controller.id.clone(),
                id,
                user: user.user_id(),
                queue_id: self.queue_id.to_owned(),
                message_id_header: subject::message_id(&self.message),
                subject: subject::decoded(&self.message),
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
            remembered: remembered(&self.intake.choice, user),
            warnings: self.intake.warnings.clone(),
        }
    }
}

/// What a rewriting takes along to its thread.
struct Work {
    message: Arc<Message>,
    settings: Arc<Settings>,
    controller: Controller,
    language: Language,
    id: MessageId,
    purposes: Purposes,
    edits: Edits,
    blank: LeadingBlank,
}

/// What it brings back.
struct Made {
    edits: Vec<u8>,
    opens: bool,
    links: Vec<TrackedLink>,
}

impl Work {
    fn carry_out(self) -> (Result<Made, SkipReason>, Record) {
        let plan = Plan {
            controller: &self.controller,
            keys: &self.settings.keys,
            language: self.language,
            message: self.id,
            opens: self.purposes.opens,
            links: self.purposes.links,
        };
        let (made, record) = instrument::instrument_with_record(&self.message, &plan);
        let made = made.map(|instrumented| {
            let mut edits = self.edits;
            edits.fields.extend(instrumented.header_edits);
            edits.body = Some(instrumented.body);
            Made {
                edits: edits.encode(self.blank),
                opens: instrumented.opens,
                links: instrumented.links,
            }
        });
        (made, record)
    }
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
