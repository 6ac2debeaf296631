// SPDX-License-Identifier: GPL-3.0-or-later
//! Edits: ranges of a text and what is to stand in their place. Everything outside the ranges keeps its bytes.

use std::ops::Range;

/// Replacements in the order of their places, none overlapping; an empty range inserts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits {
    /// Every replacement text, one after the other.
    text: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Clone, Debug)]
struct Span {
    range: Range<usize>,
    text: Range<usize>,
}

impl Edits {
    /// Makes room for edits of a usual length.
    pub(crate) fn reserve(&mut self, count: usize, length: usize) {
        let count = count.min(1000);
        self.spans.reserve(count);
        self.text.reserve(count * length);
    }

    /// Adds an edit behind those that are there. Returns false, and adds nothing, if it would overlap them.
    pub(crate) fn push(&mut self, range: Range<usize>, text: &[u8]) -> bool {
        if range.start < self.end() || range.end < range.start {
            return false;
        }
        let start = self.text.len();
        self.text.extend_from_slice(text);
        self.spans.push(Span {
            range,
            text: start..self.text.len(),
        });
        true
    }

    /// Inserts a text at a place, before what else is done there.
    pub(crate) fn insert(&mut self, place: usize, text: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        let number = self.spans.partition_point(|span| span.range.start < place);
        let text = start..self.text.len();
        self.spans.insert(
            number,
            Span {
                range: place..place,
                text,
            },
        );
    }

    /// Returns how many octets all replacements have.
    pub(crate) fn growth(&self) -> usize {
        self.text.len()
    }

    /// Returns where the last edit ends.
    pub(crate) fn end(&self) -> usize {
        self.spans.last().map_or(0, |span| span.range.end)
    }

    /// Tells whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns each range with its replacement.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        self.spans.iter().map(|span| {
            let text = self.text.get(span.text.clone()).unwrap_or_default();
            (span.range.clone(), text)
        })
    }

    /// Returns the edited text in pieces: what is kept and what is new, in turn.
    pub(crate) fn pieces<'a>(&'a self, original: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut from = 0;
        let kept_and_new = self.iter().flat_map(move |(range, text)| {
            let kept = original.get(from..range.start).unwrap_or_default();
            from = range.end;
            [kept, text]
        });
        kept_and_new.chain([original.get(self.end()..).unwrap_or_default()])
    }

    /// Carries the edits out.
    pub(crate) fn apply(&self, original: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(original.len() + self.growth());
        for piece in self.pieces(original) {
            text.extend_from_slice(piece);
        }
        text
    }

    /// Tells whether `edited` is `original` with these edits and no other difference.
    pub(crate) fn explain(&self, original: &[u8], edited: &[u8]) -> bool {
        let mut rest = Some(edited);
        for piece in self.pieces(original) {
            rest = rest.and_then(|rest| rest.strip_prefix(piece));
        }
        rest == Some(b"")
    }
}

/// A text that is being written anew from another: what is not replaced is copied.
pub(crate) struct Copy<'a> {
    original: &'a [u8],
    /// How far the original has been copied or replaced.
    from: usize,
    out: Vec<u8>,
}

impl<'a> Copy<'a> {
    /// Begins a copy that will grow by about so many octets.
    pub(crate) fn new(original: &'a [u8], growth: usize) -> Self {
        Self {
            original,
            from: 0,
            out: Vec::with_capacity(original.len() + growth),
        }
    }

    /// Copies up to a range, and lets what stands in its place be written. Ranges come in their order.
    pub(crate) fn replace(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let kept = self.original.get(self.from..range.start);
        self.out.extend_from_slice(kept.unwrap_or_default());
        write(&mut self.out);
        self.from = range.end;
    }

    /// Copies the rest.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let rest = self.original.get(self.from..).unwrap_or_default();
        self.out.extend_from_slice(rest);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_replace_and_insert_in_order() {
        let mut edits = Edits::default();

        assert!(edits.push(1..3, b"XYZ"));
        assert!(edits.push(3..3, b"!"));
        assert!(!edits.push(2..4, b"overlap"));
        assert!(edits.push(6..6, b"?"));
        edits.insert(5, b"+");

        assert_eq!(edits.apply(b"abcdef"), b"aXYZ!de+f?");
        assert!(edits.explain(b"abcdef", b"aXYZ!de+f?"));
        assert!(!edits.explain(b"abcdef", b"aXYZ!dE+f?"));
        assert!(!edits.explain(b"abcdef", b"aXYZ!de+f?x"));
    }

    #[test]
    fn copy_keeps_what_is_not_replaced() {
        let mut copy = Copy::new(b"abcdef", 4);

        copy.replace(1..3, |out| out.extend_from_slice(b"XYZ"));
        copy.replace(3..3, |out| out.push(b'!'));

        assert_eq!(copy.finish(), b"aXYZ!def");
    }
}
