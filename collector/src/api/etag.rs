// SPDX-License-Identifier: GPL-3.0-or-later
//! Entity tags: a fingerprint of an answer, so that a program need not fetch twice what did not change, nor write over
//! what it has not seen.

use actix_web::http::header::{HeaderMap, HeaderName};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Returns the entity tag of a body, in quotes.
pub(crate) fn of(body: &[u8]) -> String {
    let hash = blake3::hash(body);
    let (start, _) = hash.as_bytes().split_at(15);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(start))
}

/// The tags that a field names: `If-Match` or `If-None-Match`.
pub(crate) struct Named(Vec<String>);

impl Named {
    /// Reads a field; `None` if it is not there.
    pub(crate) fn read(headers: &HeaderMap, field: HeaderName) -> Option<Self> {
        let mut values = headers.get_all(field).peekable();
        values.peek()?;
        let tags = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|one| one.trim().trim_start_matches("W/").to_owned());
        Some(Self(tags.collect()))
    }

    /// Tells whether a tag is among them.
    pub(crate) fn has(&self, tag: &str) -> bool {
        self.0.iter().any(|one| one == "*" || one == tag)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderValue, IF_NONE_MATCH};

    use super::*;

    #[test]
    fn tags_are_found_in_lists() {
        let tag = of(b"one");
        let mut headers = HeaderMap::new();
        assert!(Named::read(&headers, IF_NONE_MATCH).is_none());

        let list = format!("\"x\", W/{tag}");
        headers.insert(IF_NONE_MATCH, HeaderValue::from_str(&list).unwrap());

        let named = Named::read(&headers, IF_NONE_MATCH).unwrap();
        assert!(named.has(&tag));
        assert!(!named.has(&of(b"two")));
    }
}
