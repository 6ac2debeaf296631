// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads the new HTML as a program would that shows it.

use std::ops::Range;

use super::{
    super::{
        html::{
            Before, HtmlEdit, destination_of,
            locate::{Anchor, Located, Wish, locate},
            tag,
        },
        record::{LinkReason, LinkRecord},
        rules,
        splice::Edits,
        work::Work,
    },
    Flaw, Intended, check_link, demand,
};

/// Checks an edited part, given its new text, and returns the number of pixels in it.
pub(super) fn check(
    intended: &Intended<'_>,
    work: &Work<'_>,
    edit: &HtmlEdit,
    text: &[u8],
) -> Result<usize, Flaw> {
    let encoding = work.charset.ok_or("charset")?.encoding;
    let located = locate(text, encoding, Wish::Check).ok_or("markup")?;
    demand(located.is_open_ended, "end of the markup")?;
    check_edits(work, edit)?;
    let start = Shift::of(&work.edits).follow(work.disclosed.start);
    let block = start..start + work.disclosed.len();
    check_disclosure(edit, text, &block)?;
    check_links(intended, work, edit, text, &located, &block)?;
    count_pixels(&located, text, &intended.artefacts.pixel, &block)
}

/// Checks that each edit is the disclosure, the value of a tracked link, or what asked for a link to be left alone; so
/// everything else, visible text and links included, is as it was.
fn check_edits(work: &Work<'_>, edit: &HtmlEdit) -> Result<(), Flaw> {
    let flaw = "kind of an edit";
    let records = work.record.links.iter().map(Some);
    let mut links = edit
        .anchors
        .iter()
        .zip(records.chain(std::iter::repeat(None)))
        .peekable();
    let mut disclosures = 0;
    for (range, text) in work.edits.iter() {
        if work.is_disclosure(&range, text) {
            disclosures += 1;
            continue;
        }
        while links
            .next_if(|(anchor, _)| anchor.inside < range.end)
            .is_some()
        {}
        let (anchor, record) = links.peek().ok_or(flaw)?;
        let is_meant = match record.and_then(|record| record.ordinal) {
            Some(_) => range == anchor.href.place,
            None => {
                let is_opt_out = |(place, rest): &(Range<usize>, String)| {
                    *place == range && rest.as_bytes() == text
                };
                !anchor.is_quoted
                    && (anchor.opt_outs.iter().any(is_opt_out)
                        || scheme_mark(anchor, work.text()) == Some(range) && text.is_empty())
            }
        };
        demand(is_meant, flaw)?;
    }
    demand(disclosures == 1, "disclosure")
}

/// Finds the mark in a scheme by which an author opted a link out.
fn scheme_mark(anchor: &Anchor, html: &[u8]) -> Option<Range<usize>> {
    let place = &anchor.href.place;
    let value = html.get(place.clone())?;
    let lead = value.len() - value.trim_ascii_start().len();
    let url = std::str::from_utf8(value.get(lead..)?).ok()?;
    let mark = rules::opt_out_in_scheme(url)?;
    Some(place.start + lead + mark.start..place.start + lead + mark.end)
}

/// Checks that the disclosure is one block, and where it stands.
fn check_disclosure(edit: &HtmlEdit, text: &[u8], block: &Range<usize>) -> Result<(), Flaw> {
    let shown = text.get(block.clone()).unwrap_or_default();
    let is_block = tag::is_named(shown, "div")
        && shown.trim_ascii_end().ends_with(b"</div>")
        && memchr::memmem::find_iter(shown, b"<div").count() == 1
        && memchr::memmem::find_iter(shown, b"</div").count() == 1;
    demand(is_block, "disclosure")?;
    let after = text.get(block.end..).unwrap_or_default();
    let is_there = match edit.before {
        Before::BodyEnd => tag::is_named(after, "/body"),
        Before::End => after.is_empty(),
        // What is quoted comes after it: see where links are checked.
        Before::Quote => !after.is_empty(),
    };
    demand(is_there, "place of the disclosure")
}

/// Checks that each link is where it was, that those that are tracked lead where they led, and that all others are as they
/// were.
fn check_links(
    intended: &Intended<'_>,
    work: &Work<'_>,
    edit: &HtmlEdit,
    text: &[u8],
    located: &Located,
    block: &Range<usize>,
) -> Result<(), Flaw> {
    let old = work.text();
    let mut shift = Shift::of(&work.edits);
    let mut records = work.record.links.iter();
    let mut before = edit.anchors.iter();
    let mut disclosures = 0;
    for anchor in &located.anchors {
        let place = &anchor.href.place;
        if block.contains(&place.start) {
            disclosures += 1;
            let url = anchor.href.raw(text);
            demand(url == intended.artefacts.choices, "disclosure")?;
            continue;
        }
        let before = before.next().ok_or("number of links")?;
        demand(
            shift.follow(before.href.place.start) == place.start
                && shift.follow(before.inside) == anchor.inside,
            "place of a link",
        )?;
        let is_late = place.start > block.start;
        demand(
            is_late || !before.is_quoted || edit.before != Before::Quote,
            "place of the disclosure",
        )?;
        let record = records.next();
        match record.and_then(|record| record.ordinal) {
            Some(ordinal) => {
                let url = destination_of(anchor.href.raw(text));
                let destination = destination_of(before.href.raw(old));
                check_link(intended.session, &url, ordinal, &destination)?;
            }
            None => {
                let value = text.get(place.clone()).unwrap_or_default();
                demand(
                    is_left_alone(before, old, value, record),
                    "link to be left alone",
                )?;
            }
        }
    }
    demand(
        before.next().is_none() && records.next().is_none(),
        "number of links",
    )?;
    demand(disclosures == 1, "disclosure")
}

/// Tells whether the new value of a link is the old one, the mark of an opt-out aside.
fn is_left_alone(before: &Anchor, old: &[u8], new: &[u8], record: Option<&LinkRecord>) -> bool {
    let place = &before.href.place;
    let value = old.get(place.clone()).unwrap_or_default();
    let is_opted_out = record.is_some_and(|record| record.skipped == Some(LinkReason::OptedOut));
    match scheme_mark(before, old).filter(|_| is_opted_out && value.len() != new.len()) {
        Some(mark) => {
            let mut edits = Edits::default();
            edits.push(mark.start - place.start..mark.end - place.start, b"");
            edits.explain(value, new)
        }
        None => value == new,
    }
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

/// Follows places of a text, from first to last, to where they are after edits.
pub(super) struct Shift<'a, I: Iterator<Item = (Range<usize>, &'a [u8])>> {
    edits: std::iter::Peekable<I>,
    grown: usize,
    shrunk: usize,
}

impl<'a> Shift<'a, std::iter::Empty<(Range<usize>, &'a [u8])>> {
    pub(super) fn of(
        edits: &'a Edits,
    ) -> Shift<'a, impl Iterator<Item = (Range<usize>, &'a [u8])> + use<'a>> {
        Shift {
            edits: edits.iter().peekable(),
            grown: 0,
            shrunk: 0,
        }
    }
}

impl<'a, I: Iterator<Item = (Range<usize>, &'a [u8])>> Shift<'a, I> {
    /// Returns the new place of what stands at `place`, or ends there: what is inserted there comes after it.
    pub(super) fn follow(&mut self, place: usize) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

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
