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
    control::{self, Choice},
    envelope::{Envelope, parse_recipient},
    message::Message,
};

/// What was taken in.
pub(crate) struct Intake {
    /// The controller answerable, and the login in normal form; `None` if the login's domain is nobody's.
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
        let control = control::read(message);
        let mut seen = HashSet::new();
        let recipients = envelope
            .recipients
            .iter()
            .map(|argument| parse_recipient(argument))
            .filter(|recipient| seen.insert(recipient.clone()))
            .collect();
        Self {
            author: config
                .controller_of(&envelope.login)
                .map(|(controller, login)| (controller.clone(), login)),
            choice: control.choice,
            recipients,
            edits: Edits {
                fields: control.edits,
                ..Edits::default()
            },
            warnings: control.warnings,
        }
    }
}
