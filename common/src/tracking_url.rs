// SPDX-License-Identifier: GPL-3.0-or-later
//! The layout of tracking URLs, built and taken apart in one place.
//!
//! `BASE/o/TOKEN.gif` is the pixel, `BASE/l/TOKEN?u=DESTINATION` a tracked link, `BASE/c/TOKEN` the recipient's page;
//! BASE is the controller's `public_url`. What is built is ASCII of the unreserved kind and `/:%?=`, so that it needs no
//! escaping in HTML, in a header field or in plain text.

use crate::{
    ids::MessageId,
    keys::KeyRing,
    token::{self, Opened, Token, Use},
};

/// A URL of ours, taken apart.
#[derive(Debug, Eq, PartialEq)]
pub enum Artefact<'a> {
    Choices { token: &'a str },
    Link { token: &'a str, destination: String },
    Pixel { token: &'a str },
}

/// Returns the URL of a message's pixel.
pub fn pixel(base: &str, keys: &KeyRing, message: MessageId) -> String {
    format!("{base}/o/{}.gif", Token::mint(keys, message, 0, Use::Open))
}

/// Returns the URL that stands for a destination, the `ordinal`-th link of its message, counted from 1.
pub fn link(
    base: &str,
    keys: &KeyRing,
    message: MessageId,
    ordinal: u16,
    destination: &str,
) -> String {
    let mut url = Vec::new();
    link_into(&mut url, base, keys, message, ordinal, destination);
    String::from_utf8(url).expect("made of ASCII and a base that is text")
}

/// Appends the URL that stands for a destination: for those that write many.
pub fn link_into(
    url: &mut Vec<u8>,
    base: &str,
    keys: &KeyRing,
    message: MessageId,
    ordinal: u16,
    destination: &str,
) {
    let token = Token::mint(keys, message, ordinal, Use::Link(destination));
    // Room for a query or two among the octets that need escaping.
    url.reserve(base.len() + token::LENGTH + destination.len() * 5 / 4 + 16);
    for piece in [base.as_bytes(), b"/l/", token.as_bytes(), b"?u="] {
        url.extend_from_slice(piece);
    }
    encode_into(url, destination.as_bytes());
}

/// Returns the URL of the recipient's page about a message.
pub fn choices(base: &str, keys: &KeyRing, message: MessageId) -> String {
    format!("{base}/c/{}", Token::mint(keys, message, 0, Use::Choices))
}

/// Takes an absolute URL apart if it is an artefact below `base`, its signature unchecked.
///
/// The scheme and the host are compared without regard to case, as mail programs are free to change that.
pub fn recognise<'a>(base: &str, url: &'a str) -> Option<Artefact<'a>> {
    let head = url
        .get(..base.len())
        .filter(|head| head.eq_ignore_ascii_case(base))?;
    let path = url.get(head.len()..)?;
    let path = match memchr::memchr(b'#', path.as_bytes()) {
        Some(fragment) => path.get(..fragment)?,
        None => path,
    };
    if let Some(rest) = path.strip_prefix("/o/") {
        let token = rest.get(..token::LENGTH)?;
        return (rest.get(token::LENGTH..) == Some(".gif")).then_some(Artefact::Pixel { token });
    }
    if let Some(rest) = path.strip_prefix("/c/") {
        let token = rest.get(..token::LENGTH)?;
        return rest
            .get(token::LENGTH..)?
            .is_empty()
            .then_some(Artefact::Choices { token });
    }
    let (token, query) = path.strip_prefix("/l/")?.split_at_checked(token::LENGTH)?;
    let destination = destination_of(query.strip_prefix('?')?)?;
    Some(Artefact::Link { token, destination })
}

/// Checks the signature of an artefact and returns what its token says.
pub fn verify(keys: &KeyRing, artefact: &Artefact<'_>) -> Option<Opened> {
    match artefact {
        Artefact::Choices { token } => token::open(keys, token, Use::Choices),
        Artefact::Link { token, destination } => token::open(keys, token, Use::Link(destination)),
        Artefact::Pixel { token } => token::open(keys, token, Use::Open),
    }
}

