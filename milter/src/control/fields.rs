// SPDX-License-Identifier: GPL-3.0-or-later
//! Control fields: ours, and those of other products, so that programs written for them keep their meaning.

use super::{LinkChoice, SPLIT_FIELD, Statements, Warning, Weight};
use crate::message::{HeaderEdit, HeaderField};

#[derive(Clone, Copy)]
enum Kind {
    /// Any value means no.
    AlwaysNo,
    Both,
    Links,
    Opens,
}

const FIELDS: [(&str, Kind, Weight); 10] = [
    ("x-track", Kind::Both, Weight::OwnGeneral),
    ("x-track-opens", Kind::Opens, Weight::OwnSpecific),
    ("x-track-links", Kind::Links, Weight::OwnSpecific),
    ("x-no-track", Kind::AlwaysNo, Weight::OwnGeneral),
    ("x-mailgun-track", Kind::Both, Weight::OtherGeneral),
    ("x-mailgun-track-opens", Kind::Opens, Weight::OtherSpecific),
    ("x-mailgun-track-clicks", Kind::Links, Weight::OtherSpecific),
    ("x-pm-trackopens", Kind::Opens, Weight::OtherSpecific),
    ("x-pm-tracklinks", Kind::Links, Weight::OtherSpecific),
    ("x-ee-tracking-enabled", Kind::Both, Weight::OtherGeneral),
];

/// Returns the names of all fields that are removed.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(name, ..)| *name).chain([SPLIT_FIELD])
}

pub(super) fn read(
    fields: &[HeaderField],
    statements: &mut Statements,
    edits: &mut Vec<HeaderEdit>,
) {
    for (index, field) in (1..).zip(fields.iter().filter(|field| field.is(SPLIT_FIELD))) {
        edits.push(HeaderEdit {
            name: field.name.trim_ascii_end().to_vec(),
            index,
            value: None,
        });
    }
    for (name, kind, weight) in FIELDS {
        for (index, field) in (1..).zip(fields.iter().filter(|field| field.is(name))) {
            edits.push(HeaderEdit {
                name: field.name.trim_ascii_end().to_vec(),
                index,
                value: None,
            });
            let value = String::from_utf8_lossy(&field.unfolded()).into_owned();
            take(name, kind, weight, &value, statements);
        }
    }
}

fn take(name: &str, kind: Kind, weight: Weight, value: &str, statements: &mut Statements) {
    let mut pieces = value.split(';').map(str::trim);
    let word = pieces.next().unwrap_or_default().to_ascii_lowercase();
    let mut is_known = true;
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        if piece.eq_ignore_ascii_case("once") {
            statements.once = true;
        } else {
            is_known = false;
        }
    }
    let (on, off) = switch_words(name);
    let switch = [(on, true), (off, false)]
        .into_iter()
        .find_map(|(known, value)| (is_known && word == known).then_some(value));
    match kind {
        Kind::AlwaysNo => return statements.say_both(weight, false),
        Kind::Both if switch.is_some() => {
            return statements.say_both(weight, switch.unwrap_or_default());
        }
        Kind::Opens if switch.is_some() => {
            return statements.say_opens(weight, switch.unwrap_or_default());
        }
        Kind::Links if is_known => {
            if let Some(links) = links_of(name, &word) {
                return statements.say_links(weight, links);
            }
        }
        Kind::Both | Kind::Links | Kind::Opens => {}
    }
    statements.once = true;
    statements.warnings.push(Warning::UnknownValue {
        field: name.to_owned(),
    });
    match kind {
        Kind::Opens => statements.say_opens(weight, false),
        Kind::Links => statements.say_links(weight, LinkChoice::No),
        Kind::AlwaysNo | Kind::Both => statements.say_both(weight, false),
    }
}

/// Returns the words for on and off, each product's own.
fn switch_words(name: &str) -> (&'static str, &'static str) {
    match name {
        "x-pm-trackopens" | "x-ee-tracking-enabled" => ("true", "false"),
        _ => ("yes", "no"),
    }
}

