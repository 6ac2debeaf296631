// SPDX-License-Identifier: GPL-3.0-or-later
//! The self-check: the edited message is read again from its bytes before it may replace the original.
//!
//! Parts that were not edited must be byte-equal; edited ones must decode to the original text with the planned edits
//! and no other difference; every tracked link must resolve to its destination, the pixel stand there once, the
//! disclosure once; no line may have grown past what mail can carry.

use common::tracking_url::{self, Artefact};

use super::{
    html::{
        destination_of,
        locate::{Wish, locate},
    },
    session::Session,
    splice::Edits,
    structure::{Part, Structure, Transfer},
    transfer::{Decoded, LONGEST_LINE},
    work::{Planned, Work},
};
use crate::message::Message;

/// Tells whether the edited message is what it should be.
pub(crate) fn passes(
    old: &Message,
    old_structure: &Structure,
    new: &Message,
    body: &Edits,
    works: &[Work<'_>],
    session: &Session<'_>,
    pixel: &str,
) -> bool {
    let Ok(structure) = Structure::of(new) else {
        return false;
    };
    if !body.explain(&old.body, &new.body)
        || structure.line_end != old_structure.line_end
        || structure.parts.len() != old_structure.parts.len()
    {
        return false;
    }
    let edited = |part: &Part| {
        works
            .iter()
            .find(|work| work.planned.is_some() && work.part.path == part.path)
    };
    let parts = old_structure.parts.iter().zip(&structure.parts);
    let mut pixels = 0;
    for (before, after) in parts {
        let work = edited(before);
        if !is_same_part(old, before, new, after, work) {
            return false;
        }
        if let Some(work) = work {
            match check_part(work, after, new, session, pixel) {
                Some(found) => pixels += found,
                None => return false,
            }
        }
    }
    pixels == usize::from(works.iter().any(|work| work.record.pixel))
}

/// Compares what a part says about itself and, if it was not edited, what it holds.
fn is_same_part(
    old: &Message,
    before: &Part,
    new: &Message,
    after: &Part,
    work: Option<&Work<'_>>,
) -> bool {
    let is_recoded = work.is_some_and(|work| work.record.recoded);
    let transfer = if is_recoded {
        Transfer::QuotedPrintable
    } else {
        before.transfer
    };
    before.path == after.path
        && before.media == after.media
        && before.charset == after.charset
        && before.boundary() == after.boundary()
        && before.disposition == after.disposition
        && after.transfer == transfer
        && (is_recoded || old.body.get(before.header.clone()) == new.body.get(after.header.clone()))
        && (work.is_some()
            || before.is_multipart()
            || old.body.get(before.body.clone()) == new.body.get(after.body.clone()))
}

/// Checks an edited part and returns the number of pixels in it.
fn check_part(
    work: &Work<'_>,
    after: &Part,
    new: &Message,
    session: &Session<'_>,
    pixel: &str,
) -> Option<usize> {
    let encoded = new.body.get(after.body.clone())?;
    let decoded = Decoded::new(encoded, after.transfer).ok()?;
    let original = &work.decoded.as_ref()?.text;
    let is_explained = work.edits.explain(original, &decoded.text);
    let longest = longest_line(encoded);
    let is_short = longest <= LONGEST_LINE || longest <= longest_line(work.encoded);
    let is_ascii = work.encoded.is_ascii() <= encoded.is_ascii();
    if !is_explained || !is_short || !is_ascii {
        return None;
    }
    match &work.planned {
        Some(Planned::Html(_)) => check_html(work, &decoded.text, session, pixel),
        Some(Planned::Plain(_)) => check_plain(work, session),
        None => None,
    }
}

/// Checks the links of a plain-text part: that nothing else changed has been seen by comparing the texts.
fn check_plain(work: &Work<'_>, session: &Session<'_>) -> Option<usize> {
    let original = &work.decoded.as_ref()?.text;
    let mut tracked = 0;
    for (range, text) in work.edits.iter() {
        if range.is_empty() || text.is_empty() {
            // The disclosure, or the mark of an opt-out.
            continue;
        }
        let url = std::str::from_utf8(text).ok()?;
        let artefact = tracking_url::recognise(session.base, url)?;
        let opened = tracking_url::verify(session.plan.keys, &artefact)?;
        let Artefact::Link { destination, .. } = artefact else {
            return None;
        };
        let number = usize::from(opened.ordinal).checked_sub(1)?;
        if session.destinations.get(number) != Some(&destination)
            || original.get(range) != Some(destination.as_bytes())
        {
            return None;
        }
        tracked += 1;
    }
    (tracked == tracked_in(work)).then_some(0)
}

fn tracked_in(work: &Work<'_>) -> usize {
    let links = work.record.links.iter();
    links.filter(|link| link.ordinal.is_some()).count()
}

fn check_html(work: &Work<'_>, text: &[u8], session: &Session<'_>, pixel: &str) -> Option<usize> {
    let encoding = work.charset?.encoding;
    let located = locate(text, encoding, Wish::Check)?;
    let mut tracked = 0;
    for anchor in &located.anchors {
        let url = destination_of(&anchor.raw);
        if let Some(artefact @ Artefact::Link { .. }) = tracking_url::recognise(session.base, &url)
        {
            let opened = tracking_url::verify(session.plan.keys, &artefact)?;
            let Artefact::Link { destination, .. } = artefact else {
                return None;
            };
            let number = usize::from(opened.ordinal).checked_sub(1)?;
            if session.destinations.get(number) != Some(&destination)
                || opened.message != session.plan.message
            {
                return None;
            }
            tracked += 1;
        }
    }
    let expected = tracked_in(work);
    // Nothing was seen as a link that was none before, except the one in the disclosure.
    let is_same = session.plan.links.in_html()
        == (work.record.links.len() + 1 == located.anchors.len())
        || !session.plan.links.in_html();
    let disclosures = located
        .blocks
        .iter()
        .filter(|block| block.is_disclosure && block.end.is_some())
        .count();
    let pixels = located
        .blocks
        .iter()
        .filter(|block| matches!(&block.address, Some((_, source)) if source == pixel))
        .count();
    (tracked == expected && is_same && disclosures == 1).then_some(pixels)
}

fn longest_line(text: &[u8]) -> usize {
    let mut start = 0;
    let mut longest = 0;
    for end in memchr::memchr_iter(b'\n', text) {
        longest = longest.max(end - start);
        start = end + 1;
    }
    // A CR before each LF was counted; the last line may lack its end.
    longest
        .saturating_sub(usize::from(text.contains(&b'\r')))
        .max(text.len() - start)
}
