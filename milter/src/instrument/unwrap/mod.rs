// SPDX-License-Identifier: GPL-3.0-or-later
//! Takes our own artefacts out of what a user sends: a reply quotes the pixel and the links of the message it answers,
//! and would report hits to a stranger, or to the wrong message.
//!
//! Pixels are removed, links lead to their destinations again, disclosures go. A link is touched only if its signature
//! verifies; a pixel is known by its place and shape. Signed and encrypted mail is left alone.

mod disclosed;
mod html;
mod own;
mod plain;

use std::ops::Range;

use common::keys::KeyRing;

pub(crate) use self::{disclosed::SHAPING, own::Own};
use super::{
    agreement,
    check::{Flaw, check_unwrapped},
    check_armour,
    html::locate::{Located, Wish, locate},
    select::{BodyKind, select},
    splice::{Copy, Edits},
    structure::{Structure, Transfer},
    work::Work,
};
use crate::{eligibility, message::Message};

/// Returns the body without own artefacts, or `None` if there are none or the message must not be changed.
///
/// `bases` are the controllers' base URLs.
///
/// # Errors
///
/// Returns what is wrong with the result, if it is not what was meant: a bug of ours, for which the message stays as it is.
pub fn unwrap(
    message: &Message,
    keys: &KeyRing,
    bases: &[&str],
) -> Result<Option<Vec<u8>>, &'static str> {
    match Opened::read(message, Own::new(keys, bases)) {
        Some(opened) => opened.unwrap(),
        None => Ok(None),
    }
}

/// A message that may hold something of ours, and that may be changed.
struct Opened<'a> {
    message: &'a Message,
    structure: Structure,
    own: Own<'a>,
}

impl<'a> Opened<'a> {
    fn read(message: &'a Message, own: Own<'a>) -> Option<Self> {
        if eligibility::is_server_signed(&message.fields) {
            return None;
        }
        let structure = Structure::of(message).ok()?;
        eligibility::check_structure(&structure).ok()?;
        Some(Self {
            message,
            structure,
            own,
        })
    }

    fn unwrap(&self) -> Result<Option<Vec<u8>>, Flaw> {
        let Self {
            message,
            structure,
            own,
        } = self;
        let selection = select(structure);
        let bodies = selection.bodies.iter();
        let mut works: Vec<Work<'_>> = bodies.map(|body| Work::begin(message, body)).collect();
        if !works.iter().any(|work| own.may_occur_in(work.text()))
            || check_armour(&works).is_err()
            || !agreement::agrees(message, structure)
        {
            return Ok(None);
        }
        let read: Vec<Option<Located>> = works.iter_mut().map(|work| own.cut(work)).collect();
        if works.iter().all(|work| work.edits.is_empty()) {
            return Ok(None);
        }
        let mut body = Copy::new(&message.body, 0);
        for work in works.iter().filter(|work| !work.edits.is_empty()) {
            work.write(structure.line_end, &mut body);
        }
        let new = Message {
            fields: message.fields.clone(),
            body: body.finish(),
        };
        check_unwrapped(own, message, structure, (&works, &read), &new)?;
        Ok(Some(new.body))
    }
}

type Cut = (Range<usize>, Vec<u8>);

/// Puts cuts in order; of those that overlap the wider one stays.
fn join(mut cuts: Vec<Cut>) -> Edits {
    cuts.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut edits = Edits::default();
    for (range, text) in cuts {
        edits.push(range, &text);
    }
    edits
}

impl Own<'_> {
    /// Works out what is to be cut out of a part, and returns what was found in it if it is HTML.
    pub(crate) fn cut(&self, work: &mut Work<'_>) -> Option<Located> {
        let charset = work.charset?;
        let text = work.text();
        let (cuts, located) = match work.kind {
            BodyKind::Html => {
                let located = locate(text, charset.encoding, Wish::Artefacts)?;
                (
                    self.in_html(text, &located, charset.encoding),
                    Some(located),
                )
            }
            BodyKind::Plain => {
                let is_ascii_only =
                    matches!(work.part.transfer, Transfer::Identity { .. }) && text.is_ascii();
                let charset = (!is_ascii_only).then_some(charset.encoding);
                (self.in_plain(text, charset), None)
            }
        };
        work.edits = join(cuts);
        located
    }
}

/// Returns where words begin in a text, from the last to the first.
fn word_starts(text: &[u8]) -> impl Iterator<Item = usize> + '_ {
    (0..text.len()).rev().filter(|place| {
        let before = place.checked_sub(1).and_then(|before| text.get(before));
        before.is_none_or(u8::is_ascii_whitespace)
            && text
                .get(*place)
                .is_some_and(|octet| !octet.is_ascii_whitespace())
    })
}

/// Returns a text without breaks and doubled blanks.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
