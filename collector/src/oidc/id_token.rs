// SPDX-License-Identifier: GPL-3.0-or-later
//! The ID token (OpenID Connect Core 1.0, section 3.1.3.7): whether the provider made it, for us, for this attempt, now.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::keys::{Algorithm, Keys, Verdict};

/// What a token must say.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// Why a token is worth nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    #[error("the ID token is signed in a way that is not accepted")]
    Algorithm,
    #[error("the ID token is for somebody else")]
    Audience,
    #[error("the ID token is too old, or from the future")]
    Expired,
    #[error("the ID token is from another issuer")]
    Issuer,
    #[error("the ID token is malformed")]
    Malformed,
    #[error("the ID token is for another attempt")]
    Nonce,
    #[error("the ID token's signature is wrong")]
    Signature,
    #[error("the ID token is signed with a key that the provider does not publish")]
    UnknownKey,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Names of fields that whoever does not know them must not accept; we know none.
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    azp: Option<String>,
    nonce: String,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    Many(Vec<String>),
    One(String),
}

/// What a token says about whoever signed in.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) subject: String,
    pub(super) claims: Map<String, Value>,
}

/// Clocks may differ by so many seconds.
const SKEW: f64 = 60.0;
const LONGEST: usize = 64 * 1024;

/// Reads a token and returns what it says.
///
/// # Errors
///
/// Says why it is worth nothing.
pub(super) fn read(token: &str, keys: &Keys, expected: Expected<'_>) -> Result<Said, TokenError> {
    let claims = signed_claims(token, keys)?;
    if claims.iss != expected.issuer {
        return Err(TokenError::Issuer);
    }
    if !is_for(&claims, expected.client_id) {
        return Err(TokenError::Audience);
    }
    let now = expected.now.timestamp() as f64;
    let begins = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    let is_timely = begins <= now + SKEW && now - SKEW < claims.exp;
    if !is_timely {
        return Err(TokenError::Expired);
    }
    let is_ours = claims.nonce.as_bytes().ct_eq(expected.nonce.as_bytes());
    if !bool::from(is_ours) {
        return Err(TokenError::Nonce);
    }
    Ok(Said {
        subject: claims.sub,
        claims: claims.others,
    })
}

