// SPDX-License-Identifier: GPL-3.0-or-later
//! What an instrumented message was before: the way back that a reply takes, over the whole message.

use common::keys::KeyRing;
use milter::{instrument::unwrap, message::Eml};

/// Takes out of a message whatever instrumentation puts in.
///
/// # Panics
///
/// Panics if nothing was put in.
pub(crate) fn uninstrumented(message: &[u8], keys: &KeyRing, base: &str) -> Vec<u8> {
    let mut eml = Eml::parse(message);
    let body = unwrap(eml.message(), keys, &[base]).expect("the result is what was meant");
    let body = body.expect("there is something of ours in it");
    eml.set_body(body);
    let text = eml.to_bytes();
    let start = b"\r\nTracking-Consent:";
    let place = text.windows(start.len()).position(|octets| octets == start);
    let (before, field) = text.split_at(place.expect("the field is there") + 2);
    // The last field; nothing of the author's comes after it.
    let end = field
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    [before, field.split_at(end + 2).1].concat()
}
