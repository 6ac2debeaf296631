// SPDX-License-Identifier: GPL-3.0-or-later
//! Own artefacts in plain text.

use std::ops::Range;

use encoding_rs::Encoding;

use super::{
    super::disclosure::{KnownWords, LONGEST_KNOWN_LINE},
    Cut, Own, one_line, word_starts,
};

/// Disclosures that are looked for before the URL of a recipient's page; of more than these, the URLs alone go.
const MOST_DISCLOSURES: usize = 200;

/// How far before its URL a disclosure may begin: its words, with the marks of quotation of a dozen levels.
const REACH: usize = 2 * LONGEST_KNOWN_LINE;

impl Own<'_> {
    /// `charset` is that in which something may be written; `None` stands for ASCII.
    pub(super) fn in_plain(&self, text: &[u8], charset: Option<&'static Encoding>) -> Vec<Cut> {
        let encoding = charset.unwrap_or(encoding_rs::UTF_8);
        let known = KnownWords::of_all_languages();
        let mut cuts = Vec::new();
        let mut pages = 0;
        for (range, destination) in self.urls_in(text) {
            let Some(destination) = destination else {
                pages += 1;
                let found = (pages <= MOST_DISCLOSURES)
                    .then(|| disclosure_before(&range, text, encoding, &known));
                let cut = found.flatten().unwrap_or_else(|| alone(range, text));
                cuts.push((cut, Vec::new()));
                continue;
            };
            let (octets, _, has_unmappable) = encoding.encode(&destination);
            if !has_unmappable && (charset.is_some() || octets.is_ascii()) {
                cuts.push((range, octets.into_owned()));
            }
        }
        cuts
    }
}

/// Finds the disclosure that ends in the URL of the recipient's page: whole lines where there is nothing else in them,
/// with the empty one before them.
fn disclosure_before(
    url: &Range<usize>,
    text: &[u8],
    encoding: &'static Encoding,
    known: &KnownWords,
) -> Option<Range<usize>> {
    let floor = url.start.saturating_sub(REACH);
    let before = text.get(floor..url.start)?;
    let start = word_starts(before)
        .map(|start| floor + start)
        .find(|start| {
            let words = text.get(*start..url.start).unwrap_or_default();
            known.is_line(&words_of(words, encoding))
        })?;
    let rest = text.get(url.end..).unwrap_or_default();
    let closing = rest.iter().take_while(|octet| is_around(**octet)).count();
    let blanks = rest
        .iter()
        .skip(closing)
        .take_while(|octet| is_blank(**octet));
    let end = url.end + closing + blanks.count();
    let line = line_start(start, text);
    let is_marked = |octet: &u8| *octet == b'>' || is_blank(*octet);
    let begins_line = text.get(line..start)?.iter().all(is_marked);
    let line_end = match text.get(end..)? {
        [] => 0,
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        // Somebody has written behind it.
        _ => return Some(start..end),
    };
    if begins_line {
        Some(with_empty_line(line..end + line_end, line_end == 0, text))
    } else {
        Some(with_blanks_before(start..end, text))
    }
}

/// Returns words as one line, without marks of quotation and what mail programs put around the address of a link.
fn words_of(octets: &[u8], encoding: &'static Encoding) -> String {
    let (text, _) = encoding.decode_without_bom_handling(octets);
    let lines = text
        .split('\n')
        .map(|line| line.trim_start_matches(['>', ' ', '\t']));
    let words: String = lines.flat_map(|line| [line, " "]).collect();
    let words = one_line(&words.replace(['<', '[', ']', '('], " "));
    words
        .strip_suffix(':')
        .unwrap_or(&words)
        .trim_end()
        .to_owned()
}

/// Adds the empty line before; where no line end follows, also that before it.
fn with_empty_line(range: Range<usize>, is_last: bool, text: &[u8]) -> Range<usize> {
    let Some(before) = range.start.checked_sub(1) else {
        return range;
    };
    let empty = line_start(before, text);
    let line = text.get(empty..range.start).unwrap_or_default();
    if !line
        .iter()
        .all(|octet| *octet == b'>' || octet.is_ascii_whitespace())
    {
        return range;
    }
    let mut start = empty;
    if is_last {
        let before = text.get(..start).unwrap_or_default();
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        start = before.strip_suffix(b"\r").unwrap_or(before).len();
    }
    start..range.end
}

/// Returns what is to be cut where a URL stands for itself: with the brackets around it.
fn alone(url: Range<usize>, text: &[u8]) -> Range<usize> {
    let before = url.start.checked_sub(1).and_then(|place| text.get(place));
    let range = match (before, text.get(url.end)) {
        (Some(b'<'), Some(b'>')) | (Some(b'('), Some(b')')) | (Some(b'['), Some(b']')) => {
            url.start - 1..url.end + 1
        }
        _ => url,
    };
    with_blanks_before(range, text)
}

/// Where a range reaches to the end of its line, adds the blanks before it: one that ends a line would join it to the next
/// in flowed text.
fn with_blanks_before(range: Range<usize>, text: &[u8]) -> Range<usize> {
    let after = text.get(range.end..).unwrap_or_default();
    if !matches!(after, [] | [b'\r' | b'\n', ..]) {
        return range;
    }
    let before = text.get(..range.start).unwrap_or_default();
    let blanks = before.iter().rev().take_while(|octet| **octet == b' ');
    range.start - blanks.count()..range.end
}

fn line_start(at: usize, text: &[u8]) -> usize {
    let before = text.get(..at).unwrap_or_default();
    memchr::memrchr(b'\n', before).map_or(0, |place| place + 1)
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// What stands behind the URL of a disclosure and belongs to it.
fn is_around(octet: u8) -> bool {
    matches!(octet, b'>' | b')' | b']')
}
