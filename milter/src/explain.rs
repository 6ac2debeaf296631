// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrack-milter explain`: what the milter would do with a message, and why. Changes nothing.
//!
//! The same functions as for mail that flows; only the health gate, the way back of split messages and the limits of a
//! running milter are not asked.

mod words;

use std::io::Read;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;

use common::{
    address::Address,
    config::{Controller, Part},
    consent::{Purpose, Standing},
    db::{self, Connection, consent_requests, standings, users::User},
    ids::MessageId,
    reason::SkipReason,
};

use crate::{
    consents::{Facts, Inquiry, Newcomers},
    control::Choice,
    eligibility,
    envelope::Envelope,
    instrument::{self, Plan, Record},
    intake::Intake,
    message::{Eml, Message},
    milter::Settings,
    policy::{self, Case, Decision, Lot, Purposes, Splitting},
};

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The login with which the message would be submitted.
    #[arg(long, value_name = "LOGIN")]
    pub from: String,
    /// Recipients; may be given several times
    #[arg(long, value_name = "ADDRESS", required = true, num_args = 1..)]
    pub to: Vec<String>,
    /// Answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What would happen, and why.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Why the message would be left untouched; `None` if it would be instrumented.
    pub reason: Option<SkipReason>,
    pub controller: Option<String>,
    pub login: Option<String>,
    pub user: Option<Settled>,
    /// What the message says itself.
    pub choice: Choice,
    /// How many header fields would be changed or removed whatever is decided.
    pub control_edits: usize,
    /// Why this kind of message is never instrumented, if so.
    pub obstacle: Option<SkipReason>,
    pub recipients: Vec<Recipient>,
    /// What the message would be instrumented for, or the copies of it.
    pub purposes: Option<Purposes>,
    /// Whether each recipient would get a message of their own.
    pub split: bool,
    /// Whether the message, left untouched otherwise, would carry one line that invites its recipient to choose.
    pub invites: bool,
    /// Part by part and link by link.
    pub record: Option<Record>,
}

/// The user's settings.
#[derive(Debug, Serialize)]
pub struct Settled {
    pub enabled: bool,
    pub opens: bool,
    pub links: bool,
    pub text_links: bool,
    pub remember_choice: bool,
}

/// A recipient, and what consent covers. `None`: it was not asked, because something else says no.
#[derive(Debug, Serialize)]
pub struct Recipient {
    pub address: String,
    pub open: Option<bool>,
    pub click: Option<bool>,
    /// What the recipient's own copy would be instrumented for, where the message would be split.
    pub copy: Option<Purposes>,
    /// Why the recipient would get the message as it came, where it would be split.
    pub reason: Option<SkipReason>,
}

/// Explains the message on an input.
///
/// # Errors
///
/// Fails if the input cannot be read, or the database does not answer.
pub async fn explain(
    arguments: &Arguments,
    settings: &Settings,
    input: &mut impl Read,
) -> anyhow::Result<Explanation> {
    let mut raw = Vec::new();
    input
        .read_to_end(&mut raw)
        .context("failed to read the message")?;
    let eml = Eml::parse(&raw);
    let mut envelope = Envelope::new(arguments.from.clone(), arguments.from.as_bytes());
    envelope.recipients = arguments
        .to
        .iter()
        .map(|address| address.clone().into_bytes())
        .collect();
    let intake = Intake::read(&envelope, eml.message(), &settings.config);
    let obstacle = obstacle(&eml, &envelope, raw.len(), settings);
    let Some((controller, login)) = &intake.author else {
        return Ok(Explanation::of_a_stranger(&intake, obstacle));
    };
    let inquiry = Inquiry {
        settings,
        controller,
        login,
        choice: &intake.choice,
        obstacle,
        recipients: &intake.recipients,
        newcomers: Newcomers::Imagine,
        splitting: splitting(&intake, settings),
    };
    let mut connection = db::connect(settings.config.database.url_of(Part::Milter)).await?;
    let facts = inquiry.gather(&mut connection).await?;
    let now = Utc::now();
    let case = inquiry.case(&facts);
    let mut explanation = Explanation {
        controller: Some(controller.id.to_string()),
        login: Some(login.clone()),
        user: facts.user.as_ref().map(Settled::from),
        recipients: recipients(&case, &facts, now),
        ..Explanation::of_a_stranger(&intake, obstacle)
    };
    let mut try_out = |purposes| {
        let user = facts.user.as_ref();
        explanation.try_out(eml.message(), purposes, controller, user, settings)
    };
    match policy::decide(&case, now) {
        Decision::Skip(reason @ SkipReason::Untracked) if policy::invites(&case) => {
            let has_place = try_out(Purposes::default()).is_ok();
            explanation.invites =
                has_place && !was_asked(&case, settings, now, &mut connection).await?;
            explanation.reason = Some(reason);
        }
        Decision::Skip(reason) => explanation.reason = Some(reason),
        Decision::Instrument(purposes) => {
            explanation.reason = try_out(purposes).err();
            explanation.purposes = Some(purposes);
        }
        Decision::Split(lots) => {
            let granted = lots.iter().flatten();
            let all = granted.fold(Purposes::default(), |all, lot| all.or(*lot));
            explanation.reason = try_out(all).err();
            explanation.purposes = Some(all);
            explanation.draw(&lots);
        }
    }
    Ok(explanation)
}

