// SPDX-License-Identifier: GPL-3.0-or-later
//! The edit of an HTML part: links get tracked URLs, and the disclosure, with the pixel in it, a place before quoted
//! text, else before the last end tag of `body`, else at the end.

mod beside;
mod hidden;
pub(crate) mod locate;
pub(crate) mod opt_out;
mod quotes;
pub(crate) mod tag;
mod words;

use std::{borrow::Cow, ops::Range};

use self::locate::{Anchor, Located, Wish, hidden_by, locate};
use super::{
    charset::Charset,
    disclosure::FIRST_LINE,
    record::{LinkReason, LinkRecord, PartReason},
    rules,
    session::{Session, left_alone},
    splice::Edits,
    transfer::{Decoded, LineWatch},
};

/// What is to be done with an HTML part.
pub(crate) struct HtmlEdit {
    /// Edits of links; the disclosure is not among them.
    pub(crate) edits: Edits,
    /// Where the disclosure goes.
    pub(crate) place: usize,
    pub(crate) before: Before,
    /// What stands there goes on in a line of its own.
    pub(crate) ends_line: bool,
    /// Every link that was seen, tracked or not.
    pub(crate) anchors: Vec<Anchor>,
    /// What was done with each of them; nothing, if links are not wanted.
    pub(crate) links: Vec<LinkRecord>,
    /// Whether a link was left alone because its line would have grown too long.
    pub(crate) is_cramped: bool,
}

/// What the disclosure stands before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Before {
    /// The last end tag of `body`.
    BodyEnd,
    /// Nothing: it is the last of the part.
    End,
    /// An element that is hidden, and may have no end.
    Hidden,
    /// Quoted text.
    Quote,
}

/// Works out the edit of a part.
///
/// # Errors
///
/// Returns the reason for which the part must be left alone.
pub(crate) fn plan(
    session: &mut Session<'_>,
    part: &Decoded<'_>,
    encoded: &[u8],
    charset: Charset,
    mut lines: LineWatch<'_>,
) -> Result<HtmlEdit, PartReason> {
    let html: &[u8] = &part.text;
    let mut located = locate(html, charset.encoding, Wish::Edit).ok_or(PartReason::Markup)?;
    if located.may_hold_noscript && !is_read_alike_without_scripts(&located, html, charset) {
        return Err(PartReason::Markup);
    }
    if located.may_quote_in_words
        && let Some(place) = words::quotation(html, charset)
    {
        located.quote_from(place);
    }
    let (place, before) = place_of(&located, html, charset).ok_or(PartReason::Markup)?;
    let ends_line = place < html.len() || html.ends_with(b"\n");
    let mut edit = HtmlEdit {
        edits: Edits::default(),
        place,
        before,
        ends_line,
        anchors: Vec::new(),
        links: Vec::with_capacity(located.anchors.len()),
        is_cramped: false,
    };
    let wants_links = session.plan.links.in_html();
    if wants_links {
        // As in most mail: half as much again as a token, for each link.
        edit.edits.reserve(located.anchors.len(), 200);
    }
    let mut is_placed = false;
    for anchor in &located.anchors {
        if !is_placed && anchor.href.place.start >= place {
            is_placed = true;
            admit_disclosure(&mut lines, place, ends_line)?;
        }
        if wants_links {
            let record = edit.take(session, part, encoded, charset, anchor, &mut lines);
            edit.links.push(record);
        } else {
            edit.pass(session, html, charset, anchor, &mut lines);
        }
    }
    if !is_placed {
        admit_disclosure(&mut lines, place, ends_line)?;
    }
    edit.anchors = located.anchors;
    Ok(edit)
}

/// Tells whether programs that run no scripts find the same place for the disclosure: to them a `noscript` is an element
/// like others, and a comment that begins in one does not end with it.
fn is_read_alike_without_scripts(located: &Located, html: &[u8], charset: Charset) -> bool {
    let mut text = Cow::Borrowed(html);
    for start in memchr::memchr_iter(b'<', html) {
        let end = html.get(start + 1) == Some(&b'/');
        let name = start + 1 + usize::from(end);
        let written = html.get(name..name + NOSCRIPT.len()).unwrap_or_default();
        if written.eq_ignore_ascii_case(NOSCRIPT)
            && let Some(first) = text.to_mut().get_mut(name)
        {
            // Of a name that nobody knows.
            *first = b'x';
        }
    }
    if matches!(text, Cow::Borrowed(_)) {
        return true;
    }
    let other = locate(&text, charset.encoding, Wish::Edit);
    other.is_some_and(|other| place_of(&other, &text, charset) == place_of(located, html, charset))
}

