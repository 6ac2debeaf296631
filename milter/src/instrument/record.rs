// SPDX-License-Identifier: GPL-3.0-or-later
//! What was done to a message and why: for the report's message page, `explain`, and nobody else.
//!
//! Destinations are not in it, only their hosts.

use common::reason::SkipReason;
use serde::Serialize;

use super::structure::Transfer;

/// The decision record of one message.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    pub parts: Vec<PartRecord>,
    /// What the self-check found, if the edit did not pass it.
    pub flaw: Option<&'static str>,
}

/// What was done to one part.
#[derive(Clone, Debug, Serialize)]
pub struct PartRecord {
    /// Its place in the tree: `1.2.1`.
    pub path: String,
    /// Type and subtype.
    pub media: String,
    pub transfer: &'static str,
    pub charset: Option<String>,
    pub outcome: Outcome,
    /// The reason, where the part was left alone.
    pub reason: Option<PartReason>,
    /// Whether the pixel stands in it.
    pub pixel: bool,
    /// Whether its transfer encoding became quoted-printable, because its lines would have grown too long.
    pub recoded: bool,
    pub links: Vec<LinkRecord>,
}

/// Whether a part was edited.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Edited,
    Untouched,
}

/// Why a part was left alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartReason {
    Attachment,
    Charset,
    /// It carries a digest of its content.
    Digest,
    /// Its transfer encoding is unknown, or does not decode without doubt.
    Encoding,
    /// Markup that leaves no place where something could be put.
    Markup,
    /// It has a file name.
    Named,
    /// Nothing in it was to be changed.
    Nothing,
    /// Another alternative is displayed.
    NotDisplayed,
    /// A type that is never edited.
    Type,
}

/// What was done with one link.
#[derive(Clone, Debug, Serialize)]
pub struct LinkRecord {
    /// Its number, if it is tracked.
    pub ordinal: Option<u16>,
    pub host: String,
    /// The visible text, at most 80 characters.
    pub text: String,
    /// The reason, if it was left alone.
    pub skipped: Option<LinkReason>,
}

/// Why a link was left alone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkReason {
    /// Readers could differ in where it leads or ends.
    Ambiguous,
    /// Its host is on the controller's list.
    Excluded,
    /// The line would pass 998 octets.
    LineLength,
    /// In a template, a drawing or the like.
    NotContent,
    /// Not an absolute `http` or `https` URL.
    NotHttp,
    /// The author asked for it.
    OptedOut,
    /// It leads to the tracking host.
    Own,
    /// In quoted text.
    Quoted,
    /// It signs in, resets, confirms, or carries a one-time secret.
    Sensitive,
    /// In the signature of a plain text.
    Signature,
    /// Longer than a tracked link may be.
    TooLong,
    /// More links than one message may have.
    TooMany,
    Unsubscribe,
    /// It carries a user name or a password.
    UserInfo,
    /// Its visible text is itself a URL: the reader would see one address and be led by another.
    VisibleUrl,
}

impl PartReason {
    /// Returns the reason for which a message is left alone when this is why nothing in it could be edited.
    pub(crate) fn for_message(self) -> Option<SkipReason> {
        match self {
            Self::Charset => Some(SkipReason::Charset),
            Self::Digest | Self::Encoding | Self::Markup => Some(SkipReason::Malformed),
            Self::Attachment | Self::Named | Self::Nothing | Self::NotDisplayed | Self::Type => {
                None
            }
        }
    }
}

impl Transfer {
    /// Returns the name as records show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Identity { ascii: true } => "7bit",
            Self::Identity { ascii: false } => "8bit",
            Self::Other => "other",
            Self::QuotedPrintable => "quoted-printable",
        }
    }
}

/// Shortens a visible text: white space made single, at most 80 characters.
pub(crate) fn shorten(text: &str) -> String {
    let trimmed = text.trim_ascii();
    let is_plain = |octet: u8| octet.is_ascii_graphic() || octet == b' ';
    if trimmed.len() <= 80 && trimmed.bytes().all(is_plain) && !trimmed.contains("  ") {
        return trimmed.to_owned();
    }
    let mut short = String::new();
    for word in text.split_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
        if short.len() > 400 {
            break;
        }
    }
    short.retain(|c| !c.is_control());
    match short.char_indices().nth(80) {
        Some((end, _)) => {
            short.truncate(end);
            short
        }
        None => short,
    }
}
