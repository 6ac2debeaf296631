// SPDX-License-Identifier: GPL-3.0-or-later
//! Secrets of 256 random bits that we hand out: cookies, sign-in links, API tokens. We keep their SHA-256 only.
//!
//! A plain hash is enough, because nobody guesses 256 random bits.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// What API tokens begin with, so that leaked ones are recognised.
pub const TOKEN_PREFIX: &str = "ft_";

/// Returns a new secret, in 43 characters fit for URLs and cookies.
///
/// # Errors
///
/// Fails if the operating system gives no random numbers.
pub fn random() -> Result<String, getrandom::Error> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes()?))
}

/// Returns 32 random bytes.
///
/// # Errors
///
/// Fails if the operating system gives no random numbers.
pub fn random_bytes() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Returns a new API token.
///
/// # Errors
///
/// Fails if the operating system gives no random numbers.
pub fn api_token() -> Result<String, getrandom::Error> {
    Ok(format!("{TOKEN_PREFIX}{}", random()?))
}

/// Returns what the database keeps of a secret.
pub fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_twice_the_same() {
        let (one, other) = (random().unwrap(), random().unwrap());

        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
        assert_ne!(hash(&one), hash(&other));
        assert!(api_token().unwrap().starts_with("ft_"));
    }
}