const NOSCRIPT: &[u8] = b"noscript";

/// The last line of the disclosure block is no longer than this.
const LAST_LINE: usize = 120;

fn admit_disclosure(
    lines: &mut LineWatch<'_>,
    place: usize,
    ends_line: bool,
) -> Result<(), PartReason> {
    let last = if ends_line { 0 } else { LAST_LINE };
    lines
        .admit(place..place, FIRST_LINE, Some(last))
        .then_some(())
        .ok_or(PartReason::Markup)
}

fn place_of(located: &Located, html: &[u8], charset: Charset) -> Option<(usize, Before)> {
    if !located.is_open_ended {
        // The text ends in the midst of a comment, a tag or the like; programs differ in what they make of it.
        return None;
    }
    let quote = located.quote.map(|place| (place, Before::Quote));
    let body_end = located.body_end.map(|place| (place, Before::BodyEnd));
    let mut found = quote.or(body_end).unwrap_or((html.len(), Before::End));
    if let Some(start) = hidden_by(html, charset.encoding, &located.hiding, found.0) {
        let element = html.get(start..).unwrap_or_default();
        if tag::is_named(element, "body") || tag::is_named(element, "html") {
            // Wherever something is put, it is in there.
            return None;
        }
        found = (start, Before::Hidden);
    }
    let (place, _) = found;
    (!is_in_link(located, html, charset, place)).then_some(found)
}

/// Tells whether a link may be open at a place: what was put there would lead where the link leads. The last one before
/// it decides, as each begins by closing the one before; but not those outside of the table that it stands in.
fn is_in_link(located: &Located, html: &[u8], charset: Charset, place: usize) -> bool {
    let is_before = |anchor: &&Anchor| anchor.inside <= place && anchor.label().is_none();
    let Some(last) = located.anchors.iter().rfind(is_before) else {
        return false;
    };
    let around_tables: Vec<usize> = located
        .anchors
        .iter()
        .take_while(|anchor| anchor.inside <= place)
        .filter(|anchor| anchor.label().is_none() && holds_table(html, anchor.inside))
        .filter_map(|anchor| start_of_link(html, anchor))
        .collect();
    is_open(html, last.inside, place)
        || hidden_by(html, charset.encoding, &around_tables, place).is_some()
}

/// Tells whether there is no end tag of a link between two places.
fn is_open(html: &[u8], inside: usize, place: usize) -> bool {
    let after = html.get(inside..place).unwrap_or_default();
    let mut ends = memchr::memmem::find_iter(after, b"</");
    !ends.any(|end| tag::is_named(after.get(end..).unwrap_or_default(), "/a"))
}

/// Tells whether a link holds a table or the like before the next tag of a link: in there, that may be of another one.
fn holds_table(html: &[u8], inside: usize) -> bool {
    let content = html.get(inside..).unwrap_or_default();
    memchr::memchr_iter(b'<', content)
        .map(|start| content.get(start..).unwrap_or_default())
        .take_while(|tag| !tag::is_named(tag, "/a") && !tag::is_named(tag, "a"))
        .any(|tag| APART.iter().any(|name| tag::is_named(tag, name)))
}

/// In these, links begin and end apart from those outside.
const APART: [&str; 8] = [
    "applet", "caption", "marquee", "object", "table", "td", "template", "th",
];

/// Finds the start tag of a link.
fn start_of_link(html: &[u8], anchor: &Anchor) -> Option<usize> {
    let before = html.get(..anchor.href.place.start)?;
    memchr::memrchr_iter(b'<', before).find(|start| {
        let tag = html.get(*start..).unwrap_or_default();
        tag::is_named(tag, "a")
    })
}