/// Reads the destination out of a tracked link's query: the first `u`, percent-decoded, a `+` staying a `+`.
pub fn destination_of(query: &str) -> Option<String> {
    let value = match query.strip_prefix("u=") {
        Some(first) => first.split('&').next()?,
        None => query.split('&').find_map(|pair| pair.strip_prefix("u="))?,
    };
    decoded(value)
}

fn encode_into(url: &mut Vec<u8>, text: &[u8]) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    let mut rest = text;
    // What needs no escaping is copied in runs.
    while let Some(place) = rest.iter().position(|octet| !is_plain(*octet)) {
        let Some((run, [octet, after @ ..])) = rest.split_at_checked(place) else {
            return;
        };
        url.extend_from_slice(run);
        url.extend_from_slice(&[b'%', digit(octet >> 4), digit(octet & 15)]);
        rest = after;
    }
    url.extend_from_slice(rest);
}

fn is_plain(octet: u8) -> bool {
    PLAIN.get(usize::from(octet)).copied().unwrap_or(false)
}

/// For each octet, whether it stands for itself.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:";
    let mut rest: &[u8] = letters;
    while let Some((letter, after)) = rest.split_first() {
        if let Some((_, [place, ..])) = plain.split_at_mut_checked(*letter as usize) {
            *place = true;
        }
        rest = after;
    }
    plain
};

/// Decodes what is percent-encoded (RFC 3986, section 2.1); `None` if that is no text.
pub fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(place) = memchr::memchr(b'%', rest) {
        octets.extend_from_slice(rest.get(..place)?);
        let high = char::from(*rest.get(place + 1)?).to_digit(16)?;
        let low = char::from(*rest.get(place + 2)?).to_digit(16)?;
        octets.push(u8::try_from(high * 16 + low).ok()?);
        rest = rest.get(place + 3..)?;
    }
    octets.extend_from_slice(rest);
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const BASE: &str = "https://track.example.com";
    const MESSAGE: MessageId = MessageId(Uuid::from_u128(42));

    #[test]
    fn pixel_and_choices_are_recognised_and_verified() {
        let keys = KeyRing::for_testing();

        let pixel = pixel(BASE, &keys, MESSAGE);
        let choices = choices(BASE, &keys, MESSAGE);

        let artefact = recognise(BASE, &pixel).unwrap();
        assert!(matches!(artefact, Artefact::Pixel { .. }));
        assert_eq!(verify(&keys, &artefact).unwrap().message, MESSAGE);
        assert!(verify(&keys, &recognise(BASE, &choices).unwrap()).is_some());
        assert!(recognise(BASE, "https://track.example.com.evil.example/o/x.gif").is_none());
        assert!(recognise("https://other.example", &pixel).is_none());
    }

    #[test]
    fn forged_destination_does_not_verify() {
        let keys = KeyRing::for_testing();
        let url = link(BASE, &keys, MESSAGE, 1, "https://a.example/");

        let forged = url.replace("a.example", "b.example");

        assert!(verify(&keys, &recognise(BASE, &url).unwrap()).is_some());
        assert!(verify(&keys, &recognise(BASE, &forged).unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn every_destination_comes_back_to_the_byte(destination in "https?://\\PC{0,200}") {
            let keys = KeyRing::for_testing();

            let url = link(BASE, &keys, MESSAGE, 9, &destination);
            let artefact = recognise(BASE, &url).unwrap();

            prop_assert!(url.is_ascii() && !url.contains(['&', '"', '\'', '<', '>', ' ', ';']));
            prop_assert_eq!(verify(&keys, &artefact).unwrap().ordinal, 9);
            match artefact {
                Artefact::Link { destination: decoded, .. } => prop_assert_eq!(decoded, destination),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn strangers_urls_do_no_harm(url in "\\PC{0,200}") {
            let _anything = recognise(BASE, &url);
            let _anything = destination_of(&url);
        }
    }
}
