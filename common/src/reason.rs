// SPDX-License-Identifier: GPL-3.0-or-later
//! Why a message was left untouched: the reason codes that logs, the report and the API show.

use serde::{Deserialize, Serialize};

/// A reason for leaving a message as it came.
///
/// Every consent reason is the one word `untracked`, so that no sender learns of a refusal.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// A DKIM or ARC signature is there already: a change would break it.
    AlreadySigned,
    AutoSubmitted,
    /// Too many messages are being worked on.
    Busy,
    Calendar,
    /// The controller does not allow it.
    Ceiling,
    Charset,
    /// The edited message did not pass its own check.
    CheckFailed,
    CollectorDown,
    /// The author said no for this message.
    Control,
    Database,
    Deadline,
    Empty,
    Encrypted,
    /// A recipient is on the controller's list of those never observed.
    Excluded,
    Internal,
    List,
    Malformed,
    NoHtml,
    NoLinks,
    NoUser,
    NotAuthenticated,
    /// The user has switched nothing on.
    Off,
    /// The reply to the MTA would not fit the socket's send buffer.
    ReplyTooLarge,
    Report,
    SeveralRecipients,
    Signed,
    TooLarge,
    /// Consent does not cover every recipient.
    Untracked,
}

impl SkipReason {
    /// Every reason.
    pub const ALL: [Self; 28] = [
        Self::AlreadySigned,
        Self::AutoSubmitted,
        Self::Busy,
        Self::Calendar,
        Self::Ceiling,
        Self::Charset,
        Self::CheckFailed,
        Self::CollectorDown,
        Self::Control,
        Self::Database,
        Self::Deadline,
        Self::Empty,
        Self::Encrypted,
        Self::Excluded,
        Self::Internal,
        Self::List,
        Self::Malformed,
        Self::NoHtml,
        Self::NoLinks,
        Self::NoUser,
        Self::NotAuthenticated,
        Self::Off,
        Self::ReplyTooLarge,
        Self::Report,
        Self::SeveralRecipients,
        Self::Signed,
        Self::TooLarge,
        Self::Untracked,
    ];

    /// Returns the code as logs, database and API show it.
    pub fn code(self) -> &'static str {
        match self {
            Self::AlreadySigned => "already-signed",
            Self::AutoSubmitted => "auto-submitted",
            Self::Busy => "busy",
            Self::Calendar => "calendar",
            Self::Ceiling => "ceiling",
            Self::Charset => "charset",
            Self::CheckFailed => "check-failed",
            Self::CollectorDown => "collector-down",
            Self::Control => "control",
            Self::Database => "database",
            Self::Deadline => "deadline",
            Self::Empty => "empty",
            Self::Encrypted => "encrypted",
            Self::Excluded => "excluded",
            Self::Internal => "internal",
            Self::List => "list",
            Self::Malformed => "malformed",
            Self::NoHtml => "no-html",
            Self::NoLinks => "no-links",
            Self::NoUser => "no-user",
            Self::NotAuthenticated => "not-authenticated",
            Self::Off => "off",
            Self::ReplyTooLarge => "reply-too-large",
            Self::Report => "report",
            Self::SeveralRecipients => "several-recipients",
            Self::Signed => "signed",
            Self::TooLarge => "too-large",
            Self::Untracked => "untracked",
        }
    }

    /// Returns the reason with that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_serde_writes() {
        for reason in SkipReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert_eq!(SkipReason::from_code(reason.code()), Some(reason));
        }
    }
}
