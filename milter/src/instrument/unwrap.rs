// SPDX-License-Identifier: GPL-3.0-or-later
//! Takes our own artefacts out of what a user sends: a reply quotes the pixel and the links of the message it answers,
//! and would report hits to a stranger, or to the wrong message.
//!
//! Pixels are removed, links lead to their destinations again, disclosures go. A link is touched only if its signature
//! verifies; a pixel is known by its place and shape. Signed and encrypted mail is left alone.

use std::ops::Range;

use common::{
    keys::KeyRing,
    token,
    tracking_url::{self, Artefact},
};

use super::{
    agreement,
    check::{Flaw, check_unwrapped},
    check_armour,
    disclosure::known_lines,
    html::{
        destination_of,
        locate::{Block, BlockKind, Located, Wish, locate},
        tag::attributes,
    },
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

/// What is ours.
pub(crate) struct Own<'a> {
    keys: &'a KeyRing,
    bases: &'a [&'a str],
}

impl<'a> Own<'a> {
    pub(crate) fn new(keys: &'a KeyRing, bases: &'a [&'a str]) -> Self {
        Self { keys, bases }
    }

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

    fn may_occur_in(&self, text: &[u8]) -> bool {
        self.bases.iter().any(|base| {
            // Without a port, whose colon is written otherwise inside of another URL.
            let place = base.split("://").nth(1).unwrap_or(base);
            let host = place.split(':').next().unwrap_or(place);
            memchr::memmem::find(text, host.as_bytes()).is_some()
        })
    }

    /// Returns where a URL of ours leads, or `None` if it is not a link of ours.
    fn destination(&self, url: &str) -> Option<String> {
        match self.verified(url)? {
            Artefact::Link { destination, .. } => Some(destination),
            Artefact::Choices { .. } | Artefact::Pixel { .. } => None,
        }
    }

    /// Returns where a URL of ours leads, also when a mail program wrapped it into one of its own.
    pub(crate) fn leads_to(&self, url: &str) -> Option<String> {
        self.destination(url)
            .or_else(|| self.destination(&peel(url)?))
    }

    /// Tells whether a URL is that of a recipient's page.
    pub(crate) fn is_choices(&self, url: &str) -> bool {
        matches!(self.verified(url), Some(Artefact::Choices { .. }))
    }

    fn verified<'u>(&self, url: &'u str) -> Option<Artefact<'u>> {
        self.bases.iter().find_map(|base| {
            let artefact = tracking_url::recognise(base, url)?;
            tracking_url::verify(self.keys, &artefact).map(|_| artefact)
        })
    }

    /// Tells whether a source is a pixel of ours, also when an image proxy names it after its own address.
    pub(crate) fn is_pixel(&self, source: &str) -> bool {
        self.bases.iter().any(|base| {
            let start = source.find(&format!("{base}/o/"));
            let url = start.and_then(|start| source.get(start..));
            let length = base.len() + "/o/".len() + token::LENGTH + ".gif".len();
            url.and_then(|url| url.get(..length)).is_some_and(|url| {
                matches!(
                    tracking_url::recognise(base, url),
                    Some(Artefact::Pixel { .. })
                )
            })
        })
    }

    fn in_html(
        &self,
        html: &[u8],
        located: &Located,
        encoding: &'static encoding_rs::Encoding,
    ) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for block in &located.blocks {
            let Some(address) = &block.address else {
                continue;
            };
            let place = &address.place;
            let url = destination_of(address.raw(html));
            match block.kind {
                BlockKind::Image if self.is_pixel(&url) => {
                    cuts.push((block.start.clone(), Vec::new()));
                }
                BlockKind::Anchor if self.is_choices(&url) => {
                    cuts.push((
                        disclosure_around(block, html, located, encoding),
                        Vec::new(),
                    ));
                }
                BlockKind::Anchor => {
                    if let Some(destination) = self.leads_to(&url) {
                        cuts.push((place.clone(), escape(&destination)));
                        let copies = self.copies_of_address(html, &block.start);
                        cuts.extend(
                            copies
                                .filter(|copy| copy.end <= place.start || copy.start >= place.end)
                                .map(|copy| (copy, Vec::new())),
                        );
                    }
                }
                BlockKind::Container | BlockKind::Image => {}
            }
        }
        for text in &located.texts {
            let content = html.get(text.clone()).unwrap_or_default();
            for (range, destination) in self.urls_in(content) {
                let range = text.start + range.start..text.start + range.end;
                cuts.push((range, escape(&destination.unwrap_or_default())));
            }
        }
        cuts
    }

    /// Finds attributes in which mail programs keep a copy of an address (`originalsrc`, `data-saferedirecturl`), each
    /// with the blank before it.
    fn copies_of_address<'h>(
        &self,
        html: &'h [u8],
        tag: &Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + use<'h, '_> {
        let octets = html.get(tag.clone()).unwrap_or_default();
        let shift = tag.start;
        attributes(octets)
            .into_iter()
            .map(|attribute| attribute.whole)
            .filter(move |range| self.may_occur_in(octets.get(range.clone()).unwrap_or_default()))
            .map(move |range| range.start + shift..range.end + shift)
    }

    /// `charset` is that in which something may be written; `None` stands for ASCII.
    fn in_plain(&self, text: &[u8], charset: Option<&'static encoding_rs::Encoding>) -> Vec<Cut> {
        let encoding = charset.unwrap_or(encoding_rs::UTF_8);
        let mut cuts = Vec::new();
        for (range, destination) in self.urls_in(text) {
            match destination {
                Some(destination) => {
                    let (octets, _, has_unmappable) = encoding.encode(&destination);
                    if !has_unmappable && (charset.is_some() || octets.is_ascii()) {
                        cuts.push((range, octets.into_owned()));
                    }
                }
                None => {
                    cuts.push((paragraph_around(range, text, encoding), Vec::new()));
                }
            }
        }
        cuts
    }

    /// Finds URLs of ours in a text, each with its destination; `None` for the recipient's page.
    fn urls_in(&self, text: &[u8]) -> Vec<(Range<usize>, Option<String>)> {
        let mut found = Vec::new();
        for base in self.bases {
            for start in memchr::memmem::find_iter(text, base.as_bytes()) {
                let rest = text.get(start..).unwrap_or_default();
                if let Some((length, destination)) = self.url_at(rest) {
                    found.push((start..start + length, destination));
                }
            }
        }
        found
    }

    /// Reads the URL of ours at the beginning of a text, and tells how long it is there. Mail programs break long lines:
    /// the signature tells whether what follows on the next line belongs to it.
    fn url_at(&self, text: &[u8]) -> Option<(usize, Option<String>)> {
        let mut url = String::new();
        let mut length = 0;
        for _ in 0..MAX_LINES {
            let rest = text.get(length..)?;
            let run = url_octets(rest);
            url.push_str(std::str::from_utf8(rest.get(..run)?).ok()?);
            length += run;
            // The end of a sentence may stand directly after a URL.
            for trail in 0..3.min(run) {
                let known = url.get(..url.len() - trail)?;
                if let Some(artefact) = self.verified(known) {
                    let destination = match artefact {
                        Artefact::Link { destination, .. } => Some(destination),
                        Artefact::Choices { .. } | Artefact::Pixel { .. } => None,
                    };
                    return Some((length - trail, destination));
                }
            }
            length += line_break(text.get(length..)?)?;
            if url.len() > MAX_URL {
                break;
            }
        }
        None
    }
}