/// Tells whether the one recipient was asked or invited before, lately.
async fn was_asked(
    case: &Case<'_>,
    settings: &Settings,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> anyhow::Result<bool> {
    let [Some(recipient)] = case.recipients else {
        return Ok(false);
    };
    let hash = standings::suppression_hash(&settings.keys, recipient);
    let since = now - consent_requests::PAUSE;
    Ok(consent_requests::was_asked_since(&case.controller.id, &hash, since, connection).await?)
}

/// Whether the way back is open only a running milter knows; here it is taken to be.
fn splitting(intake: &Intake, settings: &Settings) -> Splitting {
    if intake.recipients.len() <= settings.config.milter.max_copies {
        Splitting::Possible
    } else {
        Splitting::Impossible
    }
}

fn obstacle(
    eml: &Eml,
    envelope: &Envelope,
    size: usize,
    settings: &Settings,
) -> Option<SkipReason> {
    if !eml.is_regular() {
        return Some(SkipReason::Malformed);
    }
    if size > settings.config.milter.max_message_size.0 {
        return Some(SkipReason::TooLarge);
    }
    eligibility::check(eml.message(), envelope.sender).err()
}

fn recipients(case: &Case<'_>, facts: &Facts, now: DateTime<Utc>) -> Vec<Recipient> {
    let mut standings = facts.standings.iter();
    case.recipients
        .iter()
        .map(|recipient| {
            let standing = recipient.as_ref().and_then(|_| standings.next());
            let allows = |purpose| {
                standing.map(|standing: &Standing| policy::allows(standing, purpose, case, now))
            };
            Recipient {
                address: recipient
                    .as_ref()
                    .map_or("(no mailbox address)", Address::as_str)
                    .to_owned(),
                open: allows(Purpose::Open),
                click: allows(Purpose::Click),
                copy: None,
                reason: None,
            }
        })
        .collect()
}

impl Explanation {
    /// What can be said without a database: nothing about a user.
    fn of_a_stranger(intake: &Intake, obstacle: Option<SkipReason>) -> Self {
        Self {
            reason: Some(SkipReason::NoUser),
            controller: None,
            login: None,
            user: None,
            choice: intake.choice.clone(),
            control_edits: intake.edits.fields.len(),
            obstacle,
            recipients: Vec::new(),
            purposes: None,
            split: false,
            invites: false,
            record: None,
        }
    }

    /// Says what becomes of each recipient's copy; nothing if the message itself cannot be instrumented.
    fn draw(&mut self, lots: &[Lot]) {
        if self.reason.is_some() {
            return;
        }
        self.split = true;
        for (recipient, lot) in self.recipients.iter_mut().zip(lots) {
            recipient.copy = lot.ok();
            recipient.reason = lot.err();
        }
    }

    /// Instruments a copy that goes nowhere.
    fn try_out(
        &mut self,
        message: &Message,
        purposes: Purposes,
        controller: &Controller,
        user: Option<&User>,
        settings: &Settings,
    ) -> Result<(), SkipReason> {
        let plan = Plan {
            controller,
            controllers: &settings.config.controllers,
            keys: &settings.keys,
            language: user.and_then(User::language).unwrap_or(controller.language),
            message: MessageId::random(),
            opens: purposes.opens,
            links: purposes.links,
        };
        let (instrumented, record) = instrument::instrument_with_record(message, &plan);
        self.record = Some(record);
        instrumented.map(|_instrumented| ())
    }
}

impl From<&User> for Settled {
    fn from(user: &User) -> Self {
        Self {
            enabled: user.enabled,
            opens: user.opens,
            links: user.links,
            text_links: user.text_links,
            remember_choice: user.remember_choice,
        }
    }
}