impl HtmlEdit {
    fn take(
        &mut self,
        session: &mut Session<'_>,
        part: &Decoded<'_>,
        encoded: &[u8],
        charset: Charset,
        anchor: &Anchor,
        lines: &mut LineWatch<'_>,
    ) -> LinkRecord {
        let place = &anchor.href.place;
        let destination = destination_of(anchor.href.raw(&part.text));
        let text = visible_text(&part.text, anchor, charset);
        let target = match session.rules.judge(&destination, &text) {
            Ok(target) => target,
            Err(reason) => {
                spare_twin(session, &destination, reason);
                self.remove_opt_outs(session, &part.text, anchor, &destination, lines);
                return left_alone("", &text, reason);
            }
        };
        let host = target.host;
        let refuse = |reason| left_alone(&host, &text, reason);
        if anchor.is_quoted {
            return refuse(LinkReason::Quoted);
        }
        if !anchor.is_content {
            return refuse(LinkReason::NotContent);
        }
        if self.remove_opt_outs(session, &part.text, anchor, &destination, lines) {
            return refuse(LinkReason::OptedOut);
        }
        if beside::leads_out(&mut session.rules, &part.text, anchor, &text, charset) {
            session.spare(&destination, LinkReason::Unsubscribe);
            return refuse(LinkReason::Unsubscribe);
        }
        if !charset.is_certain(&destination) || !part.is_editable(encoded, place.clone()) {
            return refuse(LinkReason::Ambiguous);
        }
        let Some(ordinal) = session.next() else {
            // Of so many nobody reads more.
            return left_alone("", "", LinkReason::TooMany);
        };
        let url = session.url(ordinal, &destination);
        let url = attribute_value(url, &part.text, place);
        if !lines.admit(place.clone(), url.len(), None) {
            self.is_cramped = true;
            return left_alone(&host, &text, LinkReason::LineLength);
        }
        self.edits.push(place.clone(), &url);
        session.take(ordinal, &destination, host, &text)
    }

    /// Looks at a link where none is to be tracked: what asks for it to be left alone is for us, and goes. The twin in
    /// plain text may still be rewritten.
    fn pass(
        &mut self,
        session: &mut Session<'_>,
        html: &[u8],
        charset: Charset,
        anchor: &Anchor,
        lines: &mut LineWatch<'_>,
    ) {
        let destination = destination_of(anchor.href.raw(html));
        self.remove_opt_outs(session, html, anchor, &destination, lines);
        if session.plan.links.in_text() {
            let text = visible_text(html, anchor, charset);
            match session.rules.judge(&destination, &text) {
                Ok(_) if beside::leads_out(&mut session.rules, html, anchor, &text, charset) => {
                    session.spare(&destination, LinkReason::Unsubscribe);
                }
                Ok(_) => {}
                Err(reason) => spare_twin(session, &destination, reason),
            }
        }
    }

    /// Takes out what asked for the link to be left alone: attributes, and the mark in the scheme, without which programs
    /// know it. Returns whether there was anything; what is quoted asks for nothing.
    fn remove_opt_outs(
        &mut self,
        session: &mut Session<'_>,
        html: &[u8],
        anchor: &Anchor,
        destination: &str,
        lines: &mut LineWatch<'_>,
    ) -> bool {
        let in_scheme = rules::opt_out_in_scheme(destination);
        if anchor.is_quoted || (in_scheme.is_none() && anchor.opt_outs().is_empty()) {
            return false;
        }
        let mut places: Vec<(Range<usize>, &str)> = anchor
            .opt_outs()
            .iter()
            .map(|(range, rest)| (range.clone(), rest.as_str()))
            .collect();
        let mut destination = Cow::Borrowed(destination);
        if let Some(mark) = in_scheme {
            let place = &anchor.href.place;
            let value = html.get(place.clone()).unwrap_or_default();
            if let Some(mark) = opt_out::mark_in(value) {
                places.push((place.start + mark.start..place.start + mark.end, ""));
            }
            destination.to_mut().replace_range(mark, "");
        }
        session.spare(&destination, LinkReason::OptedOut);
        places.sort_by_key(|(range, _)| range.start);
        for (range, rest) in places {
            lines.admit(range.clone(), rest.len(), None);
            self.edits.push(range, rest.as_bytes());
        }
        true
    }
}

/// Remembers what is left alone for what is seen only here, for the sake of its twin in plain text.
fn spare_twin(session: &mut Session<'_>, destination: &str, reason: LinkReason) {
    if matches!(reason, LinkReason::Sensitive | LinkReason::Unsubscribe) {
        session.spare(destination, reason);
    }
}

/// Tells whether there is a picture or visible text; what cannot be read counts as something.
pub(crate) fn has_content(html: &[u8], charset: Charset) -> bool {
    locate(html, charset.encoding, Wish::Content).is_none_or(|located| located.has_content)
}

/// How much of a link is read for its text, in octets.
const MAX_TEXT: usize = 2000;

