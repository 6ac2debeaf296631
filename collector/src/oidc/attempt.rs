// SPDX-License-Identifier: GPL-3.0-or-later
//! One attempt to sign in: what the browser holds of it, and what is derived from that.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use common::{ids::ControllerId, keys::KeyRing};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::auth::secret;

const CONTEXT: &str = "fairtrack 2026-11 OpenID Connect";
/// How long a user may take at the provider.
pub const COOKIE_MINUTES: i64 = 10;

/// An attempt, as the cookie carries it: a random secret, when it ends, and where the user wanted to go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    secret: String,
    expires: i64,
    next: String,
}

impl Attempt {
    /// Begins an attempt; `None` if the operating system gives no random numbers.
    pub fn begin(next: String, now: DateTime<Utc>) -> Option<Self> {
        Some(Self {
            secret: secret::random().ok()?,
            expires: (now + TimeDelta::minutes(COOKIE_MINUTES)).timestamp(),
            next,
        })
    }

    /// Reads an attempt off a cookie's value; nothing in it is to be believed before [`Self::is_answered_by`].
    pub fn read(cookie: &str) -> Option<Self> {
        let mut parts = cookie.splitn(3, '.');
        let (secret, expires, next) = (parts.next()?, parts.next()?, parts.next()?);
        let next = URL_SAFE_NO_PAD.decode(next).ok()?;
        Some(Self {
            secret: secret.into(),
            expires: expires.parse().ok()?,
            next: String::from_utf8(next).ok()?,
        })
    }

    /// Returns the cookie's value.
    pub fn cookie(&self) -> String {
        let next = URL_SAFE_NO_PAD.encode(&self.next);
        format!("{}.{}.{next}", self.secret, self.expires)
    }

    /// Returns where the user wanted to go.
    pub fn next(&self) -> &str {
        &self.next
    }

    /// Tells whether what came back from the provider belongs to this attempt, and in time.
    pub fn is_answered_by(
        &self,
        state: &str,
        controller: &ControllerId,
        keys: &KeyRing,
        now: DateTime<Utc>,
    ) -> bool {
        let is_ours = self
            .state(controller, keys)
            .as_bytes()
            .ct_eq(state.as_bytes());
        bool::from(is_ours) && now.timestamp() < self.expires
    }

    /// Returns `state`: what the provider hands back.
    pub fn state(&self, controller: &ControllerId, keys: &KeyRing) -> String {
        self.derived("state", controller, keys)
    }

    /// Returns `nonce`: what the ID token must carry.
    pub fn nonce(&self, controller: &ControllerId, keys: &KeyRing) -> String {
        self.derived("nonce", controller, keys)
    }

    /// Returns the verifier of PKCE (RFC 7636): what shows that whoever redeems the code asked for it.
    pub fn verifier(&self, controller: &ControllerId, keys: &KeyRing) -> String {
        self.derived("verifier", controller, keys)
    }

    /// Returns the challenge of PKCE, method S256.
    pub fn challenge(&self, controller: &ControllerId, keys: &KeyRing) -> String {
        let verifier = self.verifier(controller, keys);
        URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
    }

    fn derived(&self, purpose: &str, controller: &ControllerId, keys: &KeyRing) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&keys.derived(CONTEXT));
        // None of them holds a zero; the last may hold anything else.
        for part in [
            purpose,
            controller.as_str(),
            &self.secret,
            &self.expires.to_string(),
            &self.next,
        ] {
            hasher.update(part.as_bytes()).update(b"\0");
        }
        URL_SAFE_NO_PAD.encode(hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> KeyRing {
        KeyRing::for_testing()
    }

    fn example() -> ControllerId {
        ControllerId("example".into())
    }

    #[test]
    fn attempt_comes_back_in_its_own_browser_and_in_time() {
        let now = Utc::now();
        let attempt = Attempt::begin("/messages/1?x=ł".into(), now).unwrap();
        let state = attempt.state(&example(), &keys());
        let is_answered = |attempt: &Attempt, state: &str, controller: &ControllerId, now| {
            attempt.is_answered_by(state, controller, &keys(), now)
        };

        let read = Attempt::read(&attempt.cookie()).unwrap();

        assert_eq!(read, attempt);
        assert!(is_answered(&read, &state, &example(), now));
        let other = Attempt::begin("/messages/1?x=ł".into(), now).unwrap();
        assert!(!is_answered(&other, &state, &example(), now));
        assert!(!is_answered(&read, "", &example(), now));
        assert!(!is_answered(
            &read,
            &state,
            &ControllerId("other".into()),
            now
        ));
        let late = now + TimeDelta::minutes(COOKIE_MINUTES);
        assert!(!is_answered(&read, &state, &example(), late));
    }

    #[test]
    fn cookie_that_was_changed_belongs_to_no_answer() {
        let now = Utc::now();
        let attempt = Attempt::begin("/".into(), now).unwrap();
        let state = attempt.state(&example(), &keys());

        for changed in [
            Attempt {
                next: "/settings".into(),
                ..attempt.clone()
            },
            Attempt {
                expires: attempt.expires + 1,
                ..attempt
            },
        ] {
            assert!(!changed.is_answered_by(&state, &example(), &keys(), now));
        }
        for broken in ["", "a", "a.b", "a.b.c", "a.1.***"] {
            assert_eq!(Attempt::read(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_derived_is_told_apart() {
        let attempt = Attempt::begin("/".into(), Utc::now()).unwrap();

        let all = [
            attempt.state(&example(), &keys()),
            attempt.nonce(&example(), &keys()),
            attempt.verifier(&example(), &keys()),
            attempt.challenge(&example(), &keys()),
        ];

        for (place, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 43);
            assert!(!all.iter().skip(place + 1).any(|other| other == one));
        }
    }
}