/// Counts the octets that our URLs are made of, at the beginning of a text.
fn url_octets(text: &[u8]) -> usize {
    let is_part = |octet: &u8| {
        octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'%' | b'?' | b'='
            )
    };
    text.iter()
        .take(MAX_URL)
        .take_while(|octet| is_part(octet))
        .count()
}

/// Returns the length of a line end with the quotation marks and blanks of the next line; `None` if there is none.
fn line_break(text: &[u8]) -> Option<usize> {
    let blanks = text.iter().take_while(|octet| **octet == b' ').count();
    let rest = text.get(blanks..)?;
    let end = if rest.starts_with(b"\r\n") { 2 } else { 1 };
    if !rest.get(..end)?.ends_with(b"\n") {
        return None;
    }
    let marks = rest.get(end..)?.iter();
    let marks = marks
        .take_while(|octet| matches!(octet, b'>' | b' ' | b'\t'))
        .count();
    Some(blanks + end + marks)
}

/// The most lines over which a URL is followed.
const MAX_LINES: usize = 8;

/// The longest URL of ours.
const MAX_URL: usize = 8000;

/// Takes an address out of the wrapping that Outlook and Google put around links.
fn peel(url: &str) -> Option<String> {
    let (address, query) = url.split_once('?')?;
    let host = address.split("://").nth(1)?.split('/').next()?;
    let name = if host.ends_with(".safelinks.protection.outlook.com") {
        "url="
    } else if host == "www.google.com" {
        "q="
    } else {
        return None;
    };
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name))?;
    tracking_url::destination_of(&format!("u={value}"))
}

