// SPDX-License-Identifier: GPL-3.0-or-later
//! The edits of a message, and their form on the wire.
//!
//! Header edits come first, then recipients, then the replacement of the body in one sequence: Postfix drops what it is
//! told about the body after anything else has come between. The only other thing sent at end of message is the verdict.

use crate::message::HeaderEdit;

/// The longest piece of a body in one frame: what Postfix sends, and takes, at most.
const PIECE: usize = 65_535;

/// What is to be changed in one message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Edits {
    /// Changes of the header section, in the order in which they are made.
    pub fields: Vec<HeaderEdit>,
    /// Recipients to remove, each as the envelope has it.
    pub removed_recipients: Vec<Vec<u8>>,
    /// A whole new body.
    pub body: Option<Vec<u8>>,
}

/// Whether the MTA keeps the blank after a header field's colon, and wants it from us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeadingBlank {
    Dropped,
    Kept,
}

impl Edits {
    /// Tells whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.removed_recipients.is_empty() && self.body.is_none()
    }

    /// Returns the frames of all edits, one after another, without a verdict.
    pub fn encode(&self, blank: LeadingBlank) -> Vec<u8> {
        let body_length = self.body.as_ref().map_or(0, Vec::len);
        let mut frames = Vec::with_capacity(body_length + body_length / PIECE * 5 + 1_024);
        for edit in &self.fields {
            encode_field(&mut frames, edit, blank);
        }
        for recipient in &self.removed_recipients {
            let mut payload = Vec::with_capacity(recipient.len() + 1);
            push_string(&mut payload, recipient);
            push_frame(&mut frames, b'-', &payload);
        }
        match self.body.as_deref() {
            None => {}
            Some([]) => push_frame(&mut frames, b'b', b""),
            Some(body) => {
                for piece in body.chunks(PIECE) {
                    push_frame(&mut frames, b'b', piece);
                }
            }
        }
        frames
    }
}

fn encode_field(frames: &mut Vec<u8>, edit: &HeaderEdit, blank: LeadingBlank) {
    let value = edit.value.as_deref().unwrap_or_default();
    let value = match blank {
        LeadingBlank::Dropped => value.strip_prefix(b" ").unwrap_or(value),
        LeadingBlank::Kept => value,
    };
    let mut payload = Vec::with_capacity(edit.name.len() + value.len() + 6);
    let kind = if edit.index == 0 {
        b'h'
    } else {
        payload.extend_from_slice(&edit.index.to_be_bytes());
        b'm'
    };
    push_string(&mut payload, &edit.name);
    push_string(&mut payload, value);
    push_frame(frames, kind, &payload);
}

fn push_frame(frames: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len() + 1)
        .expect("a payload is a header field, an address or a piece of a body");
    frames.extend_from_slice(&length.to_be_bytes());
    frames.push(kind);
    frames.extend_from_slice(payload);
}

fn push_string(payload: &mut Vec<u8>, text: &[u8]) {
    payload.extend(text.iter().copied().filter(|octet| *octet != 0));
    payload.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(mut frames: &[u8]) -> Vec<(u8, usize)> {
        let mut kinds = Vec::new();
        while let Some((length, rest)) = frames.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let (frame, rest) = rest.split_at(length);
            kinds.push((frame[0], length - 1));
            frames = rest;
        }
        kinds
    }

    fn field(index: u32, value: Option<&[u8]>) -> HeaderEdit {
        HeaderEdit {
            name: b"X-Y".to_vec(),
            index,
            value: value.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn header_edits_come_first_and_the_body_is_contiguous() {
        let edits = Edits {
            fields: vec![field(2, None), field(0, Some(b" v"))],
            removed_recipients: vec![b"<a@b>".to_vec()],
            body: Some(vec![b'x'; 2 * PIECE + 1]),
        };

        assert_eq!(
            kinds(&edits.encode(LeadingBlank::Kept)),
            [
                (b'm', 9),
                (b'h', 7),
                (b'-', 6),
                (b'b', PIECE),
                (b'b', PIECE),
                (b'b', 1)
            ]
        );
    }

    #[test]
    fn leading_blank_goes_only_where_the_mta_keeps_it() {
        let edits = Edits {
            fields: vec![field(0, Some(b" v"))],
            ..Edits::default()
        };

        assert_eq!(
            edits.encode(LeadingBlank::Kept),
            b"\0\0\0\x08hX-Y\0 v\0".to_vec()
        );
        assert_eq!(
            edits.encode(LeadingBlank::Dropped),
            b"\0\0\0\x07hX-Y\0v\0".to_vec()
        );
    }

    #[test]
    fn empty_body_replaces_as_well() {
        let edits = Edits {
            body: Some(Vec::new()),
            ..Edits::default()
        };

        assert!(!edits.is_empty());
        assert_eq!(edits.encode(LeadingBlank::Kept), b"\0\0\0\x01b");
    }
}
