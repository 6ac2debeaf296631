// SPDX-License-Identifier: GPL-3.0-or-later
//! Visible texts that show an address.
//!
//! A text of one word counts as one as soon as it has the shape of a host. With other words beside it, it takes more: a
//! path, or an end that most know from addresses; `Node.js guide` is none.

use std::net::Ipv4Addr;

use super::is_bidi;

/// Tells whether a visible text would be taken for an address: a URL in it, or a host name.
pub(super) fn is_url_like(text: &str) -> bool {
    if memchr::memchr2(b'.', b':', text.as_bytes()).is_none() {
        return false;
    }
    let lower = text.to_lowercase();
    if lower.contains("://") || lower.contains("www.") {
        return true;
    }
    let is_between = |c: char| c.is_whitespace() || is_bidi(c) || c == '\u{200b}';
    let mut best = None;
    let mut words = 0;
    for piece in lower.split(is_between) {
        words += usize::from(piece.contains(char::is_alphanumeric));
        best = best.max(likeness(piece));
    }
    best == Some(Likeness::Sure) || (best.is_some() && words == 1)
}

/// How much a word looks like an address.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Likeness {
    /// It has the shape of a host.
    Shape,
    /// It is hardly anything else.
    Sure,
}

fn likeness(piece: &str) -> Option<Likeness> {
    let piece = piece
        .trim_start_matches(|c: char| !c.is_alphanumeric())
        .trim_end_matches(|c: char| !c.is_alphanumeric() && c != '/');
    let end = piece.find(['/', '?', '#', ':']).unwrap_or(piece.len());
    let (host, after) = piece.split_at_checked(end)?;
    let host = host.rsplit('@').next().unwrap_or_default();
    let has_port = after
        .strip_prefix(':')
        .is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
    let goes_on = after.starts_with('/') || has_port;
    if host == "localhost" {
        return goes_on.then_some(Likeness::Sure);
    }
    let last = if host.parse::<Ipv4Addr>().is_ok() {
        ""
    } else {
        let (before, last) = host.rsplit_once('.')?;
        let is_label = |label: &str| {
            let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
            !label.is_empty() && label.chars().all(is_part)
        };
        let is_end =
            (2..=24).contains(&last.chars().count()) && last.chars().all(char::is_alphabetic);
        if !is_end || !before.split('.').all(is_label) {
            return None;
        }
        last
    };
    if goes_on || KNOWN_ENDS.contains(&last) {
        Some(Likeness::Sure)
    } else {
        Some(Likeness::Shape)
    }
}

/// Ends of host names that are read as such within a text.
const KNOWN_ENDS: [&str; 44] = [
    "app", "at", "au", "be", "biz", "br", "ca", "ch", "cn", "co", "com", "cz", "de", "dev", "dk",
    "edu", "es", "eu", "example", "fi", "fr", "gov", "ie", "info", "io", "it", "jp", "net", "nl",
    "no", "online", "org", "pl", "pt", "ru", "se", "shop", "sk", "store", "tv", "ua", "uk", "us",
    "xyz",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_seen_with_anything_beside_them() {
        for text in [
            "foo.com »",
            "→ foo.travel",
            "foo.com/a.pdf (PDF)",
            "paypal.com/login here",
            "paypal.com login",
            "Visit shop.example today",
            "192.168.0.1/admin",
            "192.168.0.1",
            "localhost:8080",
            "foo.travel:8080 here",
            "(x.example)",
            "*x.example*",
            "\u{200b}x.example\u{200e}",
        ] {
            assert!(is_url_like(text), "{text}");
        }
    }

    #[test]
    fn ordinary_words_are_no_addresses() {
        for text in [
            "Node.js guide",
            "Version 1.2.3.4 is out",
            "Prices from 3.50/month",
            "At 10:30, Mr. Smith",
            "Read more: boots, shoes etc.",
            "Dr.-Ing. Ende",
            "1.5",
            "localhost setup: how to",
        ] {
            assert!(!is_url_like(text), "{text}");
        }
    }
}
