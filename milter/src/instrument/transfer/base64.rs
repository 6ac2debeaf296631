// SPDX-License-Identifier: GPL-3.0-or-later
//! base64 (RFC 2045, section 6.8), read strictly: a tail that one program decodes and another does not would make them
//! show different messages.

use base64::{Engine, engine::general_purpose::STANDARD};

/// The length of an encoded line, and what it decodes to.
const COLUMNS: usize = 76;
const OCTETS: usize = 57;

/// How much is decoded at once: so much that a call costs nothing, so little that it stays in the nearest memory.
const STRETCH: usize = 4096;

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
            STANDARD.decode_vec(&joined, &mut text).ok()?;
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
    STANDARD.decode_vec(&joined, &mut text).ok()?;
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
    // What is left of a piece until it fills a line.
    let mut rest: Vec<u8> = Vec::with_capacity(OCTETS);
    for mut piece in pieces {
        if !rest.is_empty() {
            let (head, after) = piece
                .split_at_checked(OCTETS - rest.len())
                .unwrap_or((piece, b""));
            rest.extend_from_slice(head);
            piece = after;
            if rest.len() < OCTETS {
                continue;
            }
            lines.put(&rest);
            rest.clear();
        }
        let mut whole = piece.chunks_exact(OCTETS);
        for line in whole.by_ref() {
            lines.put(line);
        }
        rest.extend_from_slice(whole.remainder());
    }
    if !rest.is_empty() {
        lines.put(&rest);
    }
    out.extend_from_slice(like.get(tail..).unwrap_or_default());
}

struct Lines<'a> {
    out: &'a mut Vec<u8>,
    line_end: &'a [u8],
    is_first: bool,
}

impl Lines<'_> {
    fn put(&mut self, octets: &[u8]) {
        if !self.is_first {
            self.out.extend_from_slice(self.line_end);
        }
        self.is_first = false;
        let mut line = [0_u8; COLUMNS];
        // 57 octets fill 76 characters exactly, so the slice always suffices.
        let written = STANDARD.encode_slice(octets, &mut line).unwrap_or_default();
        self.out
            .extend_from_slice(line.get(..written).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                let flat = STANDARD.encode(text);
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
