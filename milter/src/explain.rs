// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrack-milter explain`: what the milter would do with a message, and why. Changes nothing.
//!
//! The same functions as for mail that flows; only the health gate, the way back of split messages and the limits of a
//! running milter are not asked.

use std::{
    fmt::{self, Display, Formatter},
    io::Read,
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;

use common::{
    address::Address,
    config::{Controller, Part},
    consent::{Purpose, Standing},
    db::{self, users::User},
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
    /// A recipient; may be given several times.
    #[arg(long, value_name = "ADDRESS", required = true)]
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
    match policy::decide(&case, now) {
        Decision::Skip(reason) => explanation.reason = Some(reason),
        Decision::Instrument(purposes) => {
            explanation.purposes = Some(purposes);
            let user = facts.user.as_ref();
            explanation.try_out(eml.message(), purposes, controller, user, settings);
        }
        Decision::Split(lots) => {
            let granted = lots.iter().flatten();
            let all = granted.fold(Purposes::default(), |all, lot| all.or(*lot));
            explanation.purposes = Some(all);
            let user = facts.user.as_ref();
            explanation.try_out(eml.message(), all, controller, user, settings);
            explanation.draw(&lots);
        }
    }
    Ok(explanation)
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
    ) {
        let plan = Plan {
            controller,
            keys: &settings.keys,
            language: user.and_then(User::language).unwrap_or(controller.language),
            message: MessageId::random(),
            opens: purposes.opens,
            links: purposes.links,
        };
        let (instrumented, record) = instrument::instrument_with_record(message, &plan);
        self.reason = instrumented.err();
        self.record = Some(record);
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

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.reason, self.purposes) {
            (None, Some(_)) if self.split => {
                let copies = self
                    .recipients
                    .iter()
                    .filter(|recipient| recipient.copy.is_some());
                writeln!(
                    f,
                    "This message would be split: a message to each recipient, {} of {} instrumented.",
                    copies.count(),
                    self.recipients.len()
                )?;
            }
            (None, Some(purposes)) => {
                writeln!(f, "This message would be instrumented: {purposes}.")?
            }
            (reason, _) => writeln!(
                f,
                "This message would be left untouched: {}.",
                reason.map_or("no-user", SkipReason::code)
            )?,
        }
        match (&self.login, &self.controller) {
            (Some(login), Some(controller)) => {
                writeln!(f, "User: {login} of controller {controller}.")?;
            }
            _ => writeln!(f, "User: the domain of the login belongs to no controller.")?,
        }
        match &self.user {
            Some(user) => writeln!(
                f,
                "Settings: {}, opens {}, links {}, links in plain text {}.",
                if user.enabled { "enabled" } else { "disabled" },
                word(user.opens),
                word(user.links),
                word(user.text_links)
            )?,
            None => writeln!(f, "Settings: none yet, so that everything is off.")?,
        }
        self.fmt_choice(f)?;
        match self.obstacle {
            Some(obstacle) => writeln!(
                f,
                "Kind of message: never instrumented ({}).",
                obstacle.code()
            )?,
            None => writeln!(f, "Kind of message: may be instrumented.")?,
        }
        for recipient in &self.recipients {
            let say = |allowed: Option<bool>| match allowed {
                None => "not asked",
                Some(true) => "allowed",
                Some(false) => "not allowed",
            };
            write!(
                f,
                "Recipient {}: opens {}, clicks {}",
                recipient.address,
                say(recipient.open),
                say(recipient.click)
            )?;
            match (recipient.copy, recipient.reason) {
                (Some(purposes), _) => writeln!(f, "; gets a copy instrumented for {purposes}.")?,
                (None, Some(reason)) => {
                    writeln!(f, "; gets the message as it came ({}).", reason.code())?;
                }
                (None, None) => writeln!(f, ".")?,
            }
        }
        self.record
            .as_ref()
            .map_or(Ok(()), |record| fmt_record(record, f))
    }
}

impl Explanation {
    fn fmt_choice(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if policy::is_made(&self.choice) {
            let opens = self.choice.opens.map_or("as set", word);
            let links = json_word(&self.choice.links);
            writeln!(
                f,
                "The message itself says: opens {opens}, links {}{}.",
                links.as_deref().unwrap_or("as set"),
                if self.choice.once { ", this once" } else { "" }
            )?;
        } else {
            writeln!(f, "The message itself says nothing about it.")?;
        }
        if self.control_edits > 0 {
            writeln!(
                f,
                "Header fields changed or removed in any case: {}.",
                self.control_edits
            )?;
        }
        Ok(())
    }
}

fn fmt_record(record: &Record, f: &mut Formatter<'_>) -> fmt::Result {
    for part in &record.parts {
        let outcome = json_word(&part.outcome).unwrap_or_default();
        write!(f, "Part {} ({}): {outcome}", part.path, part.media)?;
        if let Some(reason) = json_word(&part.reason) {
            write!(f, ", {reason}")?;
        }
        writeln!(f, "{}.", if part.pixel { ", with the pixel" } else { "" })?;
        for link in &part.links {
            match (link.ordinal, json_word(&link.skipped)) {
                (Some(ordinal), _) => {
                    writeln!(f, "  Link to {}: tracked as {ordinal}.", link.host)?
                }
                (None, skipped) => writeln!(
                    f,
                    "  Link to {}: left alone ({}).",
                    link.host,
                    skipped.as_deref().unwrap_or("no reason")
                )?,
            }
        }
    }
    Ok(())
}

/// Returns the word that stands for a value in JSON, so that words and data say the same.
fn json_word(value: &impl Serialize) -> Option<String> {
    serde_json::to_value(value)
        .ok()?
        .as_str()
        .map(str::to_owned)
}

fn word(yes: bool) -> &'static str {
    if yes { "on" } else { "off" }
}
