// SPDX-License-Identifier: GPL-3.0-or-later
//! Quoted-printable (RFC 2045, section 6.7), spliced in its encoded form.
//!
//! Decoding keeps a mark for nearly each encoded line; from the nearest mark a place of the text is found again in the
//! encoded bytes. Only what is replaced is encoded anew, with soft line breaks where a line would pass 76 characters.

use std::ops::Range;

use super::{super::splice::Edits, LONGEST_LINE};

/// Where an encoded line begins, and which place of the text that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    text: u32,
    encoded: u32,
}

/// The longest encoded line, its end apart.
const COLUMNS: usize = 76;

/// Marks stand at least so far apart, so that they take little beside what they mark, however short its lines are.
const STRIDE: usize = 60;

/// Decodes; `None` if a line is longer than mail can carry, which Postfix would break into something else, or if the
/// content is too large to be marked.
pub(super) fn decode(encoded: &[u8]) -> Option<(Vec<u8>, Vec<Mark>)> {
    u32::try_from(encoded.len()).ok()?;
    let mut marks: Vec<Mark> = Vec::with_capacity(encoded.len() / 70 + 1);
    let text = decode_lines(encoded, |text, at| {
        let is_due = |last: &Mark| at - last.encoded as usize >= STRIDE;
        if marks.last().is_none_or(is_due) {
            marks.push(Mark {
                text: u32::try_from(text).unwrap_or(u32::MAX),
                encoded: u32::try_from(at).unwrap_or(u32::MAX),
            });
        }
    })?;
    Some((text, marks))
}

/// Decodes without marks, for those who only read.
pub(super) fn read(encoded: &[u8]) -> Option<Vec<u8>> {
    decode_lines(encoded, |_text, _encoded| {})
}

/// Decodes, and tells the places in text and encoded bytes at which each line begins.
fn decode_lines(encoded: &[u8], mut begins: impl FnMut(usize, usize)) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some(rest) = encoded.get(at..).filter(|rest| !rest.is_empty()) {
        begins(text.len(), at);
        let line = Line::first_of(rest);
        if line.length > LONGEST_LINE + 2 {
            return None;
        }
        decode_line(line.content, &mut text);
        text.extend_from_slice(line.end);
        at += line.length;
    }
    Some(text)
}

/// Encodes a text and appends it; its line ends become hard line breaks.
pub(crate) fn encode(text: &[u8], line_end: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + text.len() / 8);
    Writer::new(out, line_end).put(text);
}

/// Carries edits of the text out in the encoded bytes, and appends those.
pub(super) fn splice(
    encoded: &[u8],
    marks: &[Mark],
    edits: &Edits,
    line_end: &[u8],
    out: &mut Vec<u8>,
) {
    let mut writer = Writer::new(out, line_end);
    let mut from = 0;
    let mut pending = edits
        .iter()
        .map(|(range, text)| (span_of(encoded, marks, range), text))
        .peekable();
    while let Some((span, text)) = pending.next() {
        writer.copy(encoded.get(from..span.start).unwrap_or_default());
        writer.put(text);
        from = span.end;
        let next = pending.peek().map(|(span, _)| span.start);
        if next != Some(from) && ends_line(encoded.get(from..).unwrap_or_default()) {
            writer.protect_blank();
        }
        writer.make_room(encoded, from, next);
    }
    writer.copy(encoded.get(from..).unwrap_or_default());
}

/// Tells whether the encoded form of a range is free of what RFC 2045 does not allow.
pub(super) fn is_legal(encoded: &[u8], marks: &[Mark], range: Range<usize>) -> bool {
    let mut rest = encoded
        .get(span_of(encoded, marks, range))
        .unwrap_or_default();
    while let Some(place) = memchr::memchr(b'=', rest) {
        let Some(after) = rest.get(place + 1..) else {
            return true;
        };
        let skipped = match after {
            [high, low, ..] if is_hex_pair(*high, *low) => 2,
            _ => {
                let blanks = after.len() - after.trim_ascii_start().len();
                if !after.get(..blanks).unwrap_or_default().contains(&b'\n') {
                    return false;
                }
                0
            }
        };
        rest = after.get(skipped..).unwrap_or_default();
    }
    true
}

