// SPDX-License-Identifier: GPL-3.0-or-later
//! The privacy-consent helper: consent as a log of events, and the one rule that both programs obey.
//!
//! Design note: an event says that somebody stated something about one purpose and one scope at one time. States are
//! derived from events by [`decide()`]; nothing else decides. In doubt the answer is no.

pub mod chain;
mod decide;
mod profile;
mod statement;

use chrono::{DateTime, Utc};

pub use self::{
    decide::{Refusal, Rule, Verdict, decide},
    profile::Profile,
    statement::{Inadmissible, Method, Statement, admit, is_list, is_role, refusal},
};
use crate::ids::UserId;

/// What consent is for; one consent each.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Purpose {
    Click,
    Open,
}

/// For whom a statement holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// The whole organisation.
    Controller,
    /// One sender.
    Sender(UserId),
}

/// What an event states.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    Denied,
    Expired,
    Granted,
    Invalidated,
    Requested,
    Withdrawn,
}

/// Who made the statement.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Author {
    Admin,
    Import,
    Recipient,
    Sender,
    System,
}

/// A consent event, as far as the decision looks at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// The place in the controller's log: later statements have greater numbers.
    pub seq: i64,
    pub purpose: Purpose,
    pub scope: Scope,
    pub state: State,
    pub author: Author,
    /// 2: the recipient's own act; 1: attested by another; 0: none.
    pub assurance: u8,
    pub effective_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub profile: Profile,
    /// Whether it was stated for exactly this address, or for another with the same base address. Grants count for the
    /// exact address only; refusals for every address of the base.
    pub is_exact: bool,
}

/// Everything that the decision needs to know about one recipient.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// In the order of the log.
    pub events: Vec<Event>,
    /// Frozen on request: kept, not used, not shown.
    pub is_restricted: bool,
    /// Asked never to be asked or tracked again.
    pub is_suppressed: bool,
}

impl Purpose {
    /// Both purposes.
    pub const ALL: [Self; 2] = [Self::Click, Self::Open];

    /// Returns the word in the database, in header fields and in the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Open => "open",
        }
    }

    /// Returns the purpose with that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }
}

impl Scope {
    /// Tells whether a statement with this scope is about mail from this sender.
    pub fn covers(self, sender: UserId) -> bool {
        match self {
            Self::Controller => true,
            Self::Sender(user) => user == sender,
        }
    }

    /// Tells whether this scope is equal to the other or narrower.
    pub fn is_within(self, other: Self) -> bool {
        other == Self::Controller || self == other
    }
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Denied,
        Self::Expired,
        Self::Granted,
        Self::Invalidated,
        Self::Requested,
        Self::Withdrawn,
    ];

    /// Returns the word in the database and in files.
    pub fn code(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Granted => "granted",
            Self::Invalidated => "invalidated",
            Self::Requested => "requested",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Returns the state with that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Tells whether the state is a no: a denial or a withdrawal.
    pub fn is_negative(self) -> bool {
        matches!(self, Self::Denied | Self::Withdrawn)
    }
}

impl Author {
    /// Every author.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::Import,
        Self::Recipient,
        Self::Sender,
        Self::System,
    ];

    /// Returns the word in the database.
    pub fn code(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Import => "import",
            Self::Recipient => "recipient",
            Self::Sender => "sender",
            Self::System => "system",
        }
    }

    /// Returns the author with that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|author| author.code() == code)
    }

    /// Returns how strongly a statement of this author is supported.
    pub fn assurance(self) -> u8 {
        match self {
            Self::Recipient => 2,
            Self::Admin | Self::Import | Self::Sender => 1,
            Self::System => 0,
        }
    }
}
