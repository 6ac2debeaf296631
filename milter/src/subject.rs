// SPDX-License-Identifier: GPL-3.0-or-later
//! What the report shows of a message: its subject, decoded, and its Message-ID.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use encoding_rs::Encoding;

use crate::{
    actions::Edits,
    legible::legible,
    message::{HeaderField, Message},
};

/// The longest subject kept, in characters.
const SUBJECT: usize = 500;

/// The longest Message-ID kept, in characters: a line of RFC 5322.
const MESSAGE_ID: usize = 998;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Returns the subject as people read it, control tags taken off, cut to a length that fits a list; empty if there is
/// none.
pub(crate) fn decoded(message: &Message, edits: &Edits) -> String {
    let edited = edits
        .fields
        .iter()
        .find(|edit| edit.index == 1 && edit.name.eq_ignore_ascii_case(b"subject"))
        .and_then(|edit| edit.value.as_deref());
    let value = edited.or_else(|| {
        message
            .fields_named("subject")
            .next()
            .map(|field| &*field.value)
    });
    let field = HeaderField {
        name: Vec::new(),
        value: value.unwrap_or_default().to_vec(),
    };
    let text = decode_words(&String::from_utf8_lossy(&field.unfolded()));
    legible(&text, SUBJECT)
}

/// Returns the Message-ID field.
pub(crate) fn message_id(message: &Message) -> Option<String> {
    let field = message.first("Message-ID")?;
    let text = legible(&String::from_utf8_lossy(&field), MESSAGE_ID);
    (!text.is_empty()).then_some(text)
}

/// Decodes the encoded words of RFC 2047; what is none, or cannot be decoded, stays as it is.
fn decode_words(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    // A character may be cut in two by the border between words, so their octets are gathered first.
    let mut gathered: Option<(&'static Encoding, Vec<u8>)> = None;
    let mut rest = text;
    while !rest.is_empty() {
        let (blank, after) = split_blank(rest);
        if let Some((word, beyond)) = EncodedWord::parse(after) {
            match &mut gathered {
                // White space between encoded words is no part of the text.
                Some((charset, octets)) if *charset == word.charset => {
                    octets.extend_from_slice(&word.octets);
                }
                Some(_) => {
                    flush(&mut gathered, &mut decoded);
                    gathered = Some((word.charset, word.octets));
                }
                None => {
                    decoded.push_str(blank);
                    gathered = Some((word.charset, word.octets));
                }
            }
            rest = beyond;
        } else {
            flush(&mut gathered, &mut decoded);
            let (word, beyond) = split_word(after);
            decoded.push_str(blank);
            decoded.push_str(word);
            rest = beyond;
        }
    }
    flush(&mut gathered, &mut decoded);
    decoded
}

struct EncodedWord {
    charset: &'static Encoding,
    octets: Vec<u8>,
}

impl EncodedWord {
    /// Takes an encoded word off the beginning.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
        let (method, rest) = rest.split_once('?')?;
        let (content, rest) = rest.split_once("?=")?;
        if content.contains(' ') {
            return None;
        }
        // RFC 2231, section 5, allows a language after the charset.
        let label = charset.split('*').next().unwrap_or_default();
        let charset = Encoding::for_label(label.as_bytes())?;
        let octets = match method {
            "B" | "b" => LENIENT.decode(content).ok()?,
            "Q" | "q" => decode_q(content)?,
            _ => return None,
        };
        Some((Self { charset, octets }, rest))
    }
}

fn decode_q(content: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(content.len());
    let mut rest = content.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'_' => b' ',
            b'=' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(octets)
}

fn flush(gathered: &mut Option<(&'static Encoding, Vec<u8>)>, decoded: &mut String) {
    if let Some((charset, octets)) = gathered.take() {
        decoded.push_str(&charset.decode_without_bom_handling(&octets).0);
    }
}

fn split_blank(text: &str) -> (&str, &str) {
    let length = text.len() - text.trim_start().len();
    text.split_at_checked(length).unwrap_or((text, ""))
}

/// Splits off what surely holds no beginning of an encoded word but its first character.
fn split_word(text: &str) -> (&str, &str) {
    let length = text
        .char_indices()
        .skip(1)
        .find(|(_, c)| c.is_whitespace())
        .map_or(text.len(), |(place, _)| place);
    text.split_at_checked(length).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderEdit;

    fn subject(value: &str) -> String {
        decoded(&message(value), &Edits::default())
    }

    fn message(subject: &str) -> Message {
        Message {
            fields: vec![HeaderField {
                name: b"SUBJECT".to_vec(),
                value: subject.into(),
            }],
            body: Vec::new(),
        }
    }

    #[test]
    fn subject_without_its_tag_is_the_one_that_is_kept() {
        let edits = Edits {
            fields: vec![HeaderEdit {
                name: b"Subject".to_vec(),
                index: 1,
                value: Some(b" offer".to_vec()),
            }],
            ..Edits::default()
        };

        assert_eq!(decoded(&message(" [track] offer"), &edits), "offer");
    }

    #[test]
    fn encoded_words_are_decoded() {
        for (value, expected) in [
            (" plain  text", "plain  text"),
            (
                " =?UTF-8?Q?Za=C5=BC=C3=B3=C5=82=C4=87_?= =?utf-8?b?Z8SZxZtsxIU=?=",
                "Zażółć gęślą",
            ),
            (" Re: =?iso-8859-2?Q?=B1?= end", "Re: ą end"),
            (" =?utf-8?B?xa?=\r\n =?utf-8?B?vA==?=", "ż"),
            (" =?utf-8*pl?Q?a?=", "a"),
            (" =?unknown?Q?a?= b", "=?unknown?Q?a?= b"),
            (" =?utf-8?Q?=ZZ?=", "=?utf-8?Q?=ZZ?="),
            (" =?utf-8?Q?a", "=?utf-8?Q?a"),
            ("", ""),
        ] {
            assert_eq!(subject(value), expected, "{value:?}");
        }
    }

    #[test]
    fn long_subject_is_cut_and_control_characters_go() {
        assert_eq!(subject(&"ż".repeat(1_000)).chars().count(), SUBJECT);
        assert_eq!(subject(" =?utf-8?Q?a=00=0Ab?="), "ab");
    }
}
