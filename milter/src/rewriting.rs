// SPDX-License-Identifier: GPL-3.0-or-later
//! Rewriting one message, as work for a thread of its own: from the message to the encoded reply.

use std::sync::Arc;

use common::{config::Controller, ids::MessageId, language::Language, reason::SkipReason};

use crate::{
    actions::{Edits, LeadingBlank},
    control::SPLIT_FIELD,
    fingerprint::fingerprint,
    instrument::{self, Plan, Record},
    message::{HeaderEdit, Message},
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
    pub(crate) links: u16,
}

/// What lets a message be split: the reply that says so, and by what it will be known again.
pub(crate) struct Parting {
    pub(crate) reply: Vec<u8>,
    pub(crate) fingerprint: [u8; 32],
    /// The size of the largest copy's body.
    pub(crate) copy_size: usize,
}

impl Rewriting {
    /// Instruments the message. The record is there whatever the outcome.
    pub(crate) fn instrument(self, order: &Order) -> (Result<Made, SkipReason>, Record) {
        let (instrumented, record) =
            instrument::instrument_with_record(&self.message, &order.plan(&self.settings));
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

    /// Lets the message be split, if it could be instrumented at all.
    ///
    /// Design note: Postfix looks at header fields that milters add (`milter_header_checks`), and the action FILTER has
    /// it bring the message back through another service, recipient by recipient. The field is taken away again in the
    /// same reply, so it stands in no message. Where Postfix does not look, the message leaves as it came.
    pub(crate) fn part(self, order: &Order) -> Result<Parting, (SkipReason, Record)> {
        let plan = order.plan(&self.settings);
        let (tried, mut record) = instrument::instrument_with_record(&self.message, &plan);
        let copy_size = match tried {
            Ok(instrumented) => instrumented.body.len(),
            Err(reason) => return Err((reason, record)),
        };
        let unwrapped = match self.unwrapped() {
            Ok(unwrapped) => unwrapped,
            Err(flaw) => {
                record.flaw = Some(flaw);
                return Err((SkipReason::CheckFailed, record));
            }
        };
        let body = unwrapped.as_ref().unwrap_or(&self.message.body);
        let fingerprint = fingerprint(&self.message.fields, body, &self.settings.keys);
        let mut edits = self.edits;
        edits.body = unwrapped;
        edits.fields.push(HeaderEdit::add(SPLIT_FIELD, "yes"));
        edits.fields.push(HeaderEdit {
            name: SPLIT_FIELD.into(),
            index: 1,
            value: None,
        });
        Ok(Parting {
            reply: edits.encode(self.blank),
            fingerprint,
            copy_size,
        })
    }

    /// Takes our own artefacts out of what the message quotes, and returns the reply that says so; `None` if there are
    /// none.
    ///
    /// # Errors
    ///
    /// Returns what the self-check found wrong with the result.
    pub(crate) fn unwrap(self) -> Result<Option<Vec<u8>>, &'static str> {
        let Some(body) = self.unwrapped()? else {
            return Ok(None);
        };
        let mut edits = self.edits;
        edits.body = Some(body);
        Ok(Some(edits.encode(self.blank)))
    }

    fn unwrapped(&self) -> Result<Option<Vec<u8>>, &'static str> {
        let bases = instrument::base_urls(&self.settings.config.controllers);
        instrument::unwrap(&self.message, &self.settings.keys, &bases)
    }
}

impl Order {
    fn plan<'a>(&'a self, settings: &'a Settings) -> Plan<'a> {
        Plan {
            controller: &self.controller,
            controllers: &settings.config.controllers,
            keys: &settings.keys,
            language: self.language,
            message: self.id,
            opens: self.purposes.opens,
            links: self.purposes.links,
        }
    }
}
