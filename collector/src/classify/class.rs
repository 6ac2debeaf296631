// SPDX-License-Identifier: GPL-3.0-or-later
//! What a hit can be judged to be, and how sure we are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::reason::ReasonId;

/// What was requested.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A request on a tracked link.
    Click,
    /// A request on the pixel.
    Open,
}

/// The class of a hit, named as the API and the database name it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A retry, a double fetch or a double click; belongs to an earlier hit.
    Duplicate,
    Human,
    /// A mail service's proxy, which fetches when the message is viewed.
    ImageProxyOnOpen,
    /// A chat or social service shows what is behind the link.
    LinkPreview,
    /// Loaded before, or without, reading.
    MachinePrefetch,
    /// Security software, tools and crawlers.
    SecurityScanner,
    /// The sender's own hit.
    #[serde(rename = "self")]
    SelfHit,
    Unknown,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Duplicate,
        Self::Human,
        Self::ImageProxyOnOpen,
        Self::LinkPreview,
        Self::MachinePrefetch,
        Self::SecurityScanner,
        Self::SelfHit,
        Self::Unknown,
    ];

    /// Returns the name as JSON and database show it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Human => "human",
            Self::ImageProxyOnOpen => "image-proxy-on-open",
            Self::LinkPreview => "link-preview",
            Self::MachinePrefetch => "machine-prefetch",
            Self::SecurityScanner => "security-scanner",
            Self::SelfHit => "self",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the class with that name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    /// Says whether a hit of this class counts as an act of a person: it alone may be counted and notified.
    pub fn is_person(self) -> bool {
        matches!(self, Self::Human | Self::ImageProxyOnOpen)
    }

    /// Says whether a hit of this class is a machine's.
    pub fn is_machine(self) -> bool {
        matches!(
            self,
            Self::LinkPreview | Self::MachinePrefetch | Self::SecurityScanner
        )
    }
}

/// How sure a verdict is, in the three steps that people are shown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    Certain,
    Likely,
    Unclear,
}

impl Certainty {
    /// Reduces a confidence from 0 to 100 to a step.
    pub fn of(confidence: u8) -> Self {
        match confidence {
            90.. => Self::Certain,
            50..90 => Self::Likely,
            _ => Self::Unclear,
        }
    }
}

/// What a hit was judged to be, how surely, and by which rules; the rule that decided comes first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    pub class: Class,
    /// From 0 to 100.
    pub confidence: u8,
    pub reasons: Vec<ReasonId>,
}

impl Verdict {
    /// Returns the step of confidence that people are shown.
    pub fn certainty(&self) -> Certainty {
        Certainty::of(self.confidence)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_serde_writes() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.code());
            assert_eq!(Class::from_code(class.code()), Some(class));
        }
    }

    #[test]
    fn certainty_has_three_steps() {
        assert_eq!(Certainty::of(100), Certainty::Certain);
        assert_eq!(Certainty::of(90), Certainty::Certain);
        assert_eq!(Certainty::of(55), Certainty::Likely);
        assert_eq!(Certainty::of(30), Certainty::Unclear);
    }
}