/// Finds what to cut together with the link to the recipient's page: the disclosure block, or the widest element that
/// holds a disclosure and nothing else, or the link alone.
fn disclosure_around(
    anchor: &Block,
    html: &[u8],
    located: &Located,
    encoding: &'static encoding_rs::Encoding,
) -> Range<usize> {
    let known = known_lines();
    let around = located.blocks.iter().filter_map(|block| {
        let end = block.end.as_ref()?;
        let is_around = block.kind == BlockKind::Container
            && block.start.start < anchor.start.start
            && end.start >= anchor.start.end;
        is_around.then_some((block, block.start.start..end.end))
    });
    let mut widest: Option<Range<usize>> = None;
    for (block, range) in around {
        let is_wider = widest
            .as_ref()
            .is_none_or(|widest| range.start < widest.start);
        if is_wider && (block.is_disclosure || holds_only(&range, html, located, encoding, &known))
        {
            widest = Some(range);
        }
    }
    match (widest, &anchor.end) {
        (Some(range), _) => {
            let after = html.get(range.end..).unwrap_or_default();
            let end = match after {
                [b'\r', b'\n', ..] => range.end + 2,
                [b'\n', ..] => range.end + 1,
                _ => range.end,
            };
            range.start..end
        }
        (None, Some(end)) => anchor.start.start..end.end,
        (None, None) => anchor
            .address
            .as_ref()
            .map_or_else(|| anchor.start.clone(), |value| value.place.clone()),
    }
}

/// Tells whether the visible text of a range is a disclosure and nothing else.
fn holds_only(
    range: &Range<usize>,
    html: &[u8],
    located: &Located,
    encoding: &'static encoding_rs::Encoding,
    known: &std::collections::HashSet<String>,
) -> bool {
    let mut text = String::new();
    let first = located
        .texts
        .partition_point(|text| text.end <= range.start);
    for piece in located.texts.iter().skip(first) {
        if piece.start >= range.end || text.len() > 1000 {
            break;
        }
        let raw = html.get(piece.clone()).unwrap_or_default();
        let (decoded, _) = encoding.decode_without_bom_handling(raw);
        text.push_str(&htmlize::unescape(decoded.as_ref()));
    }
    known.contains(&one_line(&text))
}

/// Finds the paragraph that ends in the link to the recipient's page: its lines, quoted or not, and the empty one
/// before them; or the link alone.
fn paragraph_around(
    url: Range<usize>,
    text: &[u8],
    encoding: &'static encoding_rs::Encoding,
) -> Range<usize> {
    let known = known_lines();
    let line_start = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        memchr::memrchr(b'\n', before).map_or(0, |place| place + 1)
    };
    let mut start = line_start(url.start);
    let mut words = String::new();
    for _ in 0..6 {
        if start == 0 {
            break;
        }
        let line_end = start;
        start = line_start(start - 1);
        let (line, _) =
            encoding.decode_without_bom_handling(text.get(start..line_end).unwrap_or_default());
        let line = line.trim_start_matches(['>', ' ', '\t']);
        words = one_line(&format!("{line} {words}"));
        let sentence = words.strip_suffix(':').unwrap_or(&words);
        if !known.contains(sentence) {
            continue;
        }
        let rest = text.get(url.end..).unwrap_or_default();
        let has_end = memchr::memchr(b'\n', rest);
        let end = has_end.map_or(text.len(), |place| url.end + place + 1);
        // The empty line before goes with it, and without a line end after it also the one before that.
        if start > 0 {
            let empty = line_start(start - 1);
            let is_empty = text
                .get(empty..start)
                .unwrap_or_default()
                .iter()
                .all(|octet| matches!(octet, b'>' | b' ' | b'\t' | b'\r' | b'\n'));
            if is_empty {
                start = empty;
                if has_end.is_none() {
                    let before = text.get(..start).unwrap_or_default();
                    let before = before.strip_suffix(b"\n").unwrap_or(before);
                    start = before.strip_suffix(b"\r").unwrap_or(before).len();
                }
            }
        }
        return start..end;
    }
    with_blanks_before(url, text)
}

/// Where a range reaches to the end of its line, adds the blanks before it: one that ends a line would join it to the next
/// in flowed text.
fn with_blanks_before(range: Range<usize>, text: &[u8]) -> Range<usize> {
    let after = text.get(range.end..).unwrap_or_default();
    if !matches!(after, [] | [b'\r' | b'\n', ..]) {
        return range;
    }
    let before = text.get(..range.start).unwrap_or_default();
    let blanks = before.iter().rev().take_while(|octet| **octet == b' ');
    range.start - blanks.count()..range.end
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes a destination for HTML, in ASCII and fit for any place: text, and attributes with or without quotes.
fn escape(destination: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(destination.len() + 16);
    for c in destination.chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\'' | '`' | ' ' => out.extend_from_slice(format!("&#{};", u32::from(c)).as_bytes()),
            c if c.is_ascii() && !c.is_control() => out.extend(u8::try_from(c)),
            c => out.extend_from_slice(format!("&#{};", u32::from(c)).as_bytes()),
        }
    }
    out
}
