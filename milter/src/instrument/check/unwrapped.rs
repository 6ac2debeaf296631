// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads a message again from which own artefacts were taken: nothing else may have changed, no picture and no words may
//! be gone but ours, and every link must lead where it led, or where its tracked form would have.

use std::ops::Range;

use super::{
    super::{
        disclosure::KnownWords,
        html::{
            destination_of,
            locate::{BlockKind, Located, Wish, locate},
        },
        structure::Structure,
        unwrap::{Own, SHAPING, one_line},
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
            None => check_plain(own, work),
        }
    })
}

fn check_html(own: &Own<'_>, work: &Work<'_>, before: &Located, text: &[u8]) -> Result<(), Flaw> {
    let encoding = work.charset.ok_or("charset")?.encoding;
    let after = locate(text, encoding, Wish::Artefacts).ok_or("markup")?;
    let mut shift = Shift::of(&work.edits);
    // Links to the recipient's page go, or say where they stood and lead nowhere.
    let leads_on = |address: &str| !own.is_choices(address);
    let destinations = before
        .anchors
        .iter()
        .map(|anchor| (anchor, destination_of(anchor.href.raw(work.text()))));
    let mut anchors = destinations.filter(|(_, address)| leads_on(address));
    for anchor in &after.anchors {
        let (before, then) = anchors.next().ok_or("number of links")?;
        demand(
            shift.follow(before.href.place.start) == anchor.href.place.start,
            "place of a link",
        )?;
        let now = destination_of(anchor.href.raw(text));
        demand(
            now == then
                || own
                    .leads_to(&then)
                    .is_some_and(|destination| destination == now),
            "destination",
        )?;
    }
    demand(anchors.next().is_none(), "number of links")?;
    let pictures = |located: &Located, html: &[u8]| -> Vec<String> {
        let images = located.blocks.iter();
        let images = images.filter(|block| block.kind == BlockKind::Image);
        let sources = images.filter_map(|image| image.address.as_ref());
        sources
            .map(|source| destination_of(source.raw(html)).into_owned())
            .collect()
    };
    let mut others = pictures(before, work.text());
    others.retain(|source| !own.is_pixel(source));
    demand(pictures(&after, text) == others, "pictures")?;
    check_words(own, work, |range| {
        let texts = before.texts.iter();
        let pieces = texts.filter_map(|text| {
            let piece = text.start.max(range.start)..text.end.min(range.end);
            work.text().get(piece).filter(|piece| !piece.is_empty())
        });
        let pieces = pieces.map(|raw| encoding.decode_without_bom_handling(raw).0);
        pieces
            .map(|piece| htmlize::unescape(piece).into_owned())
            .collect()
    })?;
    demand(
        work.edits.iter().all(|(range, new)| {
            let cut = work.text().get(range).unwrap_or_default();
            !new.is_empty() || holds_no_element_of_its_own(cut)
        }),
        "elements",
    )
}

/// Tells whether all elements that went with a cut are of those that show nothing themselves.
fn holds_no_element_of_its_own(cut: &[u8]) -> bool {
    let tags = cut.split(|octet| *octet == b'<').skip(1);
    let mut names = tags.filter(|tag| tag.first().is_some_and(u8::is_ascii_alphabetic));
    names.all(|tag| {
        let ends = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b'/' | b'>');
        let length = tag.iter().position(ends).unwrap_or(tag.len());
        let name = tag.get(..length).unwrap_or_default().to_ascii_lowercase();
        SHAPING.iter().any(|known| known.as_bytes() == name)
    })
}

fn check_plain(own: &Own<'_>, work: &Work<'_>) -> Result<(), Flaw> {
    let encoding = work.charset.ok_or("charset")?.encoding;
    check_words(own, work, |range| {
        let raw = work.text().get(range.clone()).unwrap_or_default();
        let (text, _) = encoding.decode_without_bom_handling(raw);
        text.into_owned()
    })
}

/// Makes sure that no words went but addresses of ours and disclosures. `words` reads those of a range.
fn check_words(
    own: &Own<'_>,
    work: &Work<'_>,
    words: impl Fn(&Range<usize>) -> String,
) -> Result<(), Flaw> {
    let known = KnownWords::of_all_languages();
    let mut sentence = String::new();
    for (range, new) in work.edits.iter() {
        let cut = words(&range);
        if cut.trim().is_empty() {
            continue;
        }
        let mut rest = cut.clone();
        let mut urls = own.urls_in(cut.as_bytes());
        urls.sort_by_key(|(url, _)| std::cmp::Reverse(url.start));
        for (url, _) in urls {
            rest.replace_range(url, " ");
        }
        if !new.is_empty() {
            // The address of a tracked link, for that of its destination.
            demand(rest.trim().is_empty(), "words")?;
            continue;
        }
        let lines = rest
            .lines()
            .map(|line| line.trim_start_matches(['>', ' ', '\t']));
        for line in lines {
            sentence.push(' ');
            sentence.push_str(line);
        }
        let line = one_line(&sentence.replace(['<', '>', '[', ']', '(', ')', ':'], " "));
        if line.is_empty() || known.is_line(&line) || known.is_invitation(&line) {
            sentence.clear();
        }
    }
    demand(sentence.is_empty(), "words")
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
    fn flaw(
        spoil: impl Fn(Range<usize>, &[u8]) -> Option<(Range<usize>, Vec<u8>)>,
    ) -> Result<(), Flaw> {
        let keys = KeyRing::for_testing();
        let old = Message::parse(
            format!(
                "Content-Type: text/html; charset=utf-8\r\n\r\n<p><a href=\"{}\">a</a> <a href=\"https://b.example/\">b</a>\
                 <hr><img src=\"{}\">new <img src=\"cid:a\"></p>\r\n",
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
            if let Some((range, text)) = spoil(range, text) {
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

    /// Spoils what is put in for a link, or where the pixel is cut out.
    fn link_or_pixel(
        link: impl Fn(&[u8]) -> Vec<u8>,
        pixel: impl Fn(Range<usize>) -> Option<Range<usize>>,
    ) -> Result<(), Flaw> {
        flaw(|range, text| {
            if text.is_empty() {
                Some((pixel(range)?, Vec::new()))
            } else {
                Some((range, link(text)))
            }
        })
    }

    #[test]
    fn every_bug_is_found() {
        let link_as_it_is = |text: &[u8]| text.to_vec();
        let pixel =
            |wider: fn(Range<usize>) -> Option<Range<usize>>| link_or_pixel(link_as_it_is, wider);
        assert_eq!(pixel(Some), Ok(()));
        assert_eq!(pixel(|_| None), Err("pictures"));
        let (words, picture) = ("new ".len(), "new <img src=\"cid:a\">".len());
        assert_eq!(
            pixel(|cut| Some(cut.start - "<hr>".len()..cut.end)),
            Err("elements")
        );
        let link = |spoilt: fn(&[u8]) -> Vec<u8>| link_or_pixel(spoilt, Some);
        assert_eq!(link(|text| [text, b"x"].concat()), Err("destination"));
        assert_eq!(
            link(|text| [text, b"\"><a href=\""].concat()),
            Err("place of a link")
        );
        assert_eq!(
            link_or_pixel(link_as_it_is, |cut| Some(cut.start..cut.end + words)),
            Err("words")
        );
        assert_eq!(
            link_or_pixel(link_as_it_is, |cut| Some(cut.start..cut.end + picture)),
            Err("pictures")
        );
    }
}
