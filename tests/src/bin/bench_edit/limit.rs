// SPDX-License-Identifier: GPL-3.0-or-later
//! What no edit can be quicker than: decode, find places with lol_html, copy with something put there, encode. It reads no
//! rule, signs nothing, keeps no record and makes sure of nothing; and its codecs and what it does at each link are as quick
//! as ours, so that no slowness of theirs is credited to us.

use std::{
    cell::{Cell, RefCell},
    ops::Range,
    rc::Rc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use lol_html::{
    HtmlRewriter, Settings, element, end_tag,
    html_content::{Attribute, Element},
};

use super::messages::{Encoding, Sample};

/// What is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Places {
    /// What the edit looks for: links, the end of the body, elements in which nothing may be put, and quoted text, of whose
    /// many marks one stands for all.
    All,
    /// Links and the end of the body.
    LinksAndEnd,
}

impl Places {
    fn further(self) -> &'static [&'static str] {
        match self {
            Self::All => &[
                "area",
                "template",
                "svg",
                "math",
                "select",
                "object",
                "frameset",
                "blockquote",
            ],
            Self::LinksAndEnd => &[],
        }
    }
}

/// Edits the HTML of a message as quickly as can be.
pub(crate) fn edit(sample: &Sample, places: Places) -> Vec<u8> {
    match sample.encoding {
        Encoding::Base64 => encode_base64(&copy(&decode_base64(&sample.part), places)),
        Encoding::EightBit => copy(&sample.part, places),
        Encoding::QuotedPrintable => {
            let html = decode_quoted_printable(&sample.part);
            encode_quoted_printable(&copy(&html, places))
        }
    }
}

/// As long as what a link becomes.
const URL: &[u8] = b"https://track.example.com/l/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
    ?u=https://www.shop.example.com/catalog/item%3Fid%3D1%26ref%3Dmail1";
const BLOCK: &[u8] = &[b'x'; 700];

fn copy(html: &[u8], places: Places) -> Vec<u8> {
    let links: RefCell<Vec<Range<usize>>> = RefCell::default();
    let body_end = Rc::new(Cell::new(html.len()));
    let last_end = Rc::clone(&body_end);
    let mut settings = Settings::new()
        .with_strict(false)
        .append_element_content_handler(element!("a", |anchor| {
            links.borrow_mut().extend(link_of(anchor, html));
            Ok(())
        }))
        .append_element_content_handler(element!("body", move |body| {
            let last_end = Rc::clone(&last_end);
            if let Some(handlers) = body.end_tag_handlers() {
                handlers.push(end_tag!(move |end| {
                    last_end.set(end.source_location().bytes().start);
                    Ok(())
                }));
            }
            Ok(())
        }));
    for name in places.further() {
        let nothing = element!(*name, |_element| Ok(()));
        settings = settings.append_element_content_handler(nothing);
    }
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    rewriter.write(html).unwrap();
    rewriter.end().unwrap();

    let links = links.into_inner();
    let mut out = Vec::with_capacity(html.len() + links.len() * URL.len() + BLOCK.len());
    let mut from = 0;
    for place in &links {
        out.extend_from_slice(html.get(from..place.start).unwrap());
        out.extend_from_slice(URL);
        from = place.end;
    }
    out.extend_from_slice(html.get(from..body_end.get()).unwrap());
    out.extend_from_slice(BLOCK);
    out.extend_from_slice(html.get(body_end.get()..).unwrap());
    out
}

fn link_of(anchor: &Element<'_, '_>, html: &[u8]) -> Option<Range<usize>> {
    let is_href = |attribute: &&Attribute<'_>| {
        let name = attribute.name_source_location().map(|name| name.bytes());
        let name = name.and_then(|name| html.get(name));
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"href"))
    };
    let href = anchor.attributes().iter().find(is_href)?;
    Some(href.value_source_location()?.bytes())
}

fn decode_base64(encoded: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(encoded.len());
    for line in encoded.split(|octet| *octet == b'\n') {
        joined.extend_from_slice(line.trim_ascii_end());
    }
    STANDARD.decode(joined).unwrap()
}

fn encode_base64(text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len() / 57 * 78 + 80);
    let mut line = [0; 76];
    for octets in text.chunks(57) {
        let length = STANDARD.encode_slice(octets, &mut line).unwrap();
        lines.extend_from_slice(line.get(..length).unwrap());
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

fn decode_quoted_printable(encoded: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(place) = memchr::memchr(b'=', rest) {
        text.extend_from_slice(rest.get(..place).unwrap());
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        rest = match rest.get(place + 1..).unwrap() {
            [b'\r', b'\n', after @ ..] => after,
            [high, low, after @ ..] => {
                if let (Some(high), Some(low)) = (digit(high), digit(low)) {
                    text.push(u8::try_from(high * 16 + low).unwrap());
                }
                after
            }
            _ => break,
        };
    }
    text.extend_from_slice(rest);
    text
}

/// Copies what may stand for itself in runs, as far as the line reaches.
fn encode_quoted_printable(text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len() * 5 / 4);
    for whole in text.split_inclusive(|octet| *octet == b'\n') {
        let line = whole.trim_ascii_end();
        let mut rest = line;
        let mut room = 75;
        while let Some((first, after)) = rest.split_first() {
            let window = rest.get(..room).unwrap_or(rest);
            let is_literal = |octet: &u8| matches!(octet, b' '..=60 | 62..=126);
            let stop = window.iter().position(|octet| !is_literal(octet));
            let run = stop.unwrap_or(window.len());
            let (literal, behind) = rest.split_at_checked(run).unwrap();
            out.extend_from_slice(literal);
            room -= run;
            if run > 0 {
                rest = behind;
            } else if room >= 3 {
                let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap();
                out.extend_from_slice(&[b'=', digit(first >> 4), digit(first & 15)]);
                room -= 3;
                rest = after;
            }
            if room < 3 && !rest.is_empty() {
                out.extend_from_slice(b"=\r\n");
                room = 75;
            }
        }
        out.extend_from_slice(whole.get(line.len()..).unwrap());
    }
    out
}
