// SPDX-License-Identifier: GPL-3.0-or-later
//! Tells people from machines.
//!
//! A request is at once reduced to [`Features`] (no IP address, no user agent), and those are judged against the other
//! hits of the same message, at once and again when later hits are known. Everything here is a function over values: no
//! clock, no database, no HTTP type. A verdict only labels; no answer ever depends on it.

mod agent;
mod class;
mod client;
mod context;
mod evidence;
mod explain;
mod features;
mod network;
mod network_files;
#[cfg(test)]
mod properties;
mod published;
mod reason;
mod rules;
#[cfg(test)]
mod testing;
mod tokens;
mod wording;

pub use self::{
    class::{Certainty, Class, Kind, Verdict},
    client::{Client, ClientKind, Os},
    context::{AddressHistory, Context, MailExchanger, Neighbour, SenderSignals, Thresholds},
    explain::explain,
    features::{CROWD, Features, Method, RequestParts, Salt, extract},
    network::{Network, Networks},
    network_files::{NetworkFileError, NetworkList, check_change, parse_networks, write_networks},
    reason::ReasonId,
    rules::{RULES_VERSION, classify, classify_at_once},
    wording::{Icon, State, actor, icon, state},
};
