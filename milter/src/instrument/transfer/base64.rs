// SPDX-License-Identifier: GPL-3.0-or-later
//! base64 (RFC 2045, section 6.8), read strictly: a tail that one program decodes and another does not would make them
//! show different messages.

use base64::{Engine, engine::general_purpose::STANDARD};

/// The length of an encoded line, and what it decodes to.
const COLUMNS: usize = 76;
const OCTETS: usize = 57;

/// Decodes, ignoring line ends and the blanks before them, and nothing else.
pub(super) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::with_capacity(encoded.len());
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', encoded).chain([encoded.len()]) {
        let line = encoded.get(from..end).unwrap_or_default();
        joined.extend_from_slice(line.trim_ascii_end());
        from = end + 1;
    }
    STANDARD.decode(joined).ok()
}

/// Encodes in lines of 76 characters, with the white space that `like` has before and after its data.
pub(super) fn encode_like(like: &[u8], text: &[u8], line_end: &[u8]) -> Vec<u8> {
    let lead = like.len() - like.trim_ascii_start().len();
    let tail = like.trim_ascii_end().len().max(lead);
    let lines = text.len().div_ceil(OCTETS);
    let mut out = Vec::with_capacity(like.len() - tail + lead + lines * (COLUMNS + line_end.len()));
    out.extend_from_slice(like.get(..lead).unwrap_or_default());
    let mut line = [0_u8; COLUMNS];
    for (number, octets) in text.chunks(OCTETS).enumerate() {
        if number > 0 {
            out.extend_from_slice(line_end);
        }
        // 57 octets fill 76 characters exactly, so the slice always suffices.
        let written = STANDARD.encode_slice(octets, &mut line).unwrap_or_default();
        out.extend_from_slice(line.get(..written).unwrap_or_default());
    }
    out.extend_from_slice(like.get(tail..).unwrap_or_default());
    out
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

        let encoded = encode_like(b"\r\nAAAA\r\n\r\n", &text, b"\r\n");

        assert!(encoded.starts_with(b"\r\neHh4") && encoded.ends_with(b"==\r\n\r\n"));
        assert_eq!(decode(&encoded).unwrap(), text);
        assert!(
            encoded
                .split(|octet| *octet == b'\n')
                .all(|line| line.len() <= 77)
        );
        assert_eq!(encode_like(b"AAAA", b"abc", b"\r\n"), b"YWJj");
    }
}
