// SPDX-License-Identifier: GPL-3.0-or-later
//! What a message says by itself, before anybody is asked: its author's choice, its recipients, and the edits that are
//! made in every outcome.

use std::collections::HashSet;

use common::{
    address::Address,
    config::{Config, Controller},
};

use crate::{
    actions::Edits,
    control::{self, Choice, Warning},
    envelope::{Envelope, parse_recipient},
    instrument::content::plain,
    message::Message,
};

/// What was taken in.
pub(crate) struct Intake {
    /// The controller answerable, and the login in normal form; `None` if the login's domain is nobody's, or the message
    /// is written in the name of another controller.
    pub(crate) author: Option<(Controller, String)>,
    pub(crate) choice: Choice,
    /// Each once, without control addresses; `None` is what is no mailbox address.
    pub(crate) recipients: Vec<Option<Address>>,
    /// Made in every outcome: control fields go.
    pub(crate) edits: Edits,
    pub(crate) warnings: Vec<String>,
}

impl Intake {
    /// Reads envelope and header section.
    pub(crate) fn read(envelope: &Envelope, message: &Message, config: &Config) -> Self {
        let author = config
            .controller_of(&envelope.login)
            .map(|(controller, login)| (controller.clone(), login));
        let host = author
            .as_ref()
            .map(|(controller, _)| controller.tracking_host());
        let arguments: Vec<String> = envelope
            .recipients
            .iter()
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect();
        let mut control = control::read(
            &message.fields,
            &arguments,
            host.as_deref().unwrap_or_default(),
        );
        let is_control = |argument: &[u8]| {
            control
                .recipients
                .iter()
                .any(|recipient| recipient.as_bytes() == argument)
        };
        let mut seen = HashSet::new();
        let recipients = envelope
            .recipients
            .iter()
            .filter(|argument| !is_control(argument))
            .map(|argument| parse_recipient(argument))
            .filter(|recipient| seen.insert(recipient.clone()))
            .collect::<Vec<_>>();
        let removed_recipients = if recipients.is_empty() {
            // An envelope must not be emptied: the MTA would have nowhere to send the message.
            Vec::new()
        } else {
            control
                .recipients
                .into_iter()
                .map(String::into_bytes)
                .collect()
        };
        // Its recipients agreed with one organisation, and not that another observe them.
        let author =
            author.filter(|(controller, _)| !speaks_for_another(message, controller, config));
        Self {
            author,
            warnings: each_once(&std::mem::take(&mut control.choice.warnings)),
            choice: control.choice,
            recipients,
            edits: Edits {
                fields: control.edits,
                removed_recipients,
                body: None,
            },
        }
    }
}

/// Tells whether the author's field names an address of another controller.
fn speaks_for_another(message: &Message, own: &Controller, config: &Config) -> bool {
    let others = || {
        let others = config.controllers.iter().filter(|other| other.id != own.id);
        others.flat_map(|other| &other.domains)
    };
    let names = |from: &str, domain: &str| {
        let at = format!("@{}", domain.to_ascii_lowercase());
        from.match_indices(&at).any(|(place, found)| {
            let rest = from.split_at(place + found.len()).1;
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        })
    };
    message.fields_named("from").any(|field| {
        let written = String::from_utf8_lossy(&field.unfolded()).to_ascii_lowercase();
        // Comments, blanks and folds may stand on both sides of `@` and of dots (RFC 5322, sections 3.4.1 and 4.4).
        let meant: String = plain(&field.value).split_ascii_whitespace().collect();
        others().any(|domain| names(&written, domain) || names(&meant, domain))
    })
}

/// Returns what the user's feed keeps: a field that stands in the message a thousand times is worth one warning.
fn each_once(warnings: &[Warning]) -> Vec<String> {
    let mut seen = HashSet::new();
    warnings
        .iter()
        .map(warning_text)
        .filter(|warning| seen.insert(warning.clone()))
        .collect()
}

/// Returns what the user's feed keeps of a warning: its code and what it is about.
fn warning_text(warning: &Warning) -> String {
    match warning {
        Warning::SubjectNotDecodable => "subject-not-decodable".to_owned(),
        Warning::UnknownValue { field } => format!("unknown-value {field}"),
    }
}

#[cfg(test)]
mod tests {
    use common::ids::ControllerId;

    use super::*;

    #[test]
    fn names_of_other_controllers_are_seen_however_they_are_written() {
        let mut config = Config::for_testing();
        let own = config.controllers.first().unwrap().clone();
        let mut other = own.clone();
        other.id = ControllerId("other".into());
        other.domains = vec!["Other.example".into()];
        config.controllers.push(other);
        for (from, expected) in [
            ("bob@other.example", true),
            ("Bob <bob@OTHER.example>", true),
            ("anna@example.com,\r\n bob@other.example (Bob)", true),
            ("bob @ other.example", true),
            ("<bob@\r\n other(x) . example>", true),
            ("bob@(home (x))other.example", true),
            ("bob@other.example.", true),
            ("anna@example.com", false),
            ("anna@another.example", false),
            ("bob@other.example.com", false),
            ("bob@other.example-x.com", false),
            ("bob@sub.other.example", false),
        ] {
            let raw = format!("From: {from}\r\n\r\n");
            let message = Message::parse(raw.as_bytes());

            assert_eq!(
                speaks_for_another(&message, &own, &config),
                expected,
                "{from}"
            );
        }
    }
}
