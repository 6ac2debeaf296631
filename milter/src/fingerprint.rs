// SPDX-License-Identifier: GPL-3.0-or-later
//! By what a message that was split is known again when it comes back: a keyed hash of what no server on the way
//! changes.

use common::keys::KeyRing;

use crate::message::{HeaderField, Message};

const CONTEXT: &str = "fairtrack 2026-11 fingerprints of split messages";

/// The fields that tell one message from another. Servers rewrite those with addresses.
const FIELDS: [&str; 2] = ["message-id", "date"];

/// Returns the fingerprint of a message with these fields and this body.
pub(crate) fn fingerprint(fields: &[HeaderField], body: &[u8], keys: &KeyRing) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(&keys.derived(CONTEXT));
    for name in FIELDS {
        for field in fields.iter().filter(|field| field.is(name)) {
            let value = field.unfolded();
            hasher.update(&value.len().to_be_bytes());
            hasher.update(&value);
        }
        hasher.update(b"\n");
    }
    // A server ends the last line where the client did not.
    hasher.update(body.trim_ascii_end());
    *hasher.finalize().as_bytes()
}

/// Returns the fingerprint of a message.
pub(crate) fn of(message: &Message, keys: &KeyRing) -> [u8; 32] {
    fingerprint(&message.fields, &message.body, keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_known_again_by_what_no_server_changes() {
        let keys = KeyRing::for_testing();
        let of = |raw: &str| of(&Message::parse(raw.as_bytes()), &keys);
        let sent = of("Message-ID: <1@x>\r\nDate: today\r\nTo: a@b.example\r\n\r\nhello");

        assert_eq!(
            sent,
            of(
                "Received: x\r\nDKIM-Signature: y\r\nMessage-Id:\r\n <1@x>\r\nDate: today\r\n\r\nhello\r\n"
            )
        );
        for other in [
            "Message-ID: <2@x>\r\nDate: today\r\n\r\nhello",
            "Message-ID: <1@x>\r\nDate: later\r\n\r\nhello",
            "Message-ID: <1@x>\r\nDate: today\r\n\r\nhallo",
            "Message-ID: <1@x>today\r\nDate:\r\n\r\nhello",
        ] {
            assert_ne!(sent, of(other), "{other}");
        }
    }
}
