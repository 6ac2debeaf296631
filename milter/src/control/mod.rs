// SPDX-License-Identifier: GPL-3.0-or-later
//! What a user may say in a message: our own header fields and those of other products, a tag in the subject, control
//! recipients. Everything that is understood is also removed, whatever comes of it.
//!
//! Design note: several things may be said at once. A tag or a control recipient is an act while writing and beats
//! fields that a program may set in every message; `X-Track-Opens` beats `X-Track`; our fields beat those of other
//! products. Between equals, no beats yes. What cannot be understood counts as no, and is never remembered.

mod fields;
mod recipients;
mod subject;

/// The field by which Postfix is told to bring a message back recipient by recipient. It never stands in a message that
/// we let go: one that an author wrote is removed.
pub(crate) const SPLIT_FIELD: &str = "X-Fairtrack-Split";

use std::cmp::Reverse;

use serde::Serialize;

use crate::message::{HeaderEdit, HeaderField};

/// In which parts links are rewritten.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Links {
    Both,
    Html,
    #[default]
    No,
    Text,
}

/// What an author says about links.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkChoice {
    /// In HTML and in plain text.
    Both,
    Html,
    No,
    Text,
    /// Yes, and in plain text if the user's settings say so.
    Yes,
}

/// What an author says about one message. `None`: nothing, so that the defaults hold.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Choice {
    pub opens: Option<bool>,
    pub links: Option<LinkChoice>,
    /// The choice does not become the default.
    pub once: bool,
    /// For the user's feed.
    pub warnings: Vec<Warning>,
}

/// Something that was not understood.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub enum Warning {
    /// A subject tag that could not be removed, because the subject cannot be decoded without loss.
    SubjectNotDecodable,
    /// A field with a value that is not known: it counted as no.
    UnknownValue { field: String },
}

/// What a message says to us, and how to remove it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Control {
    pub choice: Choice,
    /// To be applied in this order, whatever is decided.
    pub edits: Vec<HeaderEdit>,
    /// Envelope recipients to remove, as they were given.
    pub recipients: Vec<String>,
}

/// How much a statement weighs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Weight {
    OtherGeneral,
    OtherSpecific,
    OwnGeneral,
    OwnSpecific,
    /// A subject tag or a control recipient.
    Act,
}

#[derive(Default)]
struct Statements {
    opens: Option<(Weight, bool)>,
    links: Option<(Weight, LinkChoice)>,
    once: bool,
    warnings: Vec<Warning>,
}

/// Reads what a message says.
///
/// `recipients` are those of the envelope, with or without angle brackets; `tracking_host` is the controller's.
pub fn read(fields: &[HeaderField], recipients: &[String], tracking_host: &str) -> Control {
    let mut statements = Statements::default();
    let mut edits = Vec::new();
    fields::read(fields, &mut statements, &mut edits);
    subject::read(fields, &mut statements, &mut edits);
    let removed = recipients::read(
        fields,
        recipients,
        tracking_host,
        &mut statements,
        &mut edits,
    );
    // Of fields of one name the last is edited first, so that no edit shifts the number of another.
    edits.sort_by_key(|edit: &HeaderEdit| Reverse(edit.index));
    Control {
        choice: Choice {
            opens: statements.opens.map(|(_, opens)| opens),
            links: statements.links.map(|(_, links)| links),
            once: statements.once,
            warnings: statements.warnings,
        },
        edits,
        recipients: removed,
    }
}

/// Returns the control recipients that the header section names, for where there is no envelope.
pub fn recipients_in(fields: &[HeaderField], tracking_host: &str) -> Vec<String> {
    recipients::named_in(fields, tracking_host)
}

/// Tells whether an author may speak to us in a field of that name.
pub fn reads(name: &[u8]) -> bool {
    let name = name.trim_ascii_end();
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    fields::names()
        .chain(["subject", "to", "cc", "bcc"])
        .any(is)
}

impl Links {
    /// Combines what settings hold: links at all, and links in plain text too.
    pub fn from_settings(links: bool, text_links: bool) -> Self {
        match (links, text_links) {
            (false, _) => Self::No,
            (true, false) => Self::Html,
            (true, true) => Self::Both,
        }
    }

    /// Takes away what a ceiling does not allow.
    pub fn within(self, ceiling: Self) -> Self {
        Self::in_parts(
            self.in_html() && ceiling.in_html(),
            self.in_text() && ceiling.in_text(),
        )
    }

    /// Returns what either has.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::in_parts(
            self.in_html() || other.in_html(),
            self.in_text() || other.in_text(),
        )
    }

    fn in_parts(html: bool, text: bool) -> Self {
        match (html, text) {
            (true, true) => Self::Both,
            (true, false) => Self::Html,
            (false, true) => Self::Text,
            (false, false) => Self::No,
        }
    }

    /// Returns the word that the database keeps.
    pub fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Html => "html",
            Self::No => "no",
            Self::Text => "text",
        }
    }

    /// Tells whether links in HTML are rewritten.
    pub fn in_html(self) -> bool {
        matches!(self, Self::Both | Self::Html)
    }

    /// Tells whether links in plain text are rewritten.
    pub fn in_text(self) -> bool {
        matches!(self, Self::Both | Self::Text)
    }
}

