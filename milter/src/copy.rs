// SPDX-License-Identifier: GPL-3.0-or-later
//! One recipient's copy of a message that was split, on its way back through Postfix.
//!
//! It is known again by its fingerprint; what is not known, and whatever fails, leaves as it is. Consent is asked now,
//! not as of when the message was split. The signature that our own signer has put in since is removed together with
//! the change that would break it; the signer comes after us here too.
//!
//! Design note: nothing is injected by us. Postfix moves the copy from one queue file to the next, and takes our edits
//! in one write or not at all, so that no death of this program loses or doubles a message: without us the copy goes
//! out as it came.

use std::{panic::AssertUnwindSafe, sync::Arc};

use chrono::Utc;
use futures_util::FutureExt;

use common::{
    address::Address,
    config::Controller,
    db::{
        copies::{self, Copy},
        json::Json,
        messages, standings,
    },
    ids::ControllerId,
    reason::SkipReason,
};

use crate::{
    actions::Edits,
    control::{Choice, LinkChoice},
    database::Unavailable,
    eligibility,
    envelope::parse_recipient,
    fingerprint,
    instrument::Record,
    message::{HeaderEdit, Message},
    milter::{Milter, Settings},
    policy::{self, Case, Decision, Purposes, Splitting},
    rewriting::{Made, Order, Rewriting, WORKING_COPIES},
    session::{Extent, Transaction},
    treatment::Channel,
    unanswered::{Claim, Truth},
    workshop::Panicked,
};

/// What our signer has put in by now: there was none when the message was split.
const SIGNATURE: &str = "DKIM-Signature";

/// What came of a copy.
enum Fate {
    /// It is none that we know.
    Foreign,
    Instrumented(Made),
    Untouched(SkipReason),
}

/// One copy in work.
struct Treatment<'a> {
    milter: &'a Milter,
    settings: &'a Arc<Settings>,
    channel: &'a Channel<'a>,
    /// Without the signature.
    message: Arc<Message>,
    /// Remove the signature.
    edits: Edits,
    transaction: Transaction,
    /// The row of a copy that was found, until it says why the copy is left as it is.
    unwritten: Option<Truth>,
    /// Set while the copy is being written down as instrumented.
    unsettled: Option<Claim>,
}

/// Treats a copy. Its edits, if any, are in the outlet when this returns.
pub(crate) async fn treat(
    mut transaction: Transaction,
    queue_id: &str,
    channel: &Channel<'_>,
    milter: &Milter,
) {
    let settings = milter.settings();
    let mut message = std::mem::take(&mut transaction.message);
    let edits = unsign(&mut message);
    let mut treatment = Treatment {
        milter,
        settings: &settings,
        channel,
        message: Arc::new(message),
        edits,
        transaction,
        unwritten: None,
        unsettled: None,
    };
    let considered = tokio::time::timeout(
        settings.config.milter.deadline.0,
        AssertUnwindSafe(treatment.consider()).catch_unwind(),
    )
    .await;
    let fate = match considered {
        Ok(Ok(Ok(fate))) => fate,
        Ok(Ok(Err(_unavailable))) => Fate::Untouched(SkipReason::Database),
        Ok(Err(_panic)) => {
            tracing::error!("{queue_id}: a defect was met");
            Fate::Untouched(SkipReason::CheckFailed)
        }
        Err(_elapsed) => Fate::Untouched(SkipReason::Deadline),
    };
    match fate {
        Fate::Foreign => tracing::debug!("{queue_id}: not a copy that is known"),
        Fate::Instrumented(made) => {
            let (opens, links) = (if made.opens { "yes" } else { "no" }, made.links);
            channel.outlet.hold(made.reply, treatment.unsettled.take());
            tracing::info!("{queue_id}: copy instrumented opens={opens} links={links}");
        }
        Fate::Untouched(reason) => {
            treatment.retract(reason);
            tracing::info!("{queue_id}: copy untouched: {}", reason.code());
        }
    }
}

/// Takes signatures out of the message and returns the edits that do the same.
fn unsign(message: &mut Message) -> Edits {
    let count = message.fields_named(SIGNATURE).count();
    message.fields.retain(|field| !field.is(SIGNATURE));
    let mut fields: Vec<HeaderEdit> = (1..)
        .take(count)
        .map(|index| HeaderEdit {
            name: SIGNATURE.into(),
            index,
            value: None,
        })
        .collect();
    fields.reverse();
    Edits {
        fields,
        ..Edits::default()
    }
}

