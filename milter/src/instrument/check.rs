// SPDX-License-Identifier: GPL-3.0-or-later
//! The self-check: the edited message is read again from its bytes before it may replace the original.
//!
//! Bytes outside edited parts must be equal; edited parts must decode to the original text with the planned edits and no
//! other difference. The new HTML is parsed: every link must be seen where it was and no other, every tracked one verify
//! and resolve to the destination that was read from the original, the pixel stand there once, the disclosure once. No
//! line may have grown past what mail can carry.
//!
//! A flaw is told in a word or two, for the record: it is a bug of ours.

use std::ops::Range;

use common::tracking_url::{self, Artefact};

use super::{
    Artefacts,
    html::{
        HtmlEdit, destination_of,
        locate::{Located, Wish, locate},
    },
    session::Session,
    splice::Edits,
    structure::{Part, Structure, Transfer},
    transfer::{LONGEST_LINE, read},
    work::{Planned, Work, recoding},
};
use crate::message::Message;

/// What is wrong with an edited message.
pub(crate) type Flaw = &'static str;

/// What was to become of the message.
pub(crate) struct Intended<'a> {
    pub(crate) old: &'a Message,
    pub(crate) structure: &'a Structure,
    pub(crate) works: &'a [Work<'a>],
    pub(crate) session: &'a Session<'a>,
    pub(crate) artefacts: &'a Artefacts,
}

/// Compares the edited message with what was intended.
///
/// # Errors
///
/// Returns the first difference.
pub(crate) fn check(intended: &Intended<'_>, new: &Message) -> Result<(), Flaw> {
    let structure = Structure::of(new).map_err(|_reason| "structure")?;
    demand(
        structure.line_end == intended.structure.line_end,
        "line ends",
    )?;
    demand(
        structure.parts.len() == intended.structure.parts.len(),
        "number of parts",
    )?;
    let mut pixels = 0;
    let mut kept = Kept {
        old: &intended.old.body,
        new: &new.body,
        old_at: 0,
        new_at: 0,
    };
    let mut edited = intended
        .works
        .iter()
        .filter(|work| work.planned.is_some())
        .peekable();
    for (before, after) in intended.structure.parts.iter().zip(&structure.parts) {
        let work = edited.next_if(|work| std::ptr::eq(work.part, before));
        check_description(before, after, work)?;
        match work {
            Some(work) => {
                check_header(intended, new, before, after, work, &mut kept)?;
                kept.pass(before.body.clone(), after.body.clone())?;
                pixels += check_content(intended, work, after, new)?;
            }
            // All bytes between edited parts are compared; that these are the same part is seen by its place.
            None => demand(
                before.is_multipart() || kept.is_same_place(&before.body, &after.body),
                "part that was not edited",
            )?,
        }
    }
    demand(edited.next().is_none(), "order of parts")?;
    kept.finish()?;
    let expected = usize::from(intended.works.iter().any(|work| work.record.pixel));
    demand(pixels == expected, "number of pixels")
}

fn demand(is_so: bool, flaw: Flaw) -> Result<(), Flaw> {
    if is_so { Ok(()) } else { Err(flaw) }
}

/// Everything outside edited parts, compared on the way from the first to the last.
struct Kept<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// How far both have been compared or passed.
    old_at: usize,
    new_at: usize,
}

impl Kept<'_> {
    /// Compares what stands before a pair of ranges, and passes these.
    fn pass(&mut self, old: Range<usize>, new: Range<usize>) -> Result<(), Flaw> {
        let before = self.old.get(self.old_at..old.start);
        demand(
            before.is_some() && before == self.new.get(self.new_at..new.start),
            "bytes outside edited parts",
        )?;
        self.old_at = old.end;
        self.new_at = new.end;
        Ok(())
    }

    fn finish(self) -> Result<(), Flaw> {
        let (old, new) = (self.old.len(), self.new.len());
        let mut rest = self;
        rest.pass(old..old, new..new)
    }

    fn is_same_place(&self, old: &Range<usize>, new: &Range<usize>) -> bool {
        old.len() == new.len() && old.start + self.new_at == new.start + self.old_at
    }
}

/// Compares what a part says about itself.
fn check_description(before: &Part, after: &Part, work: Option<&Work<'_>>) -> Result<(), Flaw> {
    let is_recoded = work.is_some_and(|work| work.record.recoded);
    let transfer = if is_recoded {
        Transfer::QuotedPrintable
    } else {
        before.transfer
    };
    demand(
        before.path == after.path
            && before.media == after.media
            && before.charset == after.charset
            && before.boundary() == after.boundary()
            && before.disposition == after.disposition
            && after.transfer == transfer,
        "description of a part",
    )
}