/// An encoded line, taken apart.
struct Line<'a> {
    /// What is decoded: without padding, soft break and line end.
    content: &'a [u8],
    /// The line end that belongs to the text: none after a soft break.
    end: &'a [u8],
    /// The length of everything.
    length: usize,
}

impl<'a> Line<'a> {
    fn first_of(rest: &'a [u8]) -> Self {
        let (whole, end) = match memchr::memchr(b'\n', rest) {
            Some(place) => {
                let line = rest.get(..place).unwrap_or_default();
                let content = line.strip_suffix(b"\r").unwrap_or(line);
                (content, rest.get(content.len()..=place).unwrap_or_default())
            }
            None => (rest, &b""[..]),
        };
        let length = whole.len() + end.len();
        let padded = whole.len()
            - whole
                .iter()
                .rev()
                .take_while(|octet| matches!(octet, b' ' | b'\t'))
                .count();
        let content = whole.get(..padded).unwrap_or_default();
        match content.strip_suffix(b"=") {
            Some(content) => Self {
                content,
                end: b"",
                length,
            },
            None => Self {
                content,
                end,
                length,
            },
        }
    }
}

fn decode_line(mut line: &[u8], text: &mut Vec<u8>) {
    while let Some(place) = memchr::memchr(b'=', line) {
        let (literal, escape) = line.split_at_checked(place).unwrap_or((line, b""));
        text.extend_from_slice(literal);
        match escape {
            [_, high, low, rest @ ..] if is_hex_pair(*high, *low) => {
                text.push(hex(*high) << 4 | hex(*low));
                line = rest;
            }
            [equals, rest @ ..] => {
                text.push(*equals);
                line = rest;
            }
            [] => return,
        }
    }
    text.extend_from_slice(line);
}

/// Finds the encoded form of a range: from its first octet to its last, the soft breaks around it left out.
fn span_of(encoded: &[u8], marks: &[Mark], range: Range<usize>) -> Range<usize> {
    if range.start == range.end {
        let place = match range.start.checked_sub(1) {
            Some(before) => octet_at(encoded, marks, before).end,
            None => 0,
        };
        return place..place;
    }
    let start = octet_at(encoded, marks, range.start).start;
    start..octet_at(encoded, marks, range.end - 1).end
}

/// Finds the encoded form of the octet at a place of the text.
fn octet_at(encoded: &[u8], marks: &[Mark], place: usize) -> Range<usize> {
    let number = marks.partition_point(|mark| mark.text as usize <= place);
    let Some(mark) = number.checked_sub(1).and_then(|number| marks.get(number)) else {
        return encoded.len()..encoded.len();
    };
    let mut start = mark.encoded as usize;
    let mut left = place - mark.text as usize;
    while let Some(rest) = encoded.get(start..).filter(|rest| !rest.is_empty()) {
        let line = Line::first_of(rest);
        let mut at = 0;
        while at < line.content.len() {
            let length = match line.content.get(at..) {
                Some([b'=', high, low, ..]) if is_hex_pair(*high, *low) => 3,
                _ => 1,
            };
            if left == 0 {
                return start + at..start + at + length;
            }
            left -= 1;
            at += length;
        }
        // The line end, one octet or two. What pads the line goes with it: before anything else it would be text.
        if left < line.end.len() {
            let end = start + line.length - line.end.len() + left;
            let padded = if left == 0 {
                start + line.content.len()
            } else {
                end
            };
            return padded..end + 1;
        }
        left -= line.end.len();
        start += line.length;
    }
    encoded.len()..encoded.len()
}

/// Tells whether a line ends here, padding aside.
fn ends_line(rest: &[u8]) -> bool {
    let blanks = rest.iter().take_while(|octet| is_blank(**octet)).count();
    matches!(rest.get(blanks), None | Some(b'\r' | b'\n'))
}