impl Treatment<'_> {
    async fn consider(&mut self) -> Result<Fate, Unavailable> {
        let recipient = match self.transaction.envelope.recipients.as_slice() {
            [only] if self.transaction.extent == Extent::Whole => parse_recipient(only),
            _ => None,
        };
        let Some(recipient) = recipient else {
            return Ok(Fate::Foreign);
        };
        let Some(copy) = self.find(&recipient).await? else {
            return Ok(Fate::Foreign);
        };
        let Some(controller) = self.settings.config.controller(&copy.user.controller()) else {
            return Ok(Fate::Foreign);
        };
        self.unwritten = Some(copy_row(&copy));
        let reason = match self.decide(&copy, controller, recipient).await? {
            Decision::Instrument(purposes) => {
                match self.instrument(&copy, controller, purposes).await {
                    Ok(made) => return Ok(Fate::Instrumented(made)),
                    Err(reason) => reason,
                }
            }
            Decision::Skip(reason) => reason,
            // One recipient is not split.
            Decision::Split(_) => SkipReason::SeveralRecipients,
        };
        self.write_untouched(&copy, reason).await?;
        Ok(Fate::Untouched(reason))
    }

    async fn find(&self, recipient: &Address) -> Result<Option<Copy>, Unavailable> {
        let config = &self.settings.config;
        let controllers: Vec<ControllerId> = config
            .controllers
            .iter()
            .map(|controller| controller.id.clone())
            .collect();
        let fingerprint = fingerprint::of(&self.message, &self.settings.keys);
        let mut loan = self.milter.database.lend().await?;
        let found = copies::find(&controllers, &fingerprint, recipient, loan.connection()).await;
        loan.settle(found)
    }

    /// Decides as for a message to this recipient alone, whose author says what was found out when it was split.
    async fn decide(
        &self,
        copy: &Copy,
        controller: &Controller,
        recipient: Address,
    ) -> Result<Decision, Unavailable> {
        let choice = Choice {
            opens: Some(copy.opens),
            links: Some(LinkChoice::exactly(&copy.links)),
            ..Choice::default()
        };
        let sender = self.transaction.envelope.sender;
        let obstacle = eligibility::check_fields(&self.message.fields, sender).err();
        let recipients = [Some(recipient)];
        let mut case = Case {
            controller,
            users: self.settings.config.milter.users,
            user: Some(&copy.user),
            choice: &choice,
            obstacle: obstacle.or_else(|| self.milter.silence(self.settings, controller)),
            recipients: &recipients,
            standings: &[],
            splitting: Splitting::Impossible,
        };
        if !policy::depends_on_consent(&case) {
            return Ok(policy::decide(&case, Utc::now()));
        }
        let addresses: Vec<Address> = recipients.iter().flatten().cloned().collect();
        let mut loan = self.milter.database.lend().await?;
        let standings = standings::by_address(
            &controller.id,
            &addresses,
            &self.settings.keys,
            loan.connection(),
        )
        .await;
        let standings = loan.settle(standings)?;
        case.standings = &standings;
        Ok(policy::decide(&case, Utc::now()))
    }

    /// Instruments the copy and writes it down, or returns why it must be left as it is.
    async fn instrument(
        &mut self,
        copy: &Copy,
        controller: &Controller,
        purposes: Purposes,
    ) -> Result<Made, SkipReason> {
        // Who waits for a bench needs no room for working copies yet.
        let bench = self.milter.workshop.bench().await;
        let body = self.message.body.len();
        if !self
            .transaction
            .charge
            .add(body.saturating_mul(WORKING_COPIES))
        {
            return Err(SkipReason::Busy);
        }
        let order = Order {
            controller: controller.clone(),
            language: copy.user.language().unwrap_or(controller.language),
            id: copy.message,
            purposes,
        };
        let rewriting = Rewriting {
            message: Arc::clone(&self.message),
            settings: Arc::clone(self.settings),
            edits: self.edits.clone(),
            blank: self.channel.blank,
        };
        let worked = bench.work(move || rewriting.instrument(&order)).await;
        let (made, record) = match worked {
            Ok((made, record)) => (made?, record),
            Err(Panicked) => return Err(SkipReason::CheckFailed),
        };
        if !self.channel.outlet.has_room_for(made.reply.len()) {
            return Err(SkipReason::ReplyTooLarge);
        }
        if !self.transaction.allowance().covers(made.reply.len()) {
            return Err(SkipReason::TooLarge);
        }
        self.unsettled = Some(self.milter.unanswered.claim(copy_row(copy)));
        let written = self
            .write_instrumented(copy, controller, &made, &record)
            .await;
        let nothing_is_claimed = match written {
            Ok(true) => return Ok(made),
            // Erased since: nothing is known of this message any more.
            Ok(false) => SkipReason::Untracked,
            Err(unavailable) if unavailable.is_sure() => SkipReason::Database,
            // Whether it was written down nobody knows.
            Err(_unavailable) => return Err(SkipReason::Database),
        };
        if let Some(claim) = self.unsettled.take() {
            claim.withdraw();
        }
        Err(nothing_is_claimed)
    }

    async fn write_instrumented(
        &self,
        copy: &Copy,
        controller: &Controller,
        made: &Made,
        record: &Record,
    ) -> Result<bool, Unavailable> {
        let mut loan = self.milter.database.lend().await?;
        let answer = messages::make_instrumented(
            &controller.id,
            copy.message,
            made.opens,
            made.links > 0,
            &Json::of(record),
            loan.connection(),
        )
        .await;
        loan.settle(answer)
    }

    async fn write_untouched(
        &mut self,
        copy: &Copy,
        reason: SkipReason,
    ) -> Result<(), Unavailable> {
        let controller = copy.user.controller();
        let mut loan = self.milter.database.lend().await?;
        let answer =
            messages::leave_untouched(&controller, copy.message, reason, loan.connection()).await;
        loan.settle(answer)?;
        self.unwritten = None;
        Ok(())
    }

    /// Sees to it that the row says why the copy is left as it is, if it does not yet.
    fn retract(&mut self, reason: SkipReason) {
        let claim = self.unsettled.take().or_else(|| {
            let row = self.unwritten.take()?;
            Some(self.milter.unanswered.claim(row))
        });
        if let Some(claim) = claim {
            claim.retract(reason);
        }
    }
}

fn copy_row(copy: &Copy) -> Truth {
    Truth::Known {
        controller: copy.user.controller(),
        message: copy.message,
    }
}