/// Compares the header section of an edited part. If its encoding changed, that is the only difference.
fn check_header(
    intended: &Intended<'_>,
    new: &Message,
    before: &Part,
    after: &Part,
    work: &Work<'_>,
    kept: &mut Kept<'_>,
) -> Result<(), Flaw> {
    if !work.record.recoded || before.header.is_empty() {
        return Ok(());
    }
    kept.pass(before.header.clone(), after.header.clone())?;
    let flaw = "header section of a part";
    let old = intended.old.body.get(before.header.clone()).ok_or(flaw)?;
    let new = new.body.get(after.header.clone()).ok_or(flaw)?;
    let (range, field) = recoding(before, intended.structure.line_end);
    let start = range.start.checked_sub(before.header.start).ok_or(flaw)?;
    let end = range.end.checked_sub(before.header.start).ok_or(flaw)?;
    let mut edits = Edits::default();
    demand(edits.push(start..end, &field), flaw)?;
    demand(edits.explain(old, new), flaw)
}

/// Checks an edited part and returns the number of pixels in it.
fn check_content(
    intended: &Intended<'_>,
    work: &Work<'_>,
    after: &Part,
    new: &Message,
) -> Result<usize, Flaw> {
    let encoded = new.body.get(after.body.clone()).ok_or("range of a part")?;
    let text = read(encoded, after.transfer).map_err(|_reason| "encoding")?;
    demand(work.edits.explain(work.text(), &text), "text")?;
    demand(
        !has_long_line(encoded) || longest_line(encoded) <= longest_line(work.encoded),
        "line length",
    )?;
    demand(
        encoded.is_ascii() || !work.encoded.is_ascii(),
        "octets beyond ASCII",
    )?;
    match &work.planned {
        Some(Planned::Html(edit)) => check_html(intended, work, edit, &text),
        Some(Planned::Plain(_)) => check_plain(intended.session, work).map(|()| 0),
        None => Ok(0),
    }
}

/// Checks the links of a plain-text part: that nothing else changed has been seen by comparing the texts.
fn check_plain(session: &Session<'_>, work: &Work<'_>) -> Result<(), Flaw> {
    let mut tracked = work.record.links.iter().filter_map(|link| link.ordinal);
    for (range, text) in work.edits.iter() {
        if range.is_empty() || text.is_empty() {
            // The disclosure, or the mark of an opt-out.
            continue;
        }
        let url = std::str::from_utf8(text).map_err(|_error| "link in plain text")?;
        let before = work.text().get(range).map(std::str::from_utf8);
        let Some((Ok(before), ordinal)) = before.zip(tracked.next()) else {
            return Err("number of links in plain text");
        };
        check_link(session, url, ordinal, before)?;
    }
    demand(tracked.next().is_none(), "number of links in plain text")
}

/// Reads the new text as a program would that shows it: each link must be where it was, and those that are tracked
/// lead where they led.
fn check_html(
    intended: &Intended<'_>,
    work: &Work<'_>,
    edit: &HtmlEdit,
    text: &[u8],
) -> Result<usize, Flaw> {
    let encoding = work.charset.ok_or("charset")?.encoding;
    let located = locate(text, encoding, Wish::Check).ok_or("markup")?;
    demand(located.is_open_ended, "end of the markup")?;
    let old = work.text();
    let mut shift = Shift::of(&work.edits);
    let block_start = Shift::of(&work.edits).follow(work.disclosed.start);
    let block = block_start..block_start + work.disclosed.len();
    let mut disclosures = 0;
    let mut records = work.record.links.iter();
    let mut before = edit.anchors.iter();
    for anchor in &located.anchors {
        let place = &anchor.href.place;
        let raw = anchor.href.raw(text);
        if block.contains(&place.start) {
            disclosures += 1;
            demand(raw == intended.artefacts.choices, "disclosure")?;
            continue;
        }
        let before = before.next().ok_or("number of links")?;
        demand(
            shift.follow(before.href.place.start) == place.start
                && shift.follow(before.inside) == anchor.inside,
            "place of a link",
        )?;
        if let Some(ordinal) = records.next().and_then(|record| record.ordinal) {
            let destination = destination_of(before.href.raw(old));
            check_link(
                intended.session,
                &destination_of(raw),
                ordinal,
                &destination,
            )?;
        }
    }
    demand(
        before.next().is_none() && records.next().is_none(),
        "number of links",
    )?;
    demand(disclosures == 1, "disclosure")?;
    count_pixels(&located, text, &intended.artefacts.pixel, &block)
}

