// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads a message again from which own artefacts were taken: nothing else may have changed, and every link must lead
//! where it led, or where its tracked form would have.

use super::{
    super::{
        html::{
            destination_of,
            locate::{Anchor, Located, Wish, locate},
        },
        structure::Structure,
        unwrap::Own,
        work::Work,
    },
    Flaw, compare, demand, has_long_line,
    html::Shift,
};
use crate::message::Message;

/// Compares a message with what it was before. `read` is what was found in the parts that are HTML.
///
/// # Errors
///
/// Returns the first difference.
pub(crate) fn check_unwrapped(
    own: &Own<'_>,
    old: &Message,
    structure: &Structure,
    parts: (&[Work<'_>], &[Option<Located>]),
    new: &Message,
) -> Result<(), Flaw> {
    let (works, read) = parts;
    compare(old, structure, works, new, |work, encoded, text| {
        // Lines that the disclosure parted are one again.
        demand(
            !has_long_line(encoded) || has_long_line(work.encoded),
            "line length",
        )?;
        let mut all = works.iter().zip(read);
        let (_, located) = all
            .find(|(other, _)| std::ptr::eq(*other, work))
            .ok_or("order of parts")?;
        match located {
            Some(before) => check_html(own, work, before, text),
            None => Ok(()),
        }
    })
}

fn check_html(own: &Own<'_>, work: &Work<'_>, before: &Located, text: &[u8]) -> Result<(), Flaw> {
    let encoding = work.charset.ok_or("charset")?.encoding;
    let after = locate(text, encoding, Wish::Check).ok_or("markup")?;
    let mut shift = Shift::of(&work.edits);
    let mut anchors = before.anchors.iter().filter(|anchor| !is_cut(work, anchor));
    for anchor in &after.anchors {
        let before = anchors.next().ok_or("number of links")?;
        demand(
            shift.follow(before.href.place.start) == anchor.href.place.start,
            "place of a link",
        )?;
        let then = destination_of(before.href.raw(work.text()));
        let now = destination_of(anchor.href.raw(text));
        demand(
            now == then
                || own.is_choices(&then) && now.is_empty()
                || own
                    .leads_to(&then)
                    .is_some_and(|destination| destination == now),
            "destination",
        )?;
    }
    demand(anchors.next().is_none(), "number of links")?;
    let is_pixel = |source| own.is_pixel(&destination_of(source));
    let mut sources = after
        .blocks
        .iter()
        .filter_map(|image| image.address.as_ref());
    demand(
        !sources.any(|source| is_pixel(source.raw(text))),
        "number of pixels",
    )
}

/// Tells whether a link went with something that holds it.
fn is_cut(work: &Work<'_>, anchor: &Anchor) -> bool {
    let place = &anchor.href.place;
    let edit = work.edits.at(place.start);
    edit.is_some_and(|(range, text)| range != *place && text.is_empty())
}

#[cfg(test)]
mod tests {
    use common::{ids::MessageId, keys::KeyRing, tracking_url};
    use uuid::Uuid;

    use super::{
        super::super::{
            select::select,
            splice::{Copy, Edits},
        },
        *,
    };

    const BASE: &str = "https://track.example.com";
    const MESSAGE: MessageId = MessageId(Uuid::from_u128(5));

    /// Takes own artefacts out, each edit as `spoil` makes it, and checks the result.
    fn flaw(spoil: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<(), Flaw> {
        let keys = KeyRing::for_testing();
        let old = Message::parse(
            format!(
                "Content-Type: text/html; charset=utf-8\r\n\r\n<p><a href=\"{}\">a</a> <a href=\"https://b.example/\">b</a>\
                 <img src=\"{}\"></p>\r\n",
                tracking_url::link(BASE, &keys, MESSAGE, 1, "https://a.example/"),
                tracking_url::pixel(BASE, &keys, MESSAGE),
            )
            .as_bytes(),
        );
        let own = Own::new(&keys, &[BASE]);
        let structure = Structure::of(&old).unwrap();
        let selection = select(&structure);
        let mut works = vec![Work::begin(&old, selection.bodies.first().unwrap())];
        let read: Vec<_> = works.iter_mut().map(|work| own.cut(work)).collect();
        let work = works.first_mut().unwrap();
        let mut edits = Edits::default();
        for (range, text) in work.edits.iter() {
            if let Some(text) = spoil(text) {
                edits.push(range, &text);
            }
        }
        work.edits = edits;
        let mut body = Copy::new(&old.body, 0);
        work.write(structure.line_end, &mut body);
        let fields = old.fields.clone();
        let new = Message {
            fields,
            body: body.finish(),
        };
        check_unwrapped(&own, &old, &structure, (&works, &read), &new)
    }

    #[test]
    fn every_bug_is_found() {
        assert_eq!(flaw(|text| Some(text.to_vec())), Ok(()));
        let elsewhere = |text: &[u8]| Some([text, b"x"].concat()).filter(|_| !text.is_empty());
        assert_eq!(flaw(elsewhere), Err("destination"));
        let pixel_stays = |text: &[u8]| Some(text.to_vec()).filter(|_| !text.is_empty());
        assert_eq!(flaw(pixel_stays), Err("number of pixels"));
        let link_opens = |text: &[u8]| Some([text, b"\"><a href=\""].concat());
        assert_eq!(flaw(link_opens), Err("place of a link"));
    }
}
