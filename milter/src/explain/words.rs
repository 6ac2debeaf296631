// SPDX-License-Identifier: GPL-3.0-or-later
//! An explanation in words, line by line.

use std::fmt::{self, Display, Formatter};

use common::reason::SkipReason;
use serde::Serialize;

use super::Explanation;
use crate::{instrument::Record, policy};

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
        if self.invites {
            writeln!(
                f,
                "One line in it would invite the recipient to choose; nothing would be observed."
            )?;
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
    if record.more_links > 0 {
        writeln!(f, "And {} more links.", record.more_links)?;
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