fn signed_claims(token: &str, keys: &Keys) -> Result<Claims, TokenError> {
    let malformed = || TokenError::Malformed;
    if token.len() > LONGEST {
        return Err(TokenError::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = message.split_once('.').ok_or_else(malformed)?;
    let header: Header = part(header)?;
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    let algorithm = Algorithm::named(&header.alg).ok_or(TokenError::Algorithm)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_malformed| TokenError::Malformed)?;
    let verdict = keys.check(
        (algorithm, &header.alg),
        header.kid.as_deref(),
        message.as_bytes(),
        &signature,
    );
    match verdict {
        Verdict::Bad => Err(TokenError::Signature),
        Verdict::Good => part(claims),
        Verdict::Unknown => Err(TokenError::UnknownKey),
    }
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, TokenError> {
    let octets = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_malformed| TokenError::Malformed)?;
    serde_json::from_slice(&octets).map_err(|_malformed| TokenError::Malformed)
}

fn is_for(claims: &Claims, client_id: &str) -> bool {
    let (is_named, is_alone) = match &claims.aud {
        Audience::Many(names) => (names.iter().any(|name| name == client_id), names.len() == 1),
        Audience::One(name) => (name == client_id, true),
    };
    let is_authorised = match &claims.azp {
        Some(party) => party == client_id,
        None => is_alone,
    };
    is_named && is_authorised
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example.com";

    struct Signer {
        pair: EcdsaKeyPair,
        random: SystemRandom,
    }

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
            Self { pair, random }
        }

        fn keys(&self) -> Keys {
            let point = self.pair.public_key().as_ref();
            let (x, y) = point[1..].split_at(32);
            let set = json!({"keys": [
                {"kty": "unheard-of"},
                {"kty": "EC", "crv": "P-256", "kid": "one", "use": "sig", "alg": "ES256",
                    "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)},
            ]});
            Keys::read(set.to_string().as_bytes()).unwrap()
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let message = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header.to_string()),
                URL_SAFE_NO_PAD.encode(claims.to_string())
            );
            let signature = self.pair.sign(&self.random, message.as_bytes()).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn header() -> Value {
        json!({"alg": "ES256", "kid": "one"})
    }

    fn claims(changes: Value) -> Value {
        let at = now().timestamp();
        let mut claims = json!({"iss": ISSUER, "sub": "7", "aud": "fairtrack", "exp": at + 60, "iat": at - 1,
            "nonce": "n", "email": "anna@example.com"});
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }

    fn outcome(keys: &Keys, token: &str) -> Result<Said, TokenError> {
        let expected = Expected {
            issuer: ISSUER,
            client_id: "fairtrack",
            nonce: "n",
            now: now(),
        };
        read(token, keys, expected)
    }

    #[test]
    fn good_token_says_who_signed_in() {
        let signer = Signer::new();
        for changes in [
            json!({}),
            json!({"aud": ["fairtrack"]}),
            json!({"aud": ["fairtrack", "other"], "azp": "fairtrack"}),
        ] {
            let token = signer.sign(&header(), &claims(changes));
            let said = outcome(&signer.keys(), &token).unwrap();

            assert_eq!(said.subject, "7");
            assert_eq!(said.claims["email"], "anna@example.com");
        }
        // A provider with one key need not name it.
        let token = signer.sign(&json!({"alg": "ES256"}), &claims(json!({})));
        assert!(outcome(&signer.keys(), &token).is_ok());
    }

    #[test]
    fn token_that_says_something_else_is_refused() {
        let signer = Signer::new();
        let at = now().timestamp();
        for (changes, error) in [
            (
                json!({"iss": "https://id.example.com/"}),
                TokenError::Issuer,
            ),
            (json!({"aud": "other"}), TokenError::Audience),
            (json!({"aud": []}), TokenError::Audience),
            (json!({"aud": ["fairtrack", "other"]}), TokenError::Audience),
            (json!({"azp": "other"}), TokenError::Audience),
            (json!({"exp": at - 61}), TokenError::Expired),
            (json!({"iat": at + 120}), TokenError::Expired),
            (json!({"nbf": at + 120}), TokenError::Expired),
            (json!({"nonce": "m"}), TokenError::Nonce),
            (json!({"nonce": null}), TokenError::Malformed),
            (json!({"exp": null}), TokenError::Malformed),
            (json!({"exp": "2100-01-01"}), TokenError::Malformed),
            (json!({"sub": 7}), TokenError::Malformed),
        ] {
            let token = signer.sign(&header(), &claims(changes.clone()));
            assert_eq!(
                outcome(&signer.keys(), &token).unwrap_err(),
                error,
                "{changes}"
            );
        }
    }

    #[test]
    fn token_that_the_provider_did_not_sign_is_refused() {
        let (signer, other) = (Signer::new(), Signer::new());
        let good = signer.sign(&header(), &claims(json!({})));
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (_, body) = message.split_once('.').unwrap();
        let forged =
            |header: Value| format!("{}.{body}.", URL_SAFE_NO_PAD.encode(header.to_string()));
        let changed = claims(json!({"email": "boss@example.com"}));

        for (token, error) in [
            (
                other.sign(&header(), &claims(json!({}))),
                TokenError::Signature,
            ),
            (
                format!(
                    "{}.{}.{signature}",
                    URL_SAFE_NO_PAD.encode(header().to_string()),
                    URL_SAFE_NO_PAD.encode(changed.to_string())
                ),
                TokenError::Signature,
            ),
            (forged(json!({"alg": "none"})), TokenError::Algorithm),
            (
                forged(json!({"alg": "HS256", "kid": "one"})),
                TokenError::Algorithm,
            ),
            (
                forged(json!({"alg": "RS256", "kid": "one"})),
                TokenError::UnknownKey,
            ),
            (
                signer.sign(&json!({"alg": "ES256", "kid": "two"}), &claims(json!({}))),
                TokenError::UnknownKey,
            ),
            (
                signer.sign(
                    &json!({"alg": "ES256", "crit": ["x"], "x": 1}),
                    &claims(json!({})),
                ),
                TokenError::Malformed,
            ),
            (String::new(), TokenError::Malformed),
            ("a.b.c.d".into(), TokenError::Malformed),
            ("x".repeat(LONGEST + 1), TokenError::Malformed),
        ] {
            assert_eq!(
                outcome(&signer.keys(), &token).unwrap_err(),
                error,
                "{token}"
            );
        }
    }
}
