// SPDX-License-Identifier: GPL-3.0-or-later
//! Own artefacts in plain text.

use std::ops::Range;

use super::{super::disclosure::known_lines, Cut, Own, one_line};

impl Own<'_> {
    /// `charset` is that in which something may be written; `None` stands for ASCII.
    pub(super) fn in_plain(
        &self,
        text: &[u8],
        charset: Option<&'static encoding_rs::Encoding>,
    ) -> Vec<Cut> {
        let encoding = charset.unwrap_or(encoding_rs::UTF_8);
        let mut cuts = Vec::new();
        for (range, destination) in self.urls_in(text) {
            match destination {
                Some(destination) => {
                    let (octets, _, has_unmappable) = encoding.encode(&destination);
                    if !has_unmappable && (charset.is_some() || octets.is_ascii()) {
                        cuts.push((range, octets.into_owned()));
                    }
                }
                None => {
                    cuts.push((paragraph_around(range, text, encoding), Vec::new()));
                }
            }
        }
        cuts
    }
}

/// Finds the paragraph that ends in the link to the recipient's page: its lines, quoted or not, and the empty one
/// before them; or the link alone.
fn paragraph_around(
    url: Range<usize>,
    text: &[u8],
    encoding: &'static encoding_rs::Encoding,
) -> Range<usize> {
    let known = known_lines();
    let line_start = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        memchr::memrchr(b'\n', before).map_or(0, |place| place + 1)
    };
    let mut start = line_start(url.start);
    let mut words = String::new();
    for _ in 0..6 {
        if start == 0 {
            break;
        }
        let line_end = start;
        start = line_start(start - 1);
        let (line, _) =
            encoding.decode_without_bom_handling(text.get(start..line_end).unwrap_or_default());
        let line = line.trim_start_matches(['>', ' ', '\t']);
        words = one_line(&format!("{line} {words}"));
        let sentence = words.strip_suffix(':').unwrap_or(&words);
        if !known.contains(sentence) {
            continue;
        }
        let rest = text.get(url.end..).unwrap_or_default();
        let has_end = memchr::memchr(b'\n', rest);
        let end = has_end.map_or(text.len(), |place| url.end + place + 1);
        // The empty line before goes with it, and without a line end after it also the one before that.
        if start > 0 {
            let empty = line_start(start - 1);
            let is_empty = text
                .get(empty..start)
                .unwrap_or_default()
                .iter()
                .all(|octet| matches!(octet, b'>' | b' ' | b'\t' | b'\r' | b'\n'));
            if is_empty {
                start = empty;
                if has_end.is_none() {
                    let before = text.get(..start).unwrap_or_default();
                    let before = before.strip_suffix(b"\n").unwrap_or(before);
                    start = before.strip_suffix(b"\r").unwrap_or(before).len();
                }
            }
        }
        return start..end;
    }
    with_blanks_before(url, text)
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
