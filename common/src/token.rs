// SPDX-License-Identifier: GPL-3.0-or-later
//! Tokens: signed, not looked up.
//!
//! `base64url(version ‖ key id ‖ message id ‖ link ordinal ‖ MAC)`: 1 + 1 + 16 + 2 + 16 octets, 48 characters. The MAC
//! is keyed BLAKE3, cut to 128 bits, over the use of the token, what stands before the MAC and, for a link, the
//! destination. So a token of one use is worthless in another, and a link leads nowhere but where its writer meant.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{ids::MessageId, keys::KeyRing};

/// The length of a token in characters.
pub const LENGTH: usize = 48;

const VERSION: u8 = 1;
const BODY: usize = 20;
const MAC: usize = 16;

/// What a token is for; the destination of a link is a part of it.
#[derive(Clone, Copy)]
pub enum Use<'a> {
    /// The recipient's page about a message.
    Choices,
    /// A tracked link that leads to this destination.
    Link(&'a str),
    /// The pixel.
    Open,
}

/// What a token says, its signature having been checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opened {
    pub message: MessageId,
    /// The number of the link in its message, from 1; 0 for the other uses.
    pub ordinal: u16,
    /// The number of the key that signed.
    pub key: u8,
}

/// A token in its written form. `Debug` does not show it.
#[derive(Clone, Eq, PartialEq)]
pub struct Token([u8; LENGTH]);

impl Token {
    /// Signs a token with the newest key of the ring.
    pub fn mint(keys: &KeyRing, message: MessageId, ordinal: u16, purpose: Use<'_>) -> Self {
        let key = keys.signing();
        let mut octets = [0_u8; BODY + MAC];
        let (body, mac) = octets.split_at_mut(BODY);
        let (head, rest) = body.split_at_mut(2);
        let (id, number) = rest.split_at_mut(16);
        head.copy_from_slice(&[VERSION, key.id]);
        id.copy_from_slice(message.0.as_bytes());
        number.copy_from_slice(&ordinal.to_be_bytes());
        mac.copy_from_slice(&sign(key.token_key(), body, purpose));
        let mut written = [0; LENGTH];
        URL_SAFE_NO_PAD
            .encode_slice(octets, &mut written)
            .expect("36 octets fill 48 characters");
        Self(written)
    }

    /// Returns the octets of the written form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the written form.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Checks a token's signature for one use, in constant time, and returns what it says.
pub fn open(keys: &KeyRing, token: &str, purpose: Use<'_>) -> Option<Opened> {
    let octets = decode(token)?;
    let opened = read_octets(&octets)?;
    let (body, mac) = octets.split_at_checked(BODY)?;
    let key = keys.find(opened.key)?;
    bool::from(sign(key.token_key(), body, purpose).ct_eq(mac)).then_some(opened)
}

/// Reads what a token says **without** checking its signature: for display, and for finding one's own artefacts.
pub fn read(token: &str) -> Option<Opened> {
    read_octets(&decode(token)?)
}

fn read_octets(octets: &[u8; BODY + MAC]) -> Option<Opened> {
    let (&[version, key], rest) = octets.split_first_chunk::<2>()?;
    let (message, rest) = rest.split_first_chunk::<16>()?;
    let (ordinal, _) = rest.split_first_chunk::<2>()?;
    (version == VERSION).then(|| Opened {
        message: MessageId(Uuid::from_bytes(*message)),
        ordinal: u16::from_be_bytes(*ordinal),
        key,
    })
}

fn decode(token: &str) -> Option<[u8; BODY + MAC]> {
    if token.len() != LENGTH {
        return None;
    }
    let mut octets = [0; BODY + MAC];
    let written = URL_SAFE_NO_PAD.decode_slice(token, &mut octets).ok()?;
    (written == octets.len()).then_some(octets)
}

/// Most tokens are signed in one go, for which their input must stand in one piece.
const ONE_PIECE: usize = 512;

fn sign(key: &[u8; 32], body: &[u8], purpose: Use<'_>) -> [u8; MAC] {
    let (label, destination) = match purpose {
        Use::Choices => (b"c", ""),
        Use::Link(destination) => (b"l", destination),
        Use::Open => (b"o", ""),
    };
    let pieces = [label, body, destination.as_bytes()];
    let mut room = [0; ONE_PIECE];
    let hash = match join(&mut room, pieces) {
        Some(input) => blake3::keyed_hash(key, input),
        None => {
            let mut hasher = blake3::Hasher::new_keyed(key);
            for piece in pieces {
                hasher.update(piece);
            }
            hasher.finalize()
        }
    };
    let (mac, _) = hash
        .as_bytes()
        .split_first_chunk::<MAC>()
        .expect("a hash has 32 octets");
    *mac
}

fn join<'r>(room: &'r mut [u8], pieces: [&[u8]; 3]) -> Option<&'r [u8]> {
    let mut length = 0;
    for piece in pieces {
        room.get_mut(length..length + piece.len())?
            .copy_from_slice(piece);
        length += piece.len();
    }
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: MessageId =
        MessageId(Uuid::from_u128(0x1234_5678_9abc_def0_0fed_cba9_8765_4321));

    #[test]
    fn token_of_one_use_is_worthless_in_another() {
        let keys = KeyRing::for_testing();
        let token = Token::mint(&keys, MESSAGE, 0, Use::Open);

        assert_eq!(
            open(&keys, token.as_str(), Use::Open),
            Some(Opened {
                message: MESSAGE,
                ordinal: 0,
                key: 1
            })
        );
        assert_eq!(open(&keys, token.as_str(), Use::Choices), None);
        assert_eq!(open(&keys, token.as_str(), Use::Link("")), None);
    }

    #[test]
    fn signature_is_keyed_blake3_for_destinations_of_any_length() {
        let keys = KeyRing::for_testing();
        for length in [0, 1, 43, 400, 491, 492, 2000] {
            let destination = "x".repeat(length);

            let token = Token::mint(&keys, MESSAGE, 3, Use::Link(&destination));

            let octets = decode(token.as_str()).unwrap();
            let mut hasher = blake3::Hasher::new_keyed(keys.signing().token_key());
            hasher.update(b"l").update(&octets[..BODY]);
            let expected = hasher.update(destination.as_bytes()).finalize();
            assert_eq!(octets[BODY..], expected.as_bytes()[..MAC]);
            assert!(open(&keys, token.as_str(), Use::Link(&destination)).is_some());
        }
    }

    #[test]
    fn link_leads_only_where_it_was_meant_to() {
        let keys = KeyRing::for_testing();
        let token = Token::mint(&keys, MESSAGE, 3, Use::Link("https://a.example/"));

        assert!(open(&keys, token.as_str(), Use::Link("https://a.example/")).is_some());
        assert!(open(&keys, token.as_str(), Use::Link("https://b.example/")).is_none());
    }

    proptest! {
        #[test]
        fn strangers_bytes_never_open(token in "\\PC{0,80}") {
            prop_assert_eq!(open(&KeyRing::for_testing(), &token, Use::Open), None);
        }

        #[test]
        fn changing_one_character_breaks_it(place in 0..LENGTH, ordinal: u16) {
            let keys = KeyRing::for_testing();
            let token = Token::mint(&keys, MESSAGE, ordinal, Use::Open);
            let mut octets = token.as_str().as_bytes().to_vec();
            octets[place] = if octets[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(octets).unwrap();

            prop_assert_eq!(open(&keys, &changed, Use::Open), None);
        }
    }
}
