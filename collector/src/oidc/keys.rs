// SPDX-License-Identifier: GPL-3.0-or-later
//! The keys with which a provider signs (RFC 7517), and the algorithms of which we accept signatures (RFC 7518, 8037).
//!
//! Only signatures with a public key are known here: neither "none" nor one by a shared secret can be mistaken for one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// How a token may be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Algorithm {
    EdDsa,
    Es256,
    Es384,
    Ps256,
    Rs256,
    Rs384,
    Rs512,
}

/// A provider's keys.
#[derive(Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// What came of looking for a key that made a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Bad,
    Good,
    /// No key has that name: the provider may have a new one.
    Unknown,
}

/// More keys than this are nobody's.
const MOST: usize = 64;

impl Algorithm {
    /// Returns the algorithm with that name, if it is one of ours.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "EdDSA" | "Ed25519" => Self::EdDsa,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "PS256" => Self::Ps256,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            _ => return None,
        })
    }
}

impl Keys {
    /// Reads a set of keys; those of kinds that we do not know are left out. `None` if it is no set.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let set: Set = serde_json::from_slice(text).ok()?;
        let keys = set
            .keys
            .into_iter()
            .take(MOST)
            .filter_map(|key| serde_json::from_value(key).ok());
        Some(Self(keys.collect()))
    }

    /// Tells whether one of the keys, the one with that name if a name is given, made a signature.
    pub(super) fn check(
        &self,
        (algorithm, name): (Algorithm, &str),
        key_id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Verdict {
        let fit = self.0.iter().filter(|key| {
            let is_named = key_id.is_none() || key.kid.as_deref() == key_id;
            let signs = key
                .purpose
                .as_deref()
                .is_none_or(|purpose| purpose == "sig");
            is_named && signs && key.alg.as_deref().is_none_or(|alg| alg == name)
        });
        let mut verdict = Verdict::Unknown;
        for key in fit {
            if key.made(algorithm, message, signature) {
                return Verdict::Good;
            }
            verdict = Verdict::Bad;
        }
        verdict
    }
}

impl Key {
    fn made(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.try_made(algorithm, message, signature).is_some()
    }

    fn try_made(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> Option<()> {
        let rsa = |parameters| {
            let (n, e) = (number(self.n.as_ref())?, number(self.e.as_ref())?);
            let key = RsaPublicKeyComponents { n: &n, e: &e };
            key.verify(parameters, message, signed).ok()
        };
        let curve = |parameters, length| {
            let mut point = vec![4];
            point.extend(coordinate(self.x.as_ref(), length)?);
            point.extend(coordinate(self.y.as_ref(), length)?);
            UnparsedPublicKey::new(parameters, point)
                .verify(message, signed)
                .ok()
        };
        match (algorithm, self.kty.as_str(), self.crv.as_deref()) {
            (Algorithm::Rs256, "RSA", _) => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, "RSA", _) => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Rs512, "RSA", _) => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            (Algorithm::Ps256, "RSA", _) => rsa(&signature::RSA_PSS_2048_8192_SHA256),
            (Algorithm::Es256, "EC", Some("P-256")) => {
                curve(&signature::ECDSA_P256_SHA256_FIXED, 32)
            }
            (Algorithm::Es384, "EC", Some("P-384")) => {
                curve(&signature::ECDSA_P384_SHA384_FIXED, 48)
            }
            (Algorithm::EdDsa, "OKP", Some("Ed25519")) => {
                let key = coordinate(self.x.as_ref(), 32)?;
                UnparsedPublicKey::new(&signature::ED25519, key)
                    .verify(message, signed)
                    .ok()
            }
            _ => None,
        }
    }
}

/// Reads a number, without the zeros before it.
fn number(text: Option<&String>) -> Option<Vec<u8>> {
    let octets = URL_SAFE_NO_PAD.decode(text?).ok()?;
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    Some(octets.into_iter().skip(zeros).collect())
}

fn coordinate(text: Option<&String>, length: usize) -> Option<Vec<u8>> {
    let octets = URL_SAFE_NO_PAD.decode(text?).ok()?;
    (octets.len() == length).then_some(octets)
}
