// SPDX-License-Identifier: GPL-3.0-or-later
//! The subject tags `[track]` and `[notrack]`, at the very start or end, also inside encoded words.
//!
//! A tag that stands in plain sight is cut out and every other byte stays. One inside an encoded word (RFC 2047) takes
//! a new encoding of the subject; if it cannot be decoded without loss, the subject stays as it is.

use base64::{Engine, engine::general_purpose::STANDARD};
use mail_parser::MessageParser;

use super::{Statements, Warning, Weight};
use crate::message::{HeaderEdit, HeaderField};

const TAGS: [(&str, bool); 2] = [("[track]", true), ("[notrack]", false)];

pub(super) fn read(
    fields: &[HeaderField],
    statements: &mut Statements,
    edits: &mut Vec<HeaderEdit>,
) {
    for (index, field) in (1..).zip(fields.iter().filter(|field| field.is("subject"))) {
        let mut value = field.value.clone();
        while let Some((cut, yes)) = cut_plain(&value) {
            statements.say_both(Weight::Act, yes);
            value = cut;
        }
        if memchr::memmem::find(&value, b"=?").is_some() {
            value = take_encoded(value, statements);
        }
        if value != field.value {
            edits.push(HeaderEdit {
                name: field.name.trim_ascii_end().to_vec(),
                index,
                value: Some(value),
            });
        }
    }
}

/// Cuts a tag out of a value in which it stands in plain sight.
fn cut_plain(value: &[u8]) -> Option<(Vec<u8>, bool)> {
    let lead = value.len() - value.trim_ascii_start().len();
    let end = value.trim_ascii_end().len();
    for (tag, yes) in TAGS {
        let text = value.get(lead..end)?;
        let (head, tail) = (text.get(..tag.len()), text.len().checked_sub(tag.len()));
        if head.is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes())) {
            let rest = text.get(tag.len()..)?.trim_ascii_start();
            let cut = [value.get(..lead)?, rest, value.get(end..)?].concat();
            return Some((cut, yes));
        }
        if let Some(tail) = tail
            && text
                .get(tail..)
                .is_some_and(|end| end.eq_ignore_ascii_case(tag.as_bytes()))
        {
            let rest = text.get(..tail)?.trim_ascii_end();
            let cut = [value.get(..lead)?, rest, value.get(end..)?].concat();
            return Some((cut, yes));
        }
    }
    None
}

/// Takes tags out of encoded words.
fn take_encoded(value: Vec<u8>, statements: &mut Statements) -> Vec<u8> {
    let raw = [b"Subject:", value.as_slice(), b"\r\n\r\n"].concat();
    let parsed = MessageParser::new()
        .header_text(mail_parser::HeaderName::Subject)
        .parse(&raw);
    let Some(text) = parsed.as_ref().and_then(|message| message.subject()) else {
        return value;
    };
    let mut rest = text.trim().to_owned();
    let mut is_tagged = false;
    while let Some((cut, yes)) = cut_plain(rest.as_bytes()) {
        statements.say_both(Weight::Act, yes);
        is_tagged = true;
        rest = String::from_utf8_lossy(&cut).into_owned();
    }
    if !is_tagged {
        return value;
    }
    if text.contains('\u{fffd}') || text.contains(|c: char| c.is_control()) {
        statements.warnings.push(Warning::SubjectNotDecodable);
        return value;
    }
    encode(&rest).into_bytes()
}

/// Encodes a subject, in words of at most 75 characters on lines of their own (RFC 2047, section 2).
fn encode(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") && text.len() < 900 {
        return format!(" {text}");
    }
    // 45 octets make 60 characters of base64, and 72 with what stands around them.
    const OCTETS: usize = 45;
    let mut value = String::new();
    let mut word = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        word.push(c);
        let next = characters.peek().map_or(OCTETS, |next| next.len_utf8());
        if word.len() + next > OCTETS || characters.peek().is_none() {
            if !value.is_empty() {
                // Postfix hands folds over, and takes them, as LF; it writes them as the message needs.
                value.push('\n');
            }
            value.push_str(" =?utf-8?B?");
            value.push_str(&STANDARD.encode(&word));
            value.push_str("?=");
            word.clear();
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn read_subject(value: &str) -> (Option<bool>, Option<String>, usize) {
        let message = Message::parse(format!("Subject:{value}\r\n\r\n").as_bytes());
        let mut statements = Statements::default();
        let mut edits = Vec::new();
        read(&message.fields, &mut statements, &mut edits);
        let edited = edits.pop().and_then(|edit| edit.value);
        (
            statements.opens.map(|(_, opens)| opens),
            edited.map(|value| String::from_utf8(value).unwrap()),
            statements.warnings.len(),
        )
    }

    #[test]
    fn tags_in_plain_sight_are_cut_with_the_space_beside_them() {
        for (value, yes, rest) in [
            (" [track] Hello", true, " Hello"),
            (" [Track]Hello", true, " Hello"),
            (" Hello [notrack]", false, " Hello"),
            (" Hello\r\n world [NOTRACK]", false, " Hello\r\n world"),
            ("[track]", true, ""),
            (
                " [track] =?utf-8?Q?Za=C5=BC?=\r\n =?utf-8?Q?=C3=B3?=",
                true,
                " =?utf-8?Q?Za=C5=BC?=\r\n =?utf-8?Q?=C3=B3?=",
            ),
        ] {
            assert_eq!(
                read_subject(value),
                (Some(yes), Some(rest.to_owned()), 0),
                "{value}"
            );
        }
    }

    #[test]
    fn tags_inside_encoded_words_are_found() {
        let (yes, rest, _) = read_subject(" =?UTF-8?Q?=5Btrack=5D_Oferta_dla_Pana_Zi=C4=99by?=");
        assert_eq!(yes, Some(true));
        assert_eq!(
            rest.unwrap(),
            " =?utf-8?B?T2ZlcnRhIGRsYSBQYW5hIFppxJlieQ==?="
        );

        let (yes, rest, _) = read_subject(
            " =?iso-8859-2?B?WmGxs+Y=?= =?iso-8859-2?Q?_x?=\r\n =?utf-8?B?IFtub3RyYWNrXQ==?=",
        );
        assert_eq!(yes, Some(false));
        assert!(rest.unwrap().starts_with(" =?utf-8?B?"));
    }

    #[test]
    fn long_subjects_become_several_words() {
        let long = format!("[track] {}", "ż".repeat(100));
        let (_, rest, _) = read_subject(&format!(" =?utf-8?B?{}?=", STANDARD.encode(long)));

        let rest = rest.unwrap();
        assert!(
            rest.lines().count() > 3 && rest.lines().all(|line| line.len() <= 76),
            "{rest}"
        );
    }

    #[test]
    fn tags_elsewhere_mean_nothing() {
        for value in [
            " Re: [track] x",
            " [track",
            " [tracking] x",
            " a [track] b",
            "",
        ] {
            assert_eq!(read_subject(value), (None, None, 0), "{value}");
        }
    }

    #[test]
    fn undecodable_subject_keeps_its_bytes_and_warns() {
        let (yes, rest, warnings) = read_subject(" =?utf-8?B?W25vdHJhY2tdIP+A?=");

        assert_eq!((yes, rest, warnings), (Some(false), None, 1));
    }
}
