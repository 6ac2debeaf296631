// SPDX-License-Identifier: GPL-3.0-or-later
//! What becomes of one message: the story from its end to the verdict.
//!
//! Read what it says, ask the database, decide, instrument, check that the reply fits, write it down, and only then hand
//! the edits over. Whatever fails on the way is a reason, and the message leaves as it came, without the control fields
//! and without our own artefacts in what it quotes. All of it happens before the deadline; handing over takes no time.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use chrono::Utc;
use futures_util::FutureExt;

use common::{ids::MessageId, reason::SkipReason};

use crate::{
    actions::LeadingBlank,
    budget::Charge,
    consents::{Facts, Inquiry, Newcomers},
    cork::Outlet,
    database::Unavailable,
    eligibility,
    envelope::Envelope,
    instrument::Record,
    intake::Intake,
    message::Message,
    milter::{Milter, Settings},
    policy::{self, Decision, Lot, Purposes, Splitting},
    registry::{self, Draft},
    rewriting::{Order, Rewriting, WORKING_COPIES},
    session::{Allowance, Extent, Transaction},
    unanswered::{Claim, Truth},
    workshop::Panicked,
};

/// The way back to the MTA.
pub(crate) struct Channel<'a> {
    pub(crate) outlet: &'a Outlet,
    pub(crate) blank: LeadingBlank,
}

/// What came of a message: encoded edits, what the database claims of them, and the line for the log.
struct Outcome {
    reply: Vec<u8>,
    claim: Option<Claim>,
    fate: Fate,
}

enum Fate {
    Instrumented {
        opens: bool,
        links: usize,
    },
    /// Nothing is observed, and a line invites the recipient to choose.
    Invited,
    /// Comes back recipient by recipient; so many of them get a message of their own that is instrumented.
    Split {
        copies: usize,
        recipients: usize,
    },
    Untouched(SkipReason),
    /// Untouched, but for our own artefacts in what it quotes.
    Unwrapped(SkipReason),
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
    charge: Charge,
    allowance: Allowance,
    /// Set while a message is being written down as instrumented.
    unsettled: Option<Claim>,
}

