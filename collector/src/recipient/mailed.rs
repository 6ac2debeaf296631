// SPDX-License-Identifier: GPL-3.0-or-later
//! The secrets of a mailed link, and of the page that follows its one use.
//!
//! A link carries 256 random bits; at rest there is only their keyed hash. Once it was used, the page carries a session
//! secret in a hidden field instead of a cookie: it names the link and proves that we issued it, so whoever read the
//! mail later cannot make one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::{db::recipient_links::Link, keys::KeyRing};
use subtle::ConstantTimeEq;

const LINK_CONTEXT: &str = "fairtrack 2026-11 recipient links";
const SESSION_CONTEXT: &str = "fairtrack 2026-11 recipient sessions";

/// The secret of a mailed link.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Draws a new one; `None` if the system has no random numbers.
    pub fn random() -> Option<Self> {
        let mut octets = [0; 32];
        getrandom::fill(&mut octets).ok()?;
        Some(Self(octets))
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 43 {
            return None;
        }
        let octets = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(octets.try_into().ok()?))
    }

    /// Returns the written form.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Returns the hash under which the link is kept.
    pub fn hash(&self, keys: &KeyRing) -> Vec<u8> {
        blake3::keyed_hash(&keys.derived(LINK_CONTEXT), &self.0)
            .as_bytes()
            .to_vec()
    }
}

/// Returns the session secret of a link that has been used.
pub fn session(link: &Link, keys: &KeyRing) -> String {
    let mut octets = link.token_hash.clone();
    octets.extend_from_slice(&seal(&link.token_hash, keys));
    URL_SAFE_NO_PAD.encode(octets)
}

/// Checks a session secret and returns the hash of its link.
pub fn open_session(text: &str, keys: &KeyRing) -> Option<Vec<u8>> {
    if text.len() > 128 {
        return None;
    }
    let octets = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (hash, sealed) = octets.split_at_checked(32)?;
    bool::from(seal(hash, keys).ct_eq(sealed)).then(|| hash.to_vec())
}

fn seal(hash: &[u8], keys: &KeyRing) -> [u8; 32] {
    *blake3::keyed_hash(&keys.derived(SESSION_CONTEXT), hash).as_bytes()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn session_names_its_link() {
        let keys = KeyRing::for_testing();
        let secret = Secret::random().unwrap();
        let link = Link {
            controller_id: "example".into(),
            token_hash: secret.hash(&keys),
            subject_ref: Uuid::nil(),
            scope_user: None,
            request_id: None,
            created_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            used_at: None,
        };

        let session = session(&link, &keys);

        assert_eq!(open_session(&session, &keys), Some(link.token_hash));
        assert_eq!(open_session(&secret.text(), &keys), None);
    }

    /// C57: whoever reads the database can try no secrets.
    #[test]
    fn hash_of_a_secret_takes_the_key() {
        let secret = Secret::random().unwrap();
        let plain = blake3::hash(&secret.0);

        let keyed = secret.hash(&KeyRing::for_testing());

        assert_ne!(keyed, plain.as_bytes());
        assert_eq!(keyed, secret.hash(&KeyRing::for_testing()));
    }

    proptest! {
        #[test]
        fn strangers_secrets_do_no_harm(text in "\\PC{0,140}") {
            let keys = KeyRing::for_testing();

            prop_assert_eq!(open_session(&text, &keys), None);
            let _ = Secret::parse(&text);
        }
    }
}