/// Counts the pixels of this message; they stand in the disclosure.
fn count_pixels(
    located: &Located,
    text: &[u8],
    pixel: &str,
    block: &Range<usize>,
) -> Result<usize, Flaw> {
    let mut count = 0;
    for image in &located.blocks {
        let source = image.address.as_ref().map(|source| source.raw(text));
        if source == Some(pixel) {
            demand(block.contains(&image.start.start), "place of the pixel")?;
            count += 1;
        }
    }
    Ok(count)
}

/// Checks that a link is tracked as the `ordinal`-th of this message and leads to a destination.
fn check_link(
    session: &Session<'_>,
    url: &str,
    ordinal: u16,
    destination: &str,
) -> Result<(), Flaw> {
    let artefact = tracking_url::recognise(session.base, url).ok_or("tracked link")?;
    let opened = tracking_url::verify(session.plan.keys, &artefact).ok_or("signature")?;
    demand(
        opened.message == session.plan.message && opened.ordinal == ordinal,
        "number of a link",
    )?;
    demand(
        matches!(artefact, Artefact::Link { destination: found, .. } if found == destination),
        "destination",
    )
}

/// Follows places of a text, from first to last, to where they are after edits.
struct Shift<'a, I: Iterator<Item = (Range<usize>, &'a [u8])>> {
    edits: std::iter::Peekable<I>,
    grown: usize,
    shrunk: usize,
}

impl<'a> Shift<'a, std::iter::Empty<(Range<usize>, &'a [u8])>> {
    fn of(edits: &'a Edits) -> Shift<'a, impl Iterator<Item = (Range<usize>, &'a [u8])> + use<'a>> {
        Shift {
            edits: edits.iter().peekable(),
            grown: 0,
            shrunk: 0,
        }
    }
}

impl<'a, I: Iterator<Item = (Range<usize>, &'a [u8])>> Shift<'a, I> {
    /// Returns the new place of what stands at `place`, or ends there: what is inserted there comes after it.
    fn follow(&mut self, place: usize) -> usize {
        while let Some((range, text)) = self
            .edits
            .next_if(|(range, _)| range.end <= place && range.start < place)
        {
            self.grown += text.len();
            self.shrunk += range.len();
        }
        place + self.grown - self.shrunk
    }
}

/// Tells whether a line is longer than mail can carry. Looks at one octet in a thousand, where lines are not.
fn has_long_line(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        let window = rest.get(..LONGEST_LINE + 1).unwrap_or(rest);
        let end = match memchr::memrchr(b'\n', window) {
            Some(end) => end,
            None if rest.len() <= LONGEST_LINE => return false,
            // The longest line with a CR before its end, or one that is too long.
            None if rest.get(LONGEST_LINE..LONGEST_LINE + 2) == Some(b"\r\n") => LONGEST_LINE + 1,
            None => return true,
        };
        rest = rest.get(end + 1..).unwrap_or_default();
    }
}

/// Returns the length of the longest line, its end apart.
fn longest_line(text: &[u8]) -> usize {
    let lines = text.split(|octet| *octet == b'\n');
    let lengths = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).len());
    lengths.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_found_wherever_they_are() {
        for (lengths, expected) in [
            (&[0, 998, 998][..], false),
            (&[1, 997, 3], false),
            (&[998, 999], true),
            (&[999, 2], true),
            (&[3, 2000, 1], true),
            (&[500, 500, 998], false),
        ] {
            for end in ["\n", "\r\n"] {
                let lines: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
                for text in [lines.join(end), lines.join(end) + end] {
                    assert_eq!(has_long_line(text.as_bytes()), expected, "{lengths:?}");
                    assert_eq!(longest_line(text.as_bytes()) > LONGEST_LINE, expected);
                }
            }
        }
    }

    #[test]
    fn places_are_followed_through_edits() {
        let mut edits = Edits::default();
        edits.push(2..4, b"123456");
        edits.push(6..6, b"++");
        edits.push(8..9, b"");

        let mut shift = Shift::of(&edits);
        let places: Vec<usize> = [0, 2, 5, 6, 7, 8, 9, 10]
            .into_iter()
            .map(|place| shift.follow(place))
            .collect();

        assert_eq!(places, [0, 2, 9, 10, 13, 14, 14, 15]);
    }
}
