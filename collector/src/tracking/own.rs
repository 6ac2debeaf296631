// SPDX-License-Identifier: GPL-3.0-or-later
//! Does the sender look at the own mail? A user of ours who is signed in shows a session, also when following a link in
//! the Sent folder. Recipients have no cookie of ours, and get none.

use actix_http::header::HeaderMap;

use crate::auth::{cookie, secret};

/// Returns the hash of the session that a request shows, if it shows one.
pub(super) fn session(headers: &HeaderMap) -> Option<Vec<u8>> {
    headers
        .get_all("cookie")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let is_ours = cookie::NAMES.contains(&name) && value.len() == cookie::SECRET_LENGTH;
            is_ours.then(|| secret::hash(value))
        })
}

#[cfg(test)]
mod tests {
    use actix_http::header::{HeaderName, HeaderValue};

    use super::*;

    fn shown(cookies: &'static str) -> Option<Vec<u8>> {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static("cookie"),
            HeaderValue::from_static(cookies),
        );
        session(&headers)
    }

    #[test]
    fn only_a_session_of_ours_is_read() {
        let secret = "A".repeat(43);
        let hash = Some(secret::hash(&secret));

        assert_eq!(
            shown("a=b; fairtrack=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            hash
        );
        assert_eq!(
            shown("__Host-fairtrack=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            hash
        );
        assert_eq!(shown("fairtrack=AAA; session=x; fairtrack"), None);
        assert_eq!(session(&HeaderMap::new()), None);
    }
}
