// SPDX-License-Identifier: GPL-3.0-or-later
//! The disclosure in quoted HTML: what goes together with the link to the recipient's page.
//!
//! Mail programs drop attributes and wrap what they quote, and people write into it. So words are cut out only if they
//! are those of a disclosure, and an element only if it holds nothing else.

use std::ops::Range;

use encoding_rs::Encoding;

use super::{
    super::{
        disclosure::{KnownWords, LONGEST_KNOWN_LINE},
        html::{
            destination_of,
            locate::{Block, BlockKind, Located},
            tag,
        },
    },
    Own, one_line, word_starts,
};

/// What is read to find a known line, which may be written with entities.
const LONGEST_TEXT: usize = 6 * LONGEST_KNOWN_LINE;

/// An HTML part in which disclosures are looked for.
pub(super) struct Page<'a> {
    own: &'a Own<'a>,
    html: &'a [u8],
    located: &'a Located,
    encoding: &'static Encoding,
    known: KnownWords,
}

impl<'a> Page<'a> {
    pub(super) fn new(
        own: &'a Own<'a>,
        html: &'a [u8],
        located: &'a Located,
        encoding: &'static Encoding,
    ) -> Self {
        Self {
            own,
            html,
            located,
            encoding,
            known: KnownWords::of_all_languages(),
        }
    }

    /// Finds what to cut with the link to the recipient's page: the widest element that holds a disclosure and nothing
    /// else, or the sentence before the link and the link, or the link. Nothing if the link says something else.
    pub(super) fn disclosure_with(&self, anchor: &Block) -> Vec<Range<usize>> {
        let Some(end) = &anchor.end else {
            return Vec::new();
        };
        let inside = anchor.start.end..end.start;
        let invitation = self.text_of(&inside).unwrap_or_default();
        if !self.known.is_invitation(&one_line(&invitation)) || !self.is_bare(&inside) {
            return Vec::new();
        }
        if let Some(element) = self.element_around(anchor) {
            return vec![element];
        }
        let mut cuts = self.sentence_before(anchor.start.start, invitation);
        cuts.push(anchor.start.start..end.end);
        cuts
    }

    fn element_around(&self, anchor: &Block) -> Option<Range<usize>> {
        let mut widest = None;
        // From the innermost outwards.
        for block in self.located.blocks.iter().rev() {
            let Some(end) = block.end.as_ref().filter(|end| {
                block.kind == BlockKind::Container
                    && block.start.start < anchor.start.start
                    && end.start >= anchor.start.end
            }) else {
                continue;
            };
            let inside = block.start.end..end.start;
            let Some(text) = self.text_of(&inside) else {
                break;
            };
            // Without one of its cells, a row would be another.
            let is_cell = tag::is_named(self.html.get(block.start.clone())?, "td");
            let range = if is_cell {
                inside
            } else {
                block.start.start..end.end
            };
            if self.known.is_line(&one_line(&text)) && self.is_bare(&range) {
                widest = Some(if is_cell {
                    range
                } else {
                    self.with_line_end(range)
                });
            }
        }
        widest
    }

    fn with_line_end(&self, range: Range<usize>) -> Range<usize> {
        let end = match self.html.get(range.end..).unwrap_or_default() {
            [b'\r', b'\n', ..] => range.end + 2,
            [b'\n', ..] => range.end + 1,
            _ => range.end,
        };
        range.start..end
    }

    /// Finds the sentence that stands directly before a place and is a disclosure together with the words of the link
    /// there, piece by piece; nothing if another does.
    fn sentence_before(&self, place: usize, invitation: String) -> Vec<Range<usize>> {
        let texts = &self.located.texts;
        let before = texts.partition_point(|text| text.end <= place);
        let mut pieces = Vec::new();
        let mut line = invitation;
        for piece in texts.get(..before).unwrap_or_default().iter().rev() {
            let raw = self.html.get(piece.clone()).unwrap_or_default();
            for start in word_starts(raw) {
                let words = self.decoded(raw.get(start..).unwrap_or_default());
                let words = one_line(&format!("{words}{line}"));
                if self.known.is_line(&words) {
                    pieces.push(piece.start + start..piece.end);
                    return pieces;
                }
                if words.len() > LONGEST_KNOWN_LINE {
                    return Vec::new();
                }
            }
            line.insert_str(0, &self.decoded(raw));
            pieces.push(piece.clone());
        }
        Vec::new()
    }

    /// Returns the visible text of a range; `None` if it is longer than any known line.
    fn text_of(&self, range: &Range<usize>) -> Option<String> {
        let texts = &self.located.texts;
        let first = texts.partition_point(|text| text.end <= range.start);
        let mut text = String::new();
        for piece in texts.get(first..).unwrap_or_default() {
            if piece.start >= range.end {
                break;
            }
            let raw = self.html.get(piece.clone()).unwrap_or_default();
            if text.len() + raw.len() > LONGEST_TEXT {
                return None;
            }
            text.push_str(&self.decoded(raw));
        }
        Some(text)
    }

    fn decoded(&self, raw: &[u8]) -> String {
        let (decoded, _) = self.encoding.decode_without_bom_handling(raw);
        htmlize::unescape(decoded.as_ref()).into_owned()
    }

    /// Tells whether a range holds no picture but our pixel, no link but that to the recipient's page, and no markup but
    /// such as shapes text.
    fn is_bare(&self, range: &Range<usize>) -> bool {
        let is_inside = |block: &&Block| range.contains(&block.start.start);
        let mut addresses = self
            .located
            .blocks
            .iter()
            .filter(is_inside)
            .filter_map(|block| {
                let url = destination_of(block.address.as_ref()?.raw(self.html));
                Some((block.kind, url))
            });
        shapes_only_text(self.html.get(range.clone()).unwrap_or_default())
            && addresses.all(|(kind, url)| match kind {
                BlockKind::Anchor => self.own.is_choices(&url),
                BlockKind::Container => true,
                BlockKind::Image => self.own.is_pixel(&url),
            })
    }
}

/// Elements that show nothing of their own, and the two that are looked at besides.
pub(crate) const SHAPING: [&str; 23] = [
    "a",
    "b",
    "big",
    "blockquote",
    "br",
    "center",
    "code",
    "div",
    "em",
    "font",
    "i",
    "img",
    "o:p",
    "p",
    "small",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "tr",
    "u",
    "wbr",
];

/// Tells whether all tags in a stretch of HTML are of elements that shape text, and none has a picture for its background.
/// What looks like a tag counts as one.
fn shapes_only_text(html: &[u8]) -> bool {
    let holds = |what: &[u8]| {
        let mut places = html.windows(what.len());
        places.any(|octets| octets.eq_ignore_ascii_case(what))
    };
    !holds(b"background=")
        && !holds(b"url(")
        && memchr::memchr_iter(b'<', html).all(|place| {
            let tag = html.get(place..).unwrap_or_default();
            match tag.get(1) {
                Some(b'/') => true,
                Some(_) => SHAPING.iter().any(|name| tag::is_named(tag, name)),
                None => false,
            }
        })
}
