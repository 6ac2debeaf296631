// SPDX-License-Identifier: GPL-3.0-or-later
//! Own artefacts in HTML.

use std::ops::Range;

use encoding_rs::Encoding;

use super::{
    super::html::{
        destination_of,
        locate::{BlockKind, Located},
        tag::attributes,
    },
    Cut, Own,
    disclosed::Page,
};

/// Disclosures that are looked for around the link to a recipient's page; of more than these, the links alone go.
const MOST_DISCLOSURES: usize = 200;

impl Own<'_> {
    pub(super) fn in_html(
        &self,
        html: &[u8],
        located: &Located,
        encoding: &'static Encoding,
    ) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let mut pages = 0;
        let page = Page::new(self, html, located, encoding);
        for block in &located.blocks {
            let Some(address) = &block.address else {
                continue;
            };
            let url = destination_of(address.raw(html));
            match block.kind {
                BlockKind::Image if self.is_pixel(&url) => {
                    cuts.push((block.start.clone(), Vec::new()));
                }
                BlockKind::Anchor if self.is_choices(&url) => {
                    pages += 1;
                    let around = if pages <= MOST_DISCLOSURES {
                        page.disclosure_with(block)
                    } else {
                        Vec::new()
                    };
                    if around.is_empty() {
                        // What it says is the author's, and so are its other attributes.
                        let addresses = self.attributes_of_ours(html, &block.start);
                        cuts.extend(addresses.map(|attribute| (attribute, Vec::new())));
                    }
                    cuts.extend(around.into_iter().map(|range| (range, Vec::new())));
                }
                BlockKind::Anchor => {
                    if let Some(destination) = self.leads_to(&url) {
                        let place = &address.place;
                        cuts.push((place.clone(), escape(&destination)));
                        // Copies of the address (`originalsrc`, `data-saferedirecturl`).
                        let copies = self.attributes_of_ours(html, &block.start);
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
        // In text, and wherever else: in conditional comments, in attributes of any name. What is a part of another address
        // is none of ours.
        let addresses = located.blocks.iter();
        let addresses: Vec<_> = addresses
            .filter_map(|block| block.address.as_ref())
            .map(|address| &address.place)
            .collect();
        for (range, destination) in self.urls_in(html) {
            let after = addresses.partition_point(|place| place.end <= range.start);
            let is_in_address = addresses
                .get(after)
                .is_some_and(|place| place.start < range.end);
            if !is_in_address {
                cuts.push((range, escape(&destination.unwrap_or_default())));
            }
        }
        cuts
    }

    /// Finds the attributes of a start tag that name one of our hosts, each with the blank before it.
    fn attributes_of_ours<'h>(
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
