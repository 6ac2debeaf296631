// SPDX-License-Identifier: GPL-3.0-or-later
//! base64 (RFC 2045, section 6.8), read strictly: a tail that one program decodes and another does not would make them
//! show different messages.

use base64_simd::{Out, STANDARD};

/// The length of an encoded line, and what it decodes to.
const COLUMNS: usize = 76;
const OCTETS: usize = 57;

/// How much is decoded at once: so much that a call costs nothing, so little that it stays in the nearest memory.
const STRETCH: usize = 4096;

/// How many lines are encoded at once, for the same reason.
const LINES: usize = 64;

/// Decodes, ignoring line ends and the blanks before them, and nothing else.
pub(super) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let mut joined = Vec::with_capacity(2 * STRETCH);
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', encoded).chain([encoded.len()]) {
        let line = encoded.get(from..end).unwrap_or_default();
        let mut line = line.trim_ascii_end();
        while joined.len() + line.len() >= STRETCH {
            let (head, tail) = line.split_at_checked(STRETCH - joined.len())?;
            joined.extend_from_slice(head);
            STANDARD.decode_append(&joined, &mut text).ok()?;
            // Padding ends the data.
            if joined.last() == Some(&b'=') {
                let is_end = tail.is_empty() && encoded.get(end..)?.trim_ascii().is_empty();
                return is_end.then_some(text);
            }
            joined.clear();
            line = tail;
        }
        joined.extend_from_slice(line);
        from = end + 1;
    }
    STANDARD.decode_append(&joined, &mut text).ok()?;
    Some(text)
}

/// Encodes a text that comes in pieces, in lines of 76 characters, with the white space that `like` has before and
/// after its data, and appends it.
pub(super) fn encode_like<'a>(
    like: &[u8],
    pieces: impl Iterator<Item = &'a [u8]>,
    line_end: &[u8],
    out: &mut Vec<u8>,
) {
    let lead = like.len() - like.trim_ascii_start().len();
    let tail = like.trim_ascii_end().len().max(lead);
    out.extend_from_slice(like.get(..lead).unwrap_or_default());
    let mut lines = Lines {
        out,
        line_end,
        is_first: true,
    };
    let mut stretch: Vec<u8> = Vec::with_capacity(LINES * OCTETS);
    for mut piece in pieces {
        while !piece.is_empty() {
            let room = piece.len().min(LINES * OCTETS - stretch.len());
            let (head, tail) = piece.split_at_checked(room).unwrap_or((piece, b""));
            stretch.extend_from_slice(head);
            piece = tail;
            if stretch.len() == LINES * OCTETS {
                lines.put(&stretch);
                stretch.clear();
            }
        }
    }
    lines.put(&stretch);
    out.extend_from_slice(like.get(tail..).unwrap_or_default());
}

struct Lines<'a> {
    out: &'a mut Vec<u8>,
    line_end: &'a [u8],
    is_first: bool,
}

impl Lines<'_> {
    /// Encodes no more than fits so many lines.
    fn put(&mut self, octets: &[u8]) {
        let mut room = [0_u8; LINES * COLUMNS];
        for line in STANDARD
            .encode(octets, Out::from_slice(&mut room))
            .chunks(COLUMNS)
        {
            if !self.is_first {
                self.out.extend_from_slice(self.line_end);
            }
            self.is_first = false;
            self.out.extend_from_slice(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn another_decoder_decodes_the_same(
            letters in "[A-Za-z0-9+/]{0,120}",
            odd in "|[A-Za-z0-9+/]|=|[-_!é]",
            place in 0..120_usize,
            padding in "={0,3}",
        ) {
            let mut text = letters + &padding;
            text.insert_str(place.min(text.len()), &odd);

            let decoded = decode(text.as_bytes());

            prop_assert_eq!(decoded, general_purpose::STANDARD.decode(text).ok());
        }

        #[test]
        fn another_encoder_encodes_the_same(text: Vec<u8>) {
            let mut encoded = Vec::new();

            encode_like(b"", [&text[..]].into_iter(), b"", &mut encoded);

            prop_assert_eq!(encoded, general_purpose::STANDARD.encode(text).into_bytes());
        }
    }

    #[test]
    fn lines_of_any_length_decode_and_odd_ones_do_not() {
        assert_eq!(
            decode(b"aGVs\r\nbG8g \r\nd29y\r\nbGQ=\r\n\r\n").unwrap(),
            b"hello world"
        );
        assert_eq!(decode(b"aGVsbG8gd29yb\r\nGQ=").unwrap(), b"hello world");
        for odd in [
            &b"aGVsbG8"[..],
            b"aGVsbG8=aGVs",
            b"aGVsbG8=\r\n-- \r\nlist footer",
            b"aGVs*G8=",
            b"aGVsbG9=",
        ] {
            assert!(decode(odd).is_none(), "{}", String::from_utf8_lossy(odd));
        }
    }

    #[test]
    fn white_space_around_the_data_is_kept() {
        let text = [b'x'; 100];

        let mut encoded = Vec::new();
        let pieces = [&text[..30], &text[30..31], &text[31..]];
        encode_like(
            b"\r\nAAAA\r\n\r\n",
            pieces.into_iter(),
            b"\r\n",
            &mut encoded,
        );

        assert!(encoded.starts_with(b"\r\neHh4") && encoded.ends_with(b"==\r\n\r\n"));
        assert_eq!(decode(&encoded).unwrap(), text);
        assert!(
            encoded
                .split(|octet| *octet == b'\n')
                .all(|line| line.len() <= 77)
        );
        let mut encoded = Vec::new();
        encode_like(b"AAAA", [&b"abc"[..]].into_iter(), b"\r\n", &mut encoded);
        assert_eq!(encoded, b"YWJj");
    }

    #[test]
    fn long_data_decode_across_stretches() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        for octets in [3071, 3072, 3073, 6143, 6144, 6145, 79_999] {
            let text = &text[..octets];
            for columns in [60, 64, 76, 77, 1000, 200_000] {
                let flat = general_purpose::STANDARD.encode(text);
                let lines: Vec<&[u8]> = flat.as_bytes().chunks(columns).collect();
                let encoded = [lines.join(&b"\r\n"[..]), b"\r\n".to_vec()].concat();

                assert_eq!(decode(&encoded).as_deref(), Some(text));
                assert_eq!(
                    decode(&[&encoded[..], b"QUFB"].concat()).is_some(),
                    octets % 3 == 0
                );
            }
        }
    }
}
