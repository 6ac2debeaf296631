// SPDX-License-Identifier: GPL-3.0-or-later
//! Rewrites a message so that what the plan allows can be seen; everything else keeps its exact bytes.

mod agreement;
mod content;
mod splice;
pub mod structure;
mod transfer;

use common::{
    config::Controller, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
};

use crate::message::Message;

/// What is to be put into one message.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub controller: &'a Controller,
    pub keys: &'a KeyRing,
    /// The language of the disclosure line.
    pub language: Language,
    pub message: MessageId,
    pub opens: bool,
    pub links: bool,
    /// Links in plain-text parts as well; without effect unless `links`.
    pub text_links: bool,
}

/// A tracked link, as it is recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackedLink {
    /// From 1, in reading order.
    pub ordinal: u16,
    /// The host of the destination, in lower case.
    pub host: String,
    /// The visible text, at most 80 characters.
    pub text: String,
}

/// The outcome: a new body and what was put in.
#[derive(Clone, Debug)]
pub struct Instrumented {
    pub body: Vec<u8>,
    /// The value of the `Tracking-Consent` field to add.
    pub tracking_consent: String,
    pub opens: bool,
    pub links: Vec<TrackedLink>,
}

/// Rewrites the message so that what the plan allows can be seen.
///
/// # Errors
///
/// Returns the reason for which the message must be left as it is.
pub fn instrument(_message: &Message, _plan: &Plan<'_>) -> Result<Instrumented, SkipReason> {
    Err(SkipReason::NoHtml)
}
