// SPDX-License-Identifier: GPL-3.0-or-later
//! Tells people from machines.
//!
//! A request is at once reduced to [`Features`] (no IP address, no user agent), and those are judged against the other
//! hits of the same message, at once and again when later hits are known. Everything here is a function over values: no
//! clock, no database, no HTTP type. A verdict only labels; no answer ever depends on it.

mod class;
mod client;
mod context;
mod evidence;
mod features;
mod network;
mod published;
mod reason;
mod rules;
mod tokens;

pub use self::{
    class::{Certainty, Class, Kind, Verdict},
    client::{Client, ClientKind, Os},
    context::{AddressHistory, Context, MailExchanger, Neighbour, SenderSignals, Thresholds},
    features::{Features, Method, RequestParts, Salt, extract},
    network::{Network, Networks},
    reason::ReasonId,
    rules::{RULES_VERSION, classify, classify_at_once},
};
