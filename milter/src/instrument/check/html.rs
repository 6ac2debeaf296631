// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads the new HTML as a program would that shows it, with a parser of its own.

use std::ops::Range;

use super::{
    super::{
        html::{Before, HtmlEdit, destination_of, locate::Anchor, opt_out, tag},
        record::{LinkReason, LinkRecord},
        splice::Edits,
        work::Work,
    },
    Flaw, Intended, check_link, demand,
    walk::{Sight, walk},
};

/// Checks an edited part, given its new text, and returns the number of pixels in it.
pub(super) fn check(
    intended: &Intended<'_>,
    work: &Work<'_>,
    edit: &HtmlEdit,
    text: &[u8],
) -> Result<usize, Flaw> {
    check_edits(work, edit)?;
    let mut look = begin(intended, work, edit, text);
    check_disclosure(edit, text, &look.block)?;
    walk(text, |sight| look.at(&sight))?;
    look.end()
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
                    && (anchor.opt_outs().iter().any(is_opt_out)
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
    let mark = opt_out::mark_in(html.get(place.clone())?)?;
    Some(place.start + mark.start..place.start + mark.end)
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
        Before::Hidden | Before::Quote => !after.is_empty(),
    };
    demand(is_there, "place of the disclosure")
}

/// What has been seen of an edited part: each link must be where it was, those that are tracked must lead where they led,
/// and all others be as they were; the pixel stands in the disclosure.
struct Look<'a, I: Iterator<Item = (Range<usize>, &'a [u8])>> {
    intended: &'a Intended<'a>,
    edit: &'a HtmlEdit,
    old: &'a [u8],
    text: &'a [u8],
    /// Where the disclosure stands.
    block: Range<usize>,
    shift: Shift<'a, I>,
    /// The links that are still to be seen, and their records.
    before: std::slice::Iter<'a, Anchor>,
    records: std::slice::Iter<'a, LinkRecord>,
    disclosures: usize,
    pixels: usize,
}

fn begin<'a>(
    intended: &'a Intended<'a>,
    work: &'a Work<'a>,
    edit: &'a HtmlEdit,
    text: &'a [u8],
) -> Look<'a, impl Iterator<Item = (Range<usize>, &'a [u8])>> {
    let start = Shift::of(&work.edits).follow(work.disclosed.start);
    Look {
        intended,
        edit,
        old: work.text(),
        text,
        block: start..start + work.disclosed.len(),
        shift: Shift::of(&work.edits),
        before: edit.anchors.iter(),
        records: work.record.links.iter(),
        disclosures: 0,
        pixels: 0,
    }
}

impl<'a, I: Iterator<Item = (Range<usize>, &'a [u8])>> Look<'a, I> {
    fn at(&mut self, sight: &Sight) -> Result<(), Flaw> {
        match sight {
            Sight::Image { start, source } => {
                if self.text.get(source.clone()) == Some(self.intended.artefacts.pixel.as_bytes()) {
                    demand(self.block.contains(start), "place of the pixel")?;
                    self.pixels += 1;
                }
                Ok(())
            }
            Sight::Link { address, .. } if self.block.contains(&address.start) => {
                self.disclosures += 1;
                let url = self.text.get(address.clone());
                let choices = self.intended.artefacts.choices.as_bytes();
                demand(url == Some(choices), "disclosure")
            }
            Sight::Link { address, inside } => self.at_link(address, *inside),
        }
    }

    fn at_link(&mut self, place: &Range<usize>, inside: usize) -> Result<(), Flaw> {
        let before = self.before.next().ok_or("number of links")?;
        demand(
            self.shift.follow(before.href.place.start) == place.start
                && self.shift.follow(before.inside) == inside,
            "place of a link",
        )?;
        let is_late = place.start > self.block.start;
        demand(
            is_late
                || !before.is_quoted
                || !matches!(self.edit.before, Before::Hidden | Before::Quote),
            "place of the disclosure",
        )?;
        let record = self.records.next();
        let value = self.text.get(place.clone()).unwrap_or_default();
        match record.and_then(|record| record.ordinal) {
            Some(ordinal) => {
                let url = std::str::from_utf8(value).ok();
                let url = url.filter(|url| url.is_ascii()).ok_or("tracked link")?;
                let destination = destination_of(before.href.raw(self.old));
                check_link(
                    self.intended.session,
                    &destination_of(url),
                    ordinal,
                    &destination,
                )
            }
            None => demand(
                is_left_alone(before, self.old, value, record),
                "link to be left alone",
            ),
        }
    }

    /// Checks that nothing is missing, and returns the number of pixels.
    fn end(mut self) -> Result<usize, Flaw> {
        demand(
            self.before.next().is_none() && self.records.next().is_none(),
            "number of links",
        )?;
        demand(self.disclosures == 1, "disclosure")?;
        Ok(self.pixels)
    }
}

/// Tells whether the new value of a link is the old one, the mark of an opt-out aside.
fn is_left_alone(before: &Anchor, old: &[u8], new: &[u8], record: Option<&LinkRecord>) -> bool {
    let place = &before.href.place;
    let value = old.get(place.clone()).unwrap_or_default();
    let is_opted_out = record.is_none_or(|record| record.skipped == Some(LinkReason::OptedOut));
    match scheme_mark(before, old).filter(|_| is_opted_out && value.len() != new.len()) {
        Some(mark) => {
            let mut edits = Edits::default();
            edits.push(mark.start - place.start..mark.end - place.start, b"");
            edits.explain(value, new)
        }
        None => value == new,
    }
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
