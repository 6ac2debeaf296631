// SPDX-License-Identifier: GPL-3.0-or-later
//! Rewriting one message, as work for a thread of its own: from the message to the encoded reply.

use std::sync::Arc;

use common::{config::Controller, ids::MessageId, language::Language, reason::SkipReason};

use crate::{
    actions::{Edits, LeadingBlank},
    instrument::{self, Plan, Record, TrackedLink},
    message::Message,
    milter::Settings,
    policy::Purposes,
};

/// What rewriting takes at most beside the message itself, in copies of its body: the text decoded, the new body, the
/// reply.
pub(crate) const WORKING_COPIES: usize = 3;

/// What a rewriting takes along to its thread.
pub(crate) struct Rewriting {
    pub(crate) message: Arc<Message>,
    pub(crate) settings: Arc<Settings>,
    /// Edits that are made whatever becomes of the body.
    pub(crate) edits: Edits,
    pub(crate) blank: LeadingBlank,
}

/// What is to be put in.
pub(crate) struct Order {
    pub(crate) controller: Controller,
    pub(crate) language: Language,
    pub(crate) id: MessageId,
    pub(crate) purposes: Purposes,
}

/// What was put in, and the reply that says so.
pub(crate) struct Made {
    pub(crate) reply: Vec<u8>,
    pub(crate) opens: bool,
    pub(crate) links: Vec<TrackedLink>,
}

impl Rewriting {
    /// Instruments the message. The record is there whatever the outcome.
    pub(crate) fn instrument(self, order: &Order) -> (Result<Made, SkipReason>, Record) {
        let plan = Plan {
            controller: &order.controller,
            keys: &self.settings.keys,
            language: order.language,
            message: order.id,
            opens: order.purposes.opens,
            links: order.purposes.links,
        };
        let (instrumented, record) = instrument::instrument_with_record(&self.message, &plan);
        let made = instrumented.map(|instrumented| {
            let mut edits = self.edits;
            edits.fields.extend(instrumented.header_edits);
            edits.body = Some(instrumented.body);
            Made {
                reply: edits.encode(self.blank),
                opens: instrumented.opens,
                links: instrumented.links,
            }
        });
        (made, record)
    }

    /// Takes our own artefacts out of what the message quotes, and returns the reply that says so; `None` if there are
    /// none.
    pub(crate) fn unwrap(self) -> Option<Vec<u8>> {
        let bases: Vec<&str> = self
            .settings
            .config
            .controllers
            .iter()
            .map(Controller::base_url)
            .collect();
        let body = instrument::unwrap(&self.message, &self.settings.keys, &bases)?;
        let mut edits = self.edits;
        edits.body = Some(body);
        Some(edits.encode(self.blank))
    }
}