/// Reads what a link shows, for the report and for rules about what the reader sees: what stands between its tags, and the
/// texts in place of pictures. A reading aid: what stands in odd places of odd markup may be missing from it.
fn visible_text<'a>(html: &'a [u8], anchor: &Anchor, charset: Charset) -> Cow<'a, str> {
    let octets = match anchor.label() {
        None => content_of(html, anchor.inside),
        Some(place) => Cow::Borrowed(html.get(place).unwrap_or_default()),
    };
    in_unicode(octets, charset)
}

/// Decodes character data, entities and all.
fn in_unicode(octets: Cow<'_, [u8]>, charset: Charset) -> Cow<'_, str> {
    let text = match octets {
        Cow::Borrowed(octets) => charset.encoding.decode_without_bom_handling(octets).0,
        Cow::Owned(octets) => {
            let (text, _) = charset.encoding.decode_without_bom_handling(&octets);
            Cow::Owned(text.into_owned())
        }
    };
    match text {
        Cow::Borrowed(text) => htmlize::unescape(text),
        Cow::Owned(text) => Cow::Owned(htmlize::unescape(text).into_owned()),
    }
}

/// Reads up to the end tag of a link that begins here.
fn content_of(html: &[u8], inside: usize) -> Cow<'_, [u8]> {
    let mut rest = html.get(inside..).unwrap_or_default();
    rest = rest.get(..MAX_TEXT).unwrap_or(rest);
    let mut octets = Cow::Borrowed(&b""[..]);
    loop {
        let start = memchr::memchr(b'<', rest).unwrap_or(rest.len());
        let (before, after) = rest.split_at_checked(start).unwrap_or((rest, b""));
        if octets.is_empty() {
            octets = Cow::Borrowed(before);
        } else if !before.is_empty() {
            octets.to_mut().extend_from_slice(before);
        }
        if tag::is_named(after, "/a") {
            break;
        }
        let Some((tag, after)) = tag::length(after).and_then(|end| after.split_at_checked(end))
        else {
            break;
        };
        if tag::is_named(tag, "img")
            && let Some(text) = tag::attribute(tag, "alt").filter(|text| !text.is_empty())
        {
            for piece in [b" ", text, b" "] {
                octets.to_mut().extend_from_slice(piece);
            }
        }
        rest = after;
    }
    octets
}

/// Reads a destination as browsers do: entities decoded once, blanks around it dropped.
pub(crate) fn destination_of(raw: &str) -> Cow<'_, str> {
    let is_blank = |c: char| c <= ' ';
    match unescape(raw) {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(is_blank)),
        Cow::Owned(text) if text.starts_with(is_blank) || text.ends_with(is_blank) => {
            Cow::Owned(text.trim_matches(is_blank).to_owned())
        }
        Cow::Owned(text) => Cow::Owned(text),
    }
}

/// Decodes entities. Nearly all links hold `&amp;` and no other, which needs no table of two thousand names.
fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let mut text = String::with_capacity(raw.len());
    let (mut rest, mut place) = (raw, Some(first));
    while let Some(at) = place {
        let Some((before, after)) = rest.split_at_checked(at) else {
            break;
        };
        let Some(after) = after.strip_prefix("&amp;") else {
            return htmlize::unescape_attribute(raw);
        };
        text.push_str(before);
        text.push('&');
        rest = after;
        place = memchr::memchr(b'&', rest.as_bytes());
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Writes a URL of ours as the value of an attribute. It needs no escaping, except that `=` is not allowed in a value
/// without quotes.
fn attribute_value<'a>(url: &'a [u8], html: &[u8], place: &Range<usize>) -> Cow<'a, [u8]> {
    let before = place
        .start
        .checked_sub(1)
        .and_then(|before| html.get(before));
    match before {
        Some(b'"' | b'\'') => Cow::Borrowed(url),
        _ => {
            let pieces: Vec<&[u8]> = url.split(|octet| *octet == b'=').collect();
            Cow::Owned(pieces.join(&b"&#61;"[..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ampersands_are_read_as_by_a_full_decoder(
            raw in "(&amp;|&amp|&lt;|&copy=|&#38;|&|;| |[a-z=?/é]{1,4}){0,12}"
        ) {
            let decoded = htmlize::unescape_attribute(raw.as_str());

            prop_assert_eq!(destination_of(&raw), decoded.trim_matches(|c: char| c <= ' '));
        }
    }
}
