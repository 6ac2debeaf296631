// SPDX-License-Identifier: GPL-3.0-or-later
//! Own artefacts in HTML.

use std::ops::Range;

use super::{
    super::{
        disclosure::known_lines,
        html::{
            destination_of,
            locate::{Block, BlockKind, Located},
            tag::attributes,
        },
    },
    Cut, Own, one_line,
};

impl Own<'_> {
    pub(super) fn in_html(
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