fn links_of(name: &str, word: &str) -> Option<LinkChoice> {
    let links = match (name, word) {
        ("x-track-links" | "x-mailgun-track-clicks", "yes") => LinkChoice::Yes,
        ("x-track-links" | "x-mailgun-track-clicks", "no") => LinkChoice::No,
        ("x-track-links", "html") => LinkChoice::Html,
        ("x-track-links", "text") => LinkChoice::Text,
        ("x-mailgun-track-clicks", "htmlonly") => LinkChoice::Html,
        ("x-pm-tracklinks", "none") => LinkChoice::No,
        ("x-pm-tracklinks", "htmlandtext") => LinkChoice::Both,
        ("x-pm-tracklinks", "htmlonly") => LinkChoice::Html,
        ("x-pm-tracklinks", "textonly") => LinkChoice::Text,
        _ => return None,
    };
    Some(links)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn said(field: &str) -> (Option<bool>, Option<LinkChoice>, bool, usize) {
        let message = Message::parse(format!("{field}\r\n\r\n").as_bytes());
        let mut statements = Statements::default();
        let mut edits = Vec::new();
        read(&message.fields, &mut statements, &mut edits);
        assert_eq!(edits.len(), 1, "{field} is removed");
        (
            statements.opens.map(|(_, opens)| opens),
            statements.links.map(|(_, links)| links),
            statements.once,
            statements.warnings.len(),
        )
    }

    #[test]
    fn every_field_and_value_of_the_contract_is_understood() {
        use LinkChoice::{Both, Html, No, Text, Yes};
        for (field, opens, links) in [
            ("X-Track: YES", Some(true), Some(Yes)),
            ("X-Track: no", Some(false), Some(No)),
            ("x-track-opens:yes", Some(true), None),
            ("X-Track-Opens: No", Some(false), None),
            ("X-Track-Links: yes", None, Some(Yes)),
            ("X-Track-Links: html", None, Some(Html)),
            ("X-Track-Links: Text", None, Some(Text)),
            ("X-Track-Links: no", None, Some(No)),
            ("X-Mailgun-Track: yes", Some(true), Some(Yes)),
            ("X-Mailgun-Track-Opens: no", Some(false), None),
            ("X-Mailgun-Track-Clicks: htmlonly", None, Some(Html)),
            ("X-PM-TrackOpens: true", Some(true), None),
            ("X-PM-TrackLinks: None", None, Some(No)),
            ("X-PM-TrackLinks: HtmlAndText", None, Some(Both)),
            ("X-PM-TrackLinks: HtmlOnly", None, Some(Html)),
            ("X-PM-TrackLinks: TextOnly", None, Some(Text)),
            ("X-EE-Tracking-Enabled: false", Some(false), Some(No)),
            ("X-No-Track: whatever", Some(false), Some(No)),
        ] {
            assert_eq!(said(field), (opens, links, false, 0), "{field}");
        }
    }

    #[test]
    fn once_may_follow_any_value() {
        assert!(said("X-Track: yes; once").2);
        assert!(said("X-Track-Links: html ;ONCE").2);
        assert!(said("X-PM-TrackOpens: true;once").2);
        assert!(said("X-Track-Opens: no\r\n ; once").2);
    }

    #[test]
    fn unknown_values_count_as_no_with_a_warning_and_are_not_remembered() {
        for field in [
            "X-Track: maybe",
            "X-Track:",
            "X-Track: yes; always",
            "X-Track: true",
            "X-Mailgun-Track: true",
            "X-EE-Tracking-Enabled: yes",
        ] {
            assert_eq!(
                said(field),
                (Some(false), Some(LinkChoice::No), true, 1),
                "{field}"
            );
        }
        assert_eq!(said("X-PM-TrackOpens: yes"), (Some(false), None, true, 1));
        assert_eq!(
            said("X-Track-Links: htmlonly"),
            (None, Some(LinkChoice::No), true, 1)
        );
    }
}