impl LinkChoice {
    /// Returns the choice that asks for just this.
    pub fn exactly(word: &str) -> Self {
        match word {
            "both" => Self::Both,
            "html" => Self::Html,
            "text" => Self::Text,
            _ => Self::No,
        }
    }

    /// Returns what a choice means to a user with this setting for links in plain text.
    pub fn resolve(self, text_links: bool) -> Links {
        match self {
            Self::Both => Links::Both,
            Self::Html => Links::Html,
            Self::No => Links::No,
            Self::Text => Links::Text,
            Self::Yes => Links::from_settings(true, text_links),
        }
    }
}

impl Statements {
    fn say_opens(&mut self, weight: Weight, opens: bool) {
        self.opens = Some(match self.opens {
            Some((before, said)) if before > weight => (before, said),
            Some((before, said)) if before == weight => (before, said && opens),
            _ => (weight, opens),
        });
    }

    fn say_links(&mut self, weight: Weight, links: LinkChoice) {
        self.links = Some(match self.links {
            Some((before, said)) if before > weight => (before, said),
            Some((before, said)) if before == weight => (before, narrower(said, links)),
            _ => (weight, links),
        });
    }

    fn say_both(&mut self, weight: Weight, yes: bool) {
        self.say_opens(weight, yes);
        self.say_links(weight, if yes { LinkChoice::Yes } else { LinkChoice::No });
    }
}

/// Returns what two choices have in common.
fn narrower(one: LinkChoice, other: LinkChoice) -> LinkChoice {
    use LinkChoice::{Both, Html, No, Text, Yes};
    match (one, other) {
        (No, _) | (_, No) | (Html, Text) | (Text, Html) => No,
        (Html, _) | (_, Html) => Html,
        (Text, _) | (_, Text) => Text,
        (Yes, _) | (_, Yes) => Yes,
        (Both, Both) => Both,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Eml, Message};

    const HOST: &str = "track.example.com";

    fn choice(header: &str) -> Choice {
        let message = Message::parse(format!("{header}\r\n\r\n").as_bytes());
        read(&message.fields, &[], HOST).choice
    }

    #[test]
    fn nothing_said_changes_nothing() {
        let message =
            Message::parse(b"Subject: hello\r\nTo: a@x.example\r\nX-Tracker: yes\r\n\r\n");
        let recipients = vec!["a@x.example".to_owned()];

        assert_eq!(read(&message.fields, &recipients, HOST), Control::default());
    }

    #[test]
    fn the_more_particular_statement_wins_and_no_wins_between_equals() {
        for (header, opens, links) in [
            (
                "X-Track: yes\r\nX-Track-Opens: no",
                Some(false),
                Some(LinkChoice::Yes),
            ),
            (
                "X-Track: no\r\nX-Track-Links: html",
                Some(false),
                Some(LinkChoice::Html),
            ),
            (
                "X-Mailgun-Track-Opens: no\r\nX-Track: yes",
                Some(true),
                Some(LinkChoice::Yes),
            ),
            (
                "X-Track: yes\r\nX-Track: no",
                Some(false),
                Some(LinkChoice::No),
            ),
            (
                "X-No-Track: 0\r\nX-Track: yes",
                Some(false),
                Some(LinkChoice::No),
            ),
            (
                "X-Track-Opens: yes\r\nSubject: [notrack] x",
                Some(false),
                Some(LinkChoice::No),
            ),
            (
                "X-Track: no\r\nSubject: x [track]",
                Some(true),
                Some(LinkChoice::Yes),
            ),
            (
                "Subject: [track] x [notrack]",
                Some(false),
                Some(LinkChoice::No),
            ),
            (
                "X-PM-TrackLinks: HtmlOnly\r\nX-PM-TrackLinks: TextOnly",
                None,
                Some(LinkChoice::No),
            ),
        ] {
            let choice = choice(header);
            assert_eq!((choice.opens, choice.links), (opens, links), "{header}");
        }
    }

    #[test]
    fn everything_said_is_removed_and_nothing_else() {
        let mut eml = Eml::parse(
            b"X-Track: yes; once\r\nFrom: x@example.com\r\nx-track : no\r\nX-PM-TrackOpens:\r\n true\r\n\
              Subject: [TRACK] Hello\r\nTo: a@x.example,\r\n Track@Track.example.com\r\n\r\nbody",
        );
        let recipients = ["<a@x.example>", "<track@TRACK.example.com>"].map(str::to_owned);

        let control = read(&eml.message().fields, &recipients, HOST);
        eml.apply(&control.edits);

        assert_eq!(
            String::from_utf8(eml.to_bytes()).unwrap(),
            "From: x@example.com\r\nSubject: Hello\r\nTo: a@x.example\r\n\r\nbody"
        );
        assert_eq!(control.recipients, ["<track@TRACK.example.com>"]);
        assert!(control.choice.once);
        assert_eq!(control.choice.opens, Some(true));
    }

    #[test]
    fn choices_stay_within_settings_and_ceilings() {
        assert_eq!(LinkChoice::Yes.resolve(false), Links::Html);
        assert_eq!(LinkChoice::Yes.resolve(true), Links::Both);
        assert_eq!(
            LinkChoice::Both.resolve(true).within(Links::Html),
            Links::Html
        );
        assert_eq!(Links::Text.within(Links::Html), Links::No);
    }
}
