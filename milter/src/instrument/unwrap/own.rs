// SPDX-License-Identifier: GPL-3.0-or-later
//! What is ours: links, pixels and pages by their signature or shape, also as mail programs wrap and break them.

use std::ops::Range;

use common::{
    keys::KeyRing,
    token,
    tracking_url::{self, Artefact},
};

/// What is ours.
pub(crate) struct Own<'a> {
    keys: &'a KeyRing,
    bases: &'a [&'a str],
}

impl<'a> Own<'a> {
    pub(crate) fn new(keys: &'a KeyRing, bases: &'a [&'a str]) -> Self {
        Self { keys, bases }
    }

    pub(crate) fn may_occur_in(&self, text: &[u8]) -> bool {
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

    /// Tells whether a URL is that of a recipient's page, wrapped or not.
    pub(crate) fn is_choices(&self, url: &str) -> bool {
        let is_page = |url: &str| matches!(self.verified(url), Some(Artefact::Choices { .. }));
        is_page(url) || peel(url).is_some_and(|url| is_page(&url))
    }

    fn verified<'u>(&self, url: &'u str) -> Option<Artefact<'u>> {
        self.bases.iter().find_map(|base| {
            let artefact = tracking_url::recognise(base, url)?;
            tracking_url::verify(self.keys, &artefact).map(|_| artefact)
        })
    }

    /// Tells whether a source is a pixel of ours, also when an image proxy names it in or after its own address.
    pub(crate) fn is_pixel(&self, source: &str) -> bool {
        let decoded = || tracking_url::decoded(source);
        self.names_pixel(source)
            || source.contains('%') && decoded().is_some_and(|source| self.names_pixel(&source))
    }

    fn names_pixel(&self, source: &str) -> bool {
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

    /// Finds URLs of ours in a text, each with its destination; `None` for pixels and the recipient's page.
    pub(crate) fn urls_in(&self, text: &[u8]) -> Vec<(Range<usize>, Option<String>)> {
        let mut found = Vec::new();
        for base in self.bases {
            for start in memchr::memmem::find_iter(text, base.as_bytes()) {
                let rest = text.get(start..).unwrap_or_default();
                if let Some((length, destination)) = self.url_at(rest) {
                    found.push((start..start + length, destination));
                }
            }
        }
        for wrapper in WRAPPERS {
            for place in memchr::memmem::find_iter(text, wrapper.as_bytes()) {
                found.extend(self.wrapped_at(place, text));
            }
        }
        found
    }

    /// Reads the wrapped URL of ours whose wrapper's host is named at a place of a text.
    fn wrapped_at(&self, place: usize, text: &[u8]) -> Option<(Range<usize>, Option<String>)> {
        let before = text.get(..place)?;
        let is_name = |octet: &&u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.');
        let name = before
            .iter()
            .rev()
            .take(MAX_NAME)
            .take_while(is_name)
            .count();
        let before = before.get(..place - name)?;
        let start = before
            .strip_suffix(b"https://")
            .or_else(|| before.strip_suffix(b"http://"))?
            .len();
        let rest = text.get(start..)?;
        let length = rest
            .iter()
            .take(MAX_URL)
            .take_while(|octet| {
                octet.is_ascii_graphic()
                    && !matches!(octet, b'<' | b'>' | b'"' | b'(' | b')' | b'[' | b']')
            })
            .count();
        let url = peel(std::str::from_utf8(rest.get(..length)?).ok()?)?;
        let destination = match self.verified(&url)? {
            Artefact::Link { destination, .. } => Some(destination),
            Artefact::Choices { .. } | Artefact::Pixel { .. } => None,
        };
        Some((start..start + length, destination))
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

/// The longest host name.
const MAX_NAME: usize = 253;

/// What the hosts end in that put links of ours into links of theirs.
const WRAPPERS: [&str; 2] = [SAFE_LINKS, "www.google.com/url?"];

const SAFE_LINKS: &str = ".safelinks.protection.outlook.com";

/// Takes an address out of the wrapping that Outlook and Google put around links.
fn peel(url: &str) -> Option<String> {
    let (address, query) = url.split_once('?')?;
    let host = address.split("://").nth(1)?.split('/').next()?;
    let name = if host.ends_with(SAFE_LINKS) {
        "url="
    } else if host == "www.google.com" {
        "q="
    } else {
        return None;
    };
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name))?;
    tracking_url::destination_of(&format!("u={value}"))
}
