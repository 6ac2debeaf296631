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

    /// Carries the edits out.
    pub(crate) fn apply(&self, original: &[u8]) -> Vec<u8> {
        apply(self.iter(), original)
    }

    /// Tells whether `edited` is `original` with these edits and no other difference.
    pub(crate) fn explain(&self, original: &[u8], edited: &[u8]) -> bool {
        explain(self.iter(), original, edited)
    }
}

/// Edits with few and large replacements, each kept as it was made.
#[derive(Debug, Default)]
pub(crate) struct LargeEdits(Vec<(Range<usize>, Vec<u8>)>);

impl LargeEdits {
    /// Adds an edit behind those that are there.
    pub(crate) fn push(&mut self, range: Range<usize>, text: Vec<u8>) {
        self.0.push((range, text));
    }

    /// Tells whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Carries the edits out.
    pub(crate) fn apply(&self, original: &[u8]) -> Vec<u8> {
        apply(self.iter(), original)
    }

    /// Tells whether `edited` is `original` with these edits and no other difference.
    pub(crate) fn explain(&self, original: &[u8], edited: &[u8]) -> bool {
        explain(self.iter(), original, edited)
    }

    fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        self.0
            .iter()
            .map(|(range, text)| (range.clone(), text.as_slice()))
    }
}

fn apply<'a>(edits: impl Iterator<Item = (Range<usize>, &'a [u8])>, original: &[u8]) -> Vec<u8> {
    let edits: Vec<_> = edits.collect();
    let growth: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let cut: usize = edits.iter().map(|(range, _)| range.len()).sum();
    let mut out = Vec::with_capacity((original.len() + growth).saturating_sub(cut));
    let mut from = 0;
    for (range, text) in edits {
        out.extend_from_slice(original.get(from..range.start).unwrap_or_default());
        out.extend_from_slice(text);
        from = range.end;
    }
    out.extend_from_slice(original.get(from..).unwrap_or_default());
    out
}

fn explain<'a>(
    edits: impl Iterator<Item = (Range<usize>, &'a [u8])>,
    original: &[u8],
    edited: &[u8],
) -> bool {
    let mut from = 0;
    let mut rest = edited;
    for (range, text) in edits {
        let Some(kept) = original.get(from..range.start) else {
            return false;
        };
        let Some(after) = rest
            .strip_prefix(kept)
            .and_then(|rest| rest.strip_prefix(text))
        else {
            return false;
        };
        rest = after;
        from = range.end;
    }
    original.get(from..) == Some(rest)
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

        assert_eq!(edits.apply(b"abcdef"), b"aXYZ!def?");
        assert!(edits.explain(b"abcdef", b"aXYZ!def?"));
        assert!(!edits.explain(b"abcdef", b"aXYZ!deF?"));
    }
}
