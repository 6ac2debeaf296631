// SPDX-License-Identifier: GPL-3.0-or-later
//! The hash chain of the consent log, and of the log of acts: `h_n = SHA256(h_{n-1} ‖ "\n" ‖ entry)`.
//!
//! Hashes enter in hexadecimal digits, entries as canonical JSON (RFC 8785). What is personal stays outside: an entry
//! holds only the hash of it, so that an erasure leaves the chain whole. Pure.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ids::ControllerId;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Returns the hash before the first entry of a controller's consent log.
pub fn genesis(controller: &ControllerId) -> Hash {
    sha256(format!("consent-chain/v1|{controller}"))
}

/// Returns the hash before the first entry of a controller's log of acts.
pub fn genesis_of_acts(controller: &ControllerId) -> Hash {
    sha256(format!("act-chain/v1|{controller}"))
}

/// Returns the hash of an entry that follows `previous`.
pub fn next(previous: &[u8], entry: &Value) -> Hash {
    sha256(format!("{}\n{}", hex(previous), canonical(entry)))
}

/// Returns SHA-256.
pub fn sha256(octets: impl AsRef<[u8]>) -> Hash {
    Sha256::digest(octets).into()
}

/// Returns octets as hexadecimal digits in lower case.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(
        String::with_capacity(octets.len() * 2),
        |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        },
    )
}

/// Cuts a time to what PostgreSQL keeps, so that it hashes alike before and after it was stored.
pub fn storable(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

/// Returns a time as it stands in an entry.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Returns canonical JSON as RFC 8785 has it: no white space, names in the order of their UTF-16 code units.
///
/// Numbers are integers here; serde_json escapes strings as the standard asks.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            text.push('{');
            for (place, (name, member)) in members.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                let _ = write!(text, "{}:", Value::from(name.as_str()));
                write_canonical(member, text);
            }
            text.push('}');
        }
        scalar => {
            let _ = write!(text, "{scalar}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONTROLLER: &str = "7f0c2a52-6f0e-4c4e-9a43-0d7a3c1b9e11";

    fn entry(seq: u64, state: &str, at: &str, actor: &str, payload: &str) -> Value {
        json!({
            "v": 1, "seq": seq, "controller_id": CONTROLLER,
            "subject_ref": "b1f7b9ce-2f6e-4f0b-8f55-2d9a4d1f0a01", "purpose": "open", "scope": "sender:5d9a2c",
            "state": state, "at": at, "actor": actor, "payload_sha256": hex(&sha256(payload)),
        })
    }

    /// C78: the vectors of the consent sheet, section 3.5.
    #[test]
    fn published_vectors_hold() {
        let start = genesis(&ControllerId(CONTROLLER.into()));
        let first = next(
            &start,
            &entry(1, "requested", "2026-11-23T15:00:00Z", "user", "payload-1"),
        );
        let second = next(
            &first,
            &entry(
                2,
                "granted",
                "2026-11-23T15:10:00Z",
                "recipient",
                "payload-2",
            ),
        );

        assert_eq!(
            hex(&start),
            "f869fdd44c47a72a65f163b9554551bc90cab07033fc5ec537c973bb6637f639"
        );
        assert_eq!(
            hex(&first),
            "ac73ffd7df4fe900135e945c8f2cd2d03b34ebbcef4656565f036469a4d52fea"
        );
        assert_eq!(
            hex(&second),
            "f7da9f8c6d5bd9f72a980fd417b55f655e7a85a7009bec7bd4c3c01ef2be010a"
        );
    }

    #[test]
    fn canonical_form_is_that_of_the_standard() {
        let value = json!({"\u{e000}": 1, "\u{1f600}": "a\"\\\n\u{1f}é", "b": [true, null, {"z": 0, "a": -1}]});

        assert_eq!(
            canonical(&value),
            "{\"b\":[true,null,{\"a\":-1,\"z\":0}],\"\u{1f600}\":\"a\\\"\\\\\\n\\u001fé\",\"\u{e000}\":1}"
        );
    }

    #[test]
    fn time_hashes_alike_after_it_was_stored() {
        let at = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();

        assert_eq!(instant(storable(at)), "2023-11-14T22:13:20.123456Z");
    }
}
