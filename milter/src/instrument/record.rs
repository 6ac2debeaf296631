// SPDX-License-Identifier: GPL-3.0-or-later
//! What was done to a message and why: for the report's message page, `explain`, and nobody else.
//!
//! Destinations are not in it, only their hosts.

use std::collections::HashSet;

use common::reason::SkipReason;
use serde::Serialize;

use super::structure::Transfer;

/// The decision record of one message.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    pub parts: Vec<PartRecord>,
    /// What the self-check found, if the edit did not pass it.
    pub flaw: Option<&'static str>,
    /// How many links there were beyond those that are written down.
    #[serde(skip_serializing_if = "is_none")]
    pub more_links: usize,
}

/// The most links that are written down beside those that are tracked.
const MAX_OTHER_LINKS: usize = 500;

impl Record {
    /// Notes that nothing was put in after all.
    pub(crate) fn take_back(&mut self) {
        for part in &mut self.parts {
            part.outcome = Outcome::Untouched;
            part.pixel = false;
        }
    }

    /// Keeps every tracked link once, with its text where it has one, and the first of the others, and counts the rest.
    pub(crate) fn cut_links(&mut self) {
        let mut room = MAX_OTHER_LINKS;
        let mut tracked = HashSet::new();
        for part in &mut self.parts {
            let before = part.links.len();
            part.links.retain(|link| {
                let is_needed = link
                    .ordinal
                    .is_some_and(|ordinal| tracked.insert((ordinal, link.text.is_empty())));
                let is_kept = is_needed || room > 0;
                room -= usize::from(is_kept && !is_needed);
                is_kept
            });
            self.more_links += before - part.links.len();
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_none(count: &usize) -> bool {
    *count == 0
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
    /// In a template, a drawing, a patch or the like.
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
    if trimmed.len() <= MAX_TEXT && is_plain(trimmed.as_bytes()) {
        return trimmed.to_owned();
    }
    let mut short = String::with_capacity(trimmed.len().min(320));
    let mut length = 0;
    let mut is_between = false;
    for c in trimmed.chars() {
        if c.is_whitespace() {
            is_between = length > 0;
            continue;
        }
        if c.is_control() {
            continue;
        }
        let needed = 1 + usize::from(is_between);
        if length + needed > MAX_TEXT {
            break;
        }
        if std::mem::take(&mut is_between) {
            short.push(' ');
        }
        short.push(c);
        length += needed;
    }
    short
}

/// Tells whether a text is made of letters and the like, with single blanks between them. Without a branch, so that many
/// octets are looked at in one; those with which other blanks and control characters begin in UTF-8 take a closer look.
fn is_plain(text: &[u8]) -> bool {
    let is_plain = |octet: &u8| {
        let is_control = (*octet < b' ') | (*octet == 0x7f);
        let may_be_blank = (*octet == 0xc2) | ((0xe1..=0xe3).contains(octet));
        !(is_control | may_be_blank)
    };
    let next = text.get(1..).unwrap_or_default();
    let is_single = |one: &u8, next: &u8| (*one != b' ') | (*next != b' ');
    let pairs = text.iter().zip(next);
    text.iter().fold(true, |all, octet| all & is_plain(octet))
        && pairs.fold(true, |all, (one, next)| all & is_single(one, next))
}

/// The longest visible text in a record, in characters.
const MAX_TEXT: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shortened_to_one_line() {
        for (text, short) in [
            ("  a\r\n b ", "a b"),
            ("plain words", "plain words"),
            ("two  blanks", "two blanks"),
            ("łódź größe", "łódź größe"),
            ("a\u{85}\u{9b}b\u{3000}c\u{1680}d", "a b c d"),
            ("\u{a0}ząb\t\u{7}x\u{2003}y ", "ząb x y"),
            ("", ""),
        ] {
            assert_eq!(shorten(text), short);
        }
        assert_eq!(shorten(&"ab ".repeat(100)).len(), 80);
        assert_eq!(shorten(&"ż".repeat(100)).chars().count(), 80);
    }

    #[test]
    fn no_tracked_link_is_cut() {
        let link = |ordinal, text: &str| LinkRecord {
            ordinal,
            host: "a.example".into(),
            text: text.into(),
            skipped: None,
        };
        let part = |links| PartRecord {
            path: "1".into(),
            media: "text/plain".into(),
            transfer: "8bit",
            charset: None,
            outcome: Outcome::Edited,
            reason: None,
            pixel: false,
            recoded: false,
            links,
        };
        let mut record = Record {
            parts: vec![
                part(vec![link(Some(1), ""); 2_000]),
                part(vec![link(None, "b"); 700]),
                part(vec![link(Some(1), "c"), link(Some(2), "")]),
            ],
            ..Record::default()
        };

        record.cut_links();

        let kept: Vec<usize> = record.parts.iter().map(|part| part.links.len()).collect();
        assert_eq!(kept, [1 + MAX_OTHER_LINKS, 0, 2]);
        assert_eq!(record.more_links, 1_499 + 700);
    }
}
