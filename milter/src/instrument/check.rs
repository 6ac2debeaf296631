// SPDX-License-Identifier: GPL-3.0-or-later
//! The self-check: the edited message is read again from its bytes before it may replace the original.
//!
//! Parts that were not edited must be byte-equal; edited ones must decode to the original text with the planned edits
//! and no other difference; every tracked link must resolve to its destination, the pixel stand there once, the
//! disclosure once; no line may have grown past what mail can carry.
//!
//! A flaw is told in a word or two, for the record: it is a bug of ours.

use common::tracking_url::{self, Artefact};

use super::{
    html::{
        destination_of,
        locate::{Wish, locate},
    },
    session::Session,
    structure::{Part, Structure, Transfer},
    transfer::{Decoded, LONGEST_LINE},
    work::{Planned, Work},
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
    pub(crate) pixel: &'a str,
}

/// Compares the edited message with what was intended.
///
/// # Errors
///
/// Returns the first difference.
pub(crate) fn check(intended: &Intended<'_>, new: &Message) -> Result<(), Flaw> {
    let structure = Structure::of(new).map_err(|_reason| "structure")?;
    let old = intended.old;
    demand(
        structure.line_end == intended.structure.line_end,
        "line ends",
    )?;
    demand(
        structure.parts.len() == intended.structure.parts.len(),
        "number of parts",
    )?;
    let mut pixels = 0;
    for (before, after) in intended.structure.parts.iter().zip(&structure.parts) {
        let work = intended
            .works
            .iter()
            .find(|work| work.planned.is_some() && work.part.path == before.path);
        check_description(old, before, new, after, work)?;
        if let Some(work) = work {
            pixels += check_content(intended, work, after, new)?;
        }
    }
    let expected = usize::from(intended.works.iter().any(|work| work.record.pixel));
    demand(pixels == expected, "number of pixels")
}

fn demand(is_so: bool, flaw: Flaw) -> Result<(), Flaw> {
    if is_so { Ok(()) } else { Err(flaw) }
}

/// Compares what a part says about itself and, if it was not edited, what it holds.
fn check_description(
    old: &Message,
    before: &Part,
    new: &Message,
    after: &Part,
    work: Option<&Work<'_>>,
) -> Result<(), Flaw> {
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
    )?;
    let header =
        |message: &Message, part: &Part| message.body.get(part.header.clone()).map(<[u8]>::to_vec);
    demand(
        is_recoded || header(old, before) == header(new, after),
        "header section of a part",
    )?;
    demand(
        work.is_some()
            || before.is_multipart()
            || old.body.get(before.body.clone()) == new.body.get(after.body.clone()),
        "part that was not edited",
    )
}

/// Checks an edited part and returns the number of pixels in it.
fn check_content(
    intended: &Intended<'_>,
    work: &Work<'_>,
    after: &Part,
    new: &Message,
) -> Result<usize, Flaw> {
    let encoded = new.body.get(after.body.clone()).ok_or("range of a part")?;
    let decoded = Decoded::new(encoded, after.transfer).map_err(|_reason| "encoding")?;
    demand(work.edits.explain(work.text(), &decoded.text), "text")?;
    let longest = longest_line(encoded);
    demand(
        longest <= LONGEST_LINE || longest <= longest_line(work.encoded),
        "line length",
    )?;
    demand(
        work.encoded.is_ascii() <= encoded.is_ascii(),
        "octets beyond ASCII",
    )?;
    match &work.planned {
        Some(Planned::Html(_)) => check_html(intended, work, &decoded.text),
        Some(Planned::Plain(_)) => check_plain(intended.session, work),
        None => Ok(0),
    }
}

/// Checks the links of a plain-text part: that nothing else changed has been seen by comparing the texts.
fn check_plain(session: &Session<'_>, work: &Work<'_>) -> Result<usize, Flaw> {
    let mut tracked = 0;
    for (range, text) in work.edits.iter() {
        if range.is_empty() || text.is_empty() {
            // The disclosure, or the mark of an opt-out.
            continue;
        }
        let url = std::str::from_utf8(text).map_err(|_error| "link in plain text")?;
        let destination = destination(session, url)?.ok_or("link in plain text")?;
        demand(
            work.text().get(range) == Some(destination.as_bytes()),
            "destination in plain text",
        )?;
        tracked += 1;
    }
    demand(tracked == tracked_in(work), "number of links in plain text").map(|()| 0)
}

fn check_html(intended: &Intended<'_>, work: &Work<'_>, text: &[u8]) -> Result<usize, Flaw> {
    let encoding = work.charset.ok_or("charset")?.encoding;
    let located = locate(text, encoding, Wish::Check).ok_or("markup")?;
    let mut tracked = 0;
    for anchor in &located.anchors {
        let url = destination_of(&anchor.raw);
        if destination(intended.session, &url)?.is_some() {
            tracked += 1;
        }
    }
    demand(tracked == tracked_in(work), "number of links")?;
    if intended.session.plan.links.in_html() {
        // Nothing is seen as a link that was none before, except the one in the disclosure.
        demand(
            located.anchors.len() == work.record.links.len() + 1,
            "number of anchors",
        )?;
    }
    let place = new_block(work).ok_or("disclosure")?;
    let disclosure = located
        .blocks
        .iter()
        .find(|block| block.is_disclosure && block.end.is_some() && block.start.start == place);
    demand(disclosure.is_some(), "disclosure")?;
    let pixels = located
        .blocks
        .iter()
        .filter(|block| matches!(&block.address, Some((_, source)) if source == intended.pixel));
    Ok(pixels.count())
}

/// Returns the destination of a URL if it is a tracked link of this message; its number must lead there too.
fn destination(session: &Session<'_>, url: &str) -> Result<Option<String>, Flaw> {
    let Some(artefact @ Artefact::Link { .. }) = tracking_url::recognise(session.base, url) else {
        return Ok(None);
    };
    let Some(opened) = tracking_url::verify(session.plan.keys, &artefact)
        .filter(|opened| opened.message == session.plan.message)
    else {
        // Somebody else's, in the text before we came.
        return Ok(None);
    };
    let Artefact::Link { destination, .. } = artefact else {
        return Ok(None);
    };
    let number = usize::from(opened.ordinal);
    let known = number
        .checked_sub(1)
        .and_then(|number| session.destinations.get(number));
    demand(known == Some(&destination), "destination").map(|()| Some(destination))
}

/// Returns where in the new text the disclosure must stand: it is what the edits insert.
fn new_block(work: &Work<'_>) -> Option<usize> {
    let mut grown = 0;
    let mut shrunk = 0;
    for (range, text) in work.edits.iter() {
        if range.is_empty() && !text.is_empty() {
            return Some(range.start + grown - shrunk);
        }
        grown += text.len();
        shrunk += range.len();
    }
    None
}

fn tracked_in(work: &Work<'_>) -> usize {
    let links = work.record.links.iter();
    links.filter(|link| link.ordinal.is_some()).count()
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