/// Treats a message. Its edits are in the outlet when this returns.
pub(crate) async fn treat(
    transaction: Transaction,
    queue_id: String,
    channel: &Channel<'_>,
    milter: &Milter,
) {
    let settings = milter.settings();
    let allowance = transaction.allowance();
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
        charge,
        allowance,
        unsettled: None,
    };

    let deadline = settings.config.milter.deadline.0;
    let last_quarter = deadline / 4;
    let outcome = tokio::time::timeout(
        deadline - last_quarter,
        AssertUnwindSafe(treatment.consider()).catch_unwind(),
    )
    .await;

    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_panic)) => {
            tracing::error!("{queue_id}: a defect was met");
            treatment.retract(SkipReason::CheckFailed);
            treatment.as_it_came(SkipReason::CheckFailed)
        }
        Err(_elapsed) => {
            let reason = treatment.cut_short();
            treatment.retract(reason);
            // What is left of the time serves the quoted text, which needs no database.
            let outcome = tokio::time::timeout(last_quarter, treatment.untouched(reason)).await;
            outcome.unwrap_or_else(|_elapsed| treatment.as_it_came(reason))
        }
    };
    channel.outlet.hold(outcome.reply, outcome.claim);
    match outcome.fate {
        Fate::Instrumented { opens, links } => {
            let opens = if opens { "yes" } else { "no" };
            tracing::info!("{queue_id}: instrumented opens={opens} links={links}");
        }
        // To the sender it is like any other; the recipient will know.
        Fate::Invited => tracing::info!("{queue_id}: untouched: untracked"),
        Fate::Split { copies, recipients } => {
            tracing::info!("{queue_id}: split copies={copies} recipients={recipients}");
        }
        Fate::Untouched(reason) => tracing::info!("{queue_id}: untouched: {}", reason.code()),
        Fate::Unwrapped(reason) => {
            tracing::info!("{queue_id}: untouched: {} unwrapped=yes", reason.code());
        }
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
    async fn consider(&mut self) -> Outcome {
        let intake = self.intake;
        let Some((controller, login)) = &intake.author else {
            return self.untouched(SkipReason::NoUser).await;
        };
        let inquiry = Inquiry {
            settings: self.settings,
            controller,
            login,
            choice: &intake.choice,
            obstacle: self
                .obstacle
                .or_else(|| self.milter.silence(self.settings, controller)),
            recipients: &intake.recipients,
            newcomers: Newcomers::Create,
            splitting: self.splitting(),
        };
        let Ok(facts) = self.gather(&inquiry).await else {
            return self.untouched(SkipReason::Database).await;
        };
        let case = inquiry.case(&facts);
        let user = facts
            .user
            .as_ref()
            .filter(|_| policy::is_of_interest(&case));
        let decision = policy::decide(&case, Utc::now());
        let Some(user) = user else {
            let reason = match decision {
                Decision::Instrument(_) | Decision::Split(_) => SkipReason::NoUser,
                Decision::Skip(reason) => reason,
            };
            return self.untouched(reason).await;
        };
        let draft = Draft {
            intake,
            message: &self.message.clone(),
            queue_id: self.queue_id,
            controller,
            user,
        };
        let done = match decision {
            Decision::Skip(reason @ SkipReason::Untracked) if policy::invites(&case) => {
                self.invite(reason, &draft).await
            }
            Decision::Skip(reason) => Err((reason, Record::default())),
            Decision::Instrument(purposes) => self.instrument(purposes, &draft).await,
            Decision::Split(lots) => self.split(&lots, &draft).await,
        };
        match done {
            Ok(outcome) => outcome,
            Err((reason, record)) => {
                self.register_untouched(&draft, reason, &record).await;
                self.untouched(reason).await
            }
        }
    }

    fn splitting(&self) -> Splitting {
        let is_small = self.intake.recipients.len() <= self.settings.config.milter.max_copies;
        if is_small && self.milter.return_path.is_open(Instant::now()) {
            Splitting::Possible
        } else {
            Splitting::Impossible
        }
    }

    async fn gather(&self, inquiry: &Inquiry<'_>) -> Result<Facts, Unavailable> {
        let mut loan = self.milter.database.lend().await?;
        let answer = inquiry.gather(loan.connection()).await;
        loan.settle(answer)
    }

    /// Instruments the message and writes it down, or returns why it must be left untouched.
    async fn instrument(
        &mut self,
        purposes: Purposes,
        draft: &Draft<'_>,
    ) -> Result<Outcome, (SkipReason, Record)> {
        // Who waits for a bench needs no room for working copies yet.
        let bench = self.milter.workshop.bench().await;
        let order = self.order(purposes, draft)?;
        let (id, rewriting) = (order.id, self.rewriting());
        let worked = bench.work(move || rewriting.instrument(&order)).await;
        self.charge.shrink_to(self.message.body.len());
        let (made, record) = match worked {
            Ok((Ok(made), record)) => (made, record),
            Ok((Err(reason), record)) => return Err((reason, record)),
            Err(Panicked) => return Err(self.defect()),
        };
        if let Err(reason) = self.admit(made.reply.len()) {
            return Err((reason, record));
        }
        let registration = draft.registration(id, Ok(&made), &record);
        // What is true if the answer never leaves.
        let otherwise = draft.fallback(id, SkipReason::Database, &record);
        self.unsettled = Some(
            self.milter
                .unanswered
                .claim(Truth::Written(otherwise.into())),
        );
        let registered =
            registry::register(&registration, self.settings, &self.milter.database).await;
        match registered {
            Ok(()) => {}
            Err(unavailable) if unavailable.is_sure() => {
                if let Some(claim) = self.unsettled.take() {
                    claim.withdraw();
                }
                return Err((SkipReason::Database, record));
            }
            // Whether it was written down nobody knows.
            Err(_unavailable) => {
                self.retract(SkipReason::Database);
                return Ok(self.untouched(SkipReason::Database).await);
            }
        }
        Ok(Outcome {
            reply: made.reply,
            claim: self.unsettled.take(),
            fate: Fate::Instrumented {
                opens: made.opens,
                links: made.links.into(),
            },
        })
    }

    /// Puts in a line that invites the recipient to choose, and nothing else, or returns why the message must be left
    /// untouched: for `reason` where the line has no place, or the recipient was asked before.
    async fn invite(
        &mut self,
        reason: SkipReason,
        draft: &Draft<'_>,
    ) -> Result<Outcome, (SkipReason, Record)> {
        let untouched = || (reason, Record::default());
        let [Some(recipient)] = draft.intake.recipients.as_slice() else {
            return Err(untouched());
        };
        let bench = self.milter.workshop.bench().await;
        let order = self
            .order(Purposes::default(), draft)
            .map_err(|_busy| untouched())?;
        let (id, rewriting) = (order.id, self.rewriting());
        let worked = bench.work(move || rewriting.instrument(&order)).await;
        self.charge.shrink_to(self.message.body.len());
        let (made, record) = match worked {
            Ok((Ok(made), record)) => (made, record),
            Ok((Err(_no_place), _)) => return Err(untouched()),
            Err(Panicked) => return Err(self.defect()),
        };
        self.admit(made.reply.len())
            .map_err(|_too_much| untouched())?;
        // The recipient's page finds the message by the name that the line carries.
        let registration = draft.registration(id, Err(reason), &record);
        let (settings, database) = (self.settings, &self.milter.database);
        match registry::register_invitation(&registration, recipient, settings, database).await {
            Ok(true) => Ok(Outcome {
                reply: made.reply,
                // The row claims no instrumentation.
                claim: None,
                fate: Fate::Invited,
            }),
            Ok(false) => Err(untouched()),
            Err(_unavailable) => Err((SkipReason::Database, Record::default())),
        }
    }

    /// Has Postfix bring the message back recipient by recipient, and writes down what each copy may become, or returns
    /// why not.
    async fn split(
        &mut self,
        lots: &[Lot],
        draft: &Draft<'_>,
    ) -> Result<Outcome, (SkipReason, Record)> {
        let granted = || lots.iter().flatten();
        let all = granted().fold(Purposes::default(), |all, lot| all.or(*lot));
        let bench = self.milter.workshop.bench().await;
        let order = self.order(all, draft)?;
        let rewriting = self.rewriting();
        let worked = bench.work(move || rewriting.part(&order)).await;
        self.charge.shrink_to(self.message.body.len());
        let parting = match worked {
            Ok(parting) => parting?,
            Err(Panicked) => return Err(self.defect()),
        };
        self.admit(parting.reply.len())
            .map_err(|reason| (reason, Record::default()))?;
        if !self.allowance.covers(parting.copy_size) {
            return Err((SkipReason::TooLarge, Record::default()));
        }
        // Nothing written here says that anything was instrumented: there is nothing to take back.
        let split = draft.split(lots, parting.fingerprint);
        registry::register_split(&split, self.settings, &self.milter.database)
            .await
            .map_err(|_unavailable| (SkipReason::Database, Record::default()))?;
        Ok(Outcome {
            reply: parting.reply,
            claim: None,
            fate: Fate::Split {
                copies: granted().count(),
                recipients: lots.len(),
            },
        })
    }

    fn order(
        &mut self,
        purposes: Purposes,
        draft: &Draft<'_>,
    ) -> Result<Order, (SkipReason, Record)> {
        if !self.affords() {
            return Err((SkipReason::Busy, Record::default()));
        }
        Ok(Order {
            controller: draft.controller.clone(),
            language: draft.user.language().unwrap_or(draft.controller.language),
            id: MessageId::random(),
            purposes,
        })
    }

    fn defect(&self) -> (SkipReason, Record) {
        tracing::error!("{}: a defect was met while rewriting", self.queue_id);
        (SkipReason::CheckFailed, Record::default())
    }

    /// Writes an untouched message down. If that fails the log still has the reason.
    async fn register_untouched(&self, draft: &Draft<'_>, reason: SkipReason, record: &Record) {
        let registration = draft.fallback(MessageId::random(), reason, record);
        let registered =
            registry::register(&registration, self.settings, &self.milter.database).await;
        if let Err(error) = registered {
            tracing::debug!("{}: not written down: {error}", self.queue_id);
        }
    }

    /// Leaves the message untouched, but for our own artefacts in what it quotes: a reply must not fire the pixel of the
    /// message that it answers.
    async fn untouched(&mut self, reason: SkipReason) -> Outcome {
        let is_whole = !matches!(self.obstacle, Some(SkipReason::Busy | SkipReason::TooLarge));
        if !is_whole || reason == SkipReason::CheckFailed {
            return self.as_it_came(reason);
        }
        let bench = self.milter.workshop.bench().await;
        if !self.affords() {
            return self.as_it_came(reason);
        }
        let rewriting = self.rewriting();
        let worked = bench.work(move || rewriting.unwrap()).await;
        self.charge.shrink_to(self.message.body.len());
        match worked {
            Ok(Ok(Some(reply))) if self.admit(reply.len()).is_ok() => Outcome {
                reply,
                claim: None,
                fate: Fate::Unwrapped(reason),
            },
            Ok(Ok(_)) => self.as_it_came(reason),
            Ok(Err(flaw)) => {
                tracing::error!(
                    "{}: own artefacts stay in what is quoted, as the result had a flaw: {flaw}",
                    self.queue_id
                );
                self.as_it_came(reason)
            }
            Err(Panicked) => {
                tracing::error!("{}: a defect was met while unwrapping", self.queue_id);
                self.as_it_came(reason)
            }
        }
    }

    /// The outcome that is always possible: the author's control fields go, nothing else changes.
    fn as_it_came(&self, reason: SkipReason) -> Outcome {
        Outcome {
            reply: self.intake.edits.encode(self.channel.blank),
            claim: None,
            fate: Fate::Untouched(reason),
        }
    }

    /// Returns the reason where the time has run out.
    fn cut_short(&self) -> SkipReason {
        if self.milter.workshop.is_full() {
            SkipReason::Busy
        } else {
            SkipReason::Deadline
        }
    }

    /// Sees to it that the database does not say that the message was instrumented.
    fn retract(&mut self, reason: SkipReason) {
        if let Some(claim) = self.unsettled.take() {
            claim.retract(reason);
        }
    }

    /// Sees whether a reply of that size can be kept until it leaves, leaves in one write, and is not refused.
    fn admit(&mut self, size: usize) -> Result<(), SkipReason> {
        // What is no larger than what was sent needs no more room than Postfix has given it already.
        let grows = size > self.message.body.len();
        if !self.channel.outlet.has_room_for(size) {
            Err(SkipReason::ReplyTooLarge)
        } else if !self.charge.add(size) {
            Err(SkipReason::Busy)
        } else if grows && !self.allowance.covers(size) {
            Err(SkipReason::TooLarge)
        } else {
            Ok(())
        }
    }

    fn affords(&mut self) -> bool {
        let body = self.message.body.len();
        let wanted = body.saturating_mul(WORKING_COPIES + 1);
        self.charge.add(wanted.saturating_sub(self.charge.octets()))
    }

    fn rewriting(&self) -> Rewriting {
        Rewriting {
            message: Arc::clone(&self.message),
            settings: Arc::clone(self.settings),
            edits: self.intake.edits.clone(),
            blank: self.channel.blank,
        }
    }
}