fn is_hex_pair(high: u8, low: u8) -> bool {
    high.is_ascii_hexdigit() && low.is_ascii_hexdigit()
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

fn is_literal(octet: u8) -> bool {
    matches!(octet, 33..=60 | 62..=126) || is_blank(octet)
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The length of the line that is being written.
    column: usize,
    line_end: &'a [u8],
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<u8>, line_end: &'a [u8]) -> Self {
        Self {
            out,
            column: 0,
            line_end,
        }
    }

    /// Copies encoded bytes.
    fn copy(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
        match memchr::memrchr(b'\n', encoded) {
            Some(place) => self.column = encoded.len() - place - 1,
            None => self.column += encoded.len(),
        }
    }

    /// Encodes a text.
    fn put(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some((first, after)) = rest.split_first() {
            let run = self.literal_run(rest);
            if run > 0 {
                let (literal, after) = rest.split_at_checked(run).unwrap_or((rest, b""));
                self.out.extend_from_slice(literal);
                self.column += run;
                rest = after;
                continue;
            }
            let is_pair = *first == b'\r' && after.first() == Some(&b'\n');
            if *first == b'\n' || is_pair {
                self.protect_blank();
                self.out.extend_from_slice(self.line_end);
                self.column = 0;
                rest = after.get(usize::from(is_pair)..).unwrap_or_default();
                continue;
            }
            if self.column + 3 > COLUMNS - 1 {
                // In a new line it may stand for itself.
                self.soft_break();
                continue;
            }
            self.put_encoded(*first);
            rest = after;
        }
    }

    fn put_encoded(&mut self, octet: u8) {
        const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
        let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
        if self.column + 3 > COLUMNS - 1 {
            self.soft_break();
        }
        self.out
            .extend_from_slice(&[b'=', digit(octet >> 4), digit(octet & 15)]);
        self.column += 3;
    }

    /// Encodes the blank that the line would end in: as it stands, it would be padding.
    fn protect_blank(&mut self) {
        let last = self.out.last().copied().filter(|_| self.column > 0);
        if let Some(blank) = last.filter(|octet| is_blank(*octet)) {
            self.out.pop();
            self.column -= 1;
            self.put_encoded(blank);
        }
    }

    /// Counts the octets that can stand for themselves and fit the line. A blank at the end of a line cannot.
    fn literal_run(&self, text: &[u8]) -> usize {
        let room = (COLUMNS - 1).saturating_sub(self.column).min(text.len());
        let window = text.get(..room).unwrap_or_default();
        let run = window
            .iter()
            .take_while(|octet| is_literal(**octet))
            .count();
        let ends_line = matches!(text.get(run), None | Some(b'\r' | b'\n'));
        let ends_blank = window
            .get(..run)
            .is_some_and(|run| run.last().copied().is_some_and(is_blank));
        if ends_line && ends_blank {
            run - 1
        } else {
            run
        }
    }

    /// Breaks the line if what follows in it, up to its end or to the next edit, would make it too long.
    fn make_room(&mut self, encoded: &[u8], from: usize, next: Option<usize>) {
        let rest = encoded.get(from..).unwrap_or_default();
        let window = rest.get(..COLUMNS + 2).unwrap_or(rest);
        let to_end = window
            .iter()
            .position(|octet| matches!(octet, b'\r' | b'\n'))
            .unwrap_or(window.len());
        let (follows, limit) = match next.map(|next| next - from) {
            Some(to_next) if to_next <= to_end => (to_next, COLUMNS - 1),
            _ => (to_end, COLUMNS),
        };
        if follows > 0 && self.column > 0 && self.column + follows > limit {
            self.soft_break();
        }
    }

    fn soft_break(&mut self) {
        self.out.push(b'=');
        self.out.extend_from_slice(self.line_end);
        self.column = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edit(encoded: &str, edits: &[(Range<usize>, &str)]) -> String {
        let (_, marks) = decode(encoded.as_bytes()).unwrap();
        let mut list = Edits::default();
        for (range, text) in edits {
            assert!(list.push(range.clone(), text.as_bytes()));
        }
        let mut out = Vec::new();
        splice(encoded.as_bytes(), &marks, &list, b"\r\n", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decoding_follows_rfc_2045() {
        let (text, _) = decode(b"a=3D=e9  \r\nb =\r\nc=  \r\n=zz=").unwrap();

        assert_eq!(text, b"a=\xe9\r\nb c=zz");
    }

    #[test]
    fn untouched_bytes_keep_their_odd_forms() {
        let encoded = "=41=62c \t\r\n<a href=3D\"http://e=\r\n.x/=09\">t</a> =\r\n\r\nend=20\r\n";
        let (text, _) = decode(encoded.as_bytes()).unwrap();
        let start = text
            .windows(4)
            .position(|window| window == b"http")
            .unwrap();

        let edited = edit(encoded, &[(start..start + 11, "https://t.x/?u=1")]);

        assert_eq!(
            edited,
            "=41=62c \t\r\n<a href=3D\"https://t.x/?u=3D1=09\">t</a> =\r\n\r\nend=20\r\n"
        );
    }

    #[test]
    fn lines_stay_within_76_characters() {
        let line = format!("{}=\r\n{}\r\n", "x".repeat(75), "y".repeat(76));
        let long = "=".repeat(100);

        let edited = edit(&line, &[(10..11, &long), (20..20, &long), (80..80, "z")]);

        assert!(edited.lines().all(|line| line.len() <= 76), "{edited}");
        let (text, _) = decode(edited.as_bytes()).unwrap();
        assert_eq!(text.len(), 151 + 2 + 100 + 100 + 1 - 1);
        let literal = edit(&line, &[(20..20, &"z".repeat(100))]);
        assert_eq!(literal.matches('z').count(), 100, "{literal}");
    }

    #[test]
    fn blank_before_what_is_cut_out_does_not_become_padding() {
        for (encoded, range, new, expected) in [
            ("ab cd\r\nef", 3..5, "", "ab=20\r\nef"),
            ("ab\tcd \r\nef", 3..5, "", "ab=09 \r\nef"),
            ("ab cd", 3..5, "", "ab=20"),
            ("ab cd=\r\nef", 3..5, "", "ab =\r\nef"),
            ("ab =", 3..3, "\r\ncd", "ab=20\r\ncd="),
            ("ab \t\r\ncd", 2..4, "", "abcd"),
        ] {
            assert_eq!(edit(encoded, &[(range, new)]), expected, "{encoded}");
        }
    }

    #[test]
    fn illegal_sequence_in_a_span_is_noticed() {
        let encoded = b"ab=zz=\r\ncd=41";
        let (_, marks) = decode(encoded).unwrap();

        assert!(is_legal(encoded, &marks, 0..2));
        assert!(!is_legal(encoded, &marks, 1..4));
        assert!(is_legal(encoded, &marks, 4..8));
    }

    proptest! {
        #[test]
        fn splicing_encoded_bytes_is_splicing_the_text(
            encoded in "([a-z]{1,30}| [a-z]|\t[a-z]|=3D|=\r\n|\r\n|=e4|  \t\r\n){0,60}",
            cuts in proptest::collection::vec(
                (0..300_usize, 0..10_usize, "([a-z=]{1,60}| |\t|\r\n){0,4}"),
                0..6,
            ),
        ) {
            let (text, marks) = decode(encoded.as_bytes()).unwrap();
            let mut edits = Edits::default();
            let mut cuts = cuts;
            cuts.sort();
            for (start, length, new) in cuts {
                let range = start..start + length;
                let parts_a_pair = |place: usize| text.get(place) == Some(&b'\n') && place > 0;
                if range.end <= text.len() && !parts_a_pair(range.start) && !parts_a_pair(range.end) {
                    edits.push(range, new.as_bytes());
                }
            }

            let mut spliced = Vec::new();
            splice(encoded.as_bytes(), &marks, &edits, b"\r\n", &mut spliced);

            prop_assert_eq!(decode(&spliced).unwrap().0, edits.apply(&text));
            prop_assert!(encoded.lines().any(|line| line.len() > 76)
                || spliced.split(|octet| *octet == b'\n').all(|line| line.len() <= 77));
        }

        #[test]
        fn encoding_comes_back(text in "([a-zA-Z=. \u{e9}]{0,90}\r\n){0,5}") {
            let mut encoded = Vec::new();
            encode(text.as_bytes(), b"\r\n", &mut encoded);

            prop_assert!(encoded.split(|octet| *octet == b'\n').all(|line| line.len() <= 77));
            prop_assert_eq!(decode(&encoded).unwrap().0, text.as_bytes());
        }
    }
}
