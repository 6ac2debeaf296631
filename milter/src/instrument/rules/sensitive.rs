// SPDX-License-Identifier: GPL-3.0-or-later
//! Links that sign in, reset, confirm or invite, and those that carry a secret.

use std::sync::LazyLock;

use super::octets::{CUTS_FRAGMENT, CUTS_PATH, CUTS_QUERY, class_of};

/// Names of query parameters that carry secrets.
const SECRET_PARAMETERS: [&str; 37] = [
    "token",
    "access_token",
    "id_token",
    "refresh_token",
    "auth",
    "auth_token",
    "authtoken",
    "authkey",
    "jwt",
    "otp",
    "totp",
    "pin",
    "passcode",
    "password",
    "pwd",
    "secret",
    "sig",
    "signature",
    "hmac",
    "x-amz-signature",
    "x-amz-security-token",
    "x-goog-signature",
    "x-oss-signature",
    "awsaccesskeyid",
    "reset",
    "reset_token",
    "reset_password_token",
    "confirmation_token",
    "invitation_token",
    "unlock_token",
    "oobcode",
    "magic",
    "ticket",
    "session",
    "sessionid",
    "nonce",
    "api_key",
];

/// Words of a path that sign in, reset, confirm or invite.
const SECRET_PATHS: [&str; 33] = [
    "reset-password",
    "password-reset",
    "resetpassword",
    "reset_password",
    "password_reset",
    "passwordreset",
    "password/reset",
    "password/edit",
    "password",
    "forgot-password",
    "set-password",
    "magic-link",
    "magiclink",
    "magic",
    "login",
    "log-in",
    "signin",
    "sign-in",
    "sign_in",
    "verify",
    "verify-email",
    "email-verification",
    "verification",
    "activate",
    "activation",
    "confirm",
    "confirm-email",
    "confirmation",
    "unlock",
    "otp",
    "2fa",
    "sso",
    "oauth",
];

/// Tells whether what stands after the host looks like a way in, or carries a one-time secret.
pub(super) fn is_sensitive(path: &str) -> bool {
    let mut rest = path.as_bytes();
    let mut cuts = CUTS_PATH;
    loop {
        let is_cut = |octet: &u8| class_of(*octet) & cuts != 0;
        let end = rest.iter().position(is_cut).unwrap_or(rest.len());
        let (piece, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
        let is_secret = if cuts == CUTS_PATH {
            is_web_token(piece) || SECRET_PATH.is(before(piece, b'.'))
        } else {
            let name = before(piece, b'=');
            let value = piece.get(name.len() + 1..).unwrap_or_default();
            !value.is_empty() && (SECRET_PARAMETER.is(name) || is_web_token(value))
        };
        if is_secret {
            return true;
        }
        let Some((cut, after)) = after.split_first() else {
            return false;
        };
        cuts = match cut {
            b'?' => CUTS_QUERY,
            b'#' => CUTS_FRAGMENT,
            _ => cuts,
        };
        rest = after;
    }
}

/// Returns what stands before the first such octet.
fn before(text: &[u8], end: u8) -> &[u8] {
    let place = text.iter().position(|octet| *octet == end);
    place.and_then(|place| text.get(..place)).unwrap_or(text)
}

static SECRET_PARAMETER: LazyLock<Words> = LazyLock::new(|| Words::new(&SECRET_PARAMETERS));
static SECRET_PATH: LazyLock<Words> = LazyLock::new(|| Words::new(&SECRET_PATHS));

/// A list of short words, each found by comparing with few.
struct Words {
    /// The words of each length.
    by_length: [Vec<&'static str>; 32],
    /// For each length, the first letters of these, as bits.
    firsts: [u32; 32],
}

impl Words {
    fn new(words: &[&'static str]) -> Self {
        let mut list = Self {
            by_length: Default::default(),
            firsts: [0; 32],
        };
        for word in words {
            let length = word.len();
            let room = list.by_length.get_mut(length);
            if let (Some(room), Some(bits)) = (room, list.firsts.get_mut(length)) {
                room.push(word);
                *bits |= bit_of(word.as_bytes());
            }
        }
        list
    }

    /// Tells whether a text is one of the words, without regard to case.
    fn is(&self, text: &[u8]) -> bool {
        let length = text.len();
        let bits = self.firsts.get(length).copied().unwrap_or(0);
        bits & bit_of(text) != 0
            && self.by_length.get(length).is_some_and(|words| {
                let mut words = words.iter();
                words.any(|word| word.as_bytes().eq_ignore_ascii_case(text))
            })
    }
}

/// Returns a bit for the first letter, the same for both its cases.
fn bit_of(text: &[u8]) -> u32 {
    text.first().map_or(0, |first| 1 << (first & 31))
}

/// Recognises a JSON web token: three pieces of base64url, of which the first begins with what `{"` becomes.
fn is_web_token(text: &[u8]) -> bool {
    text.len() > 40
        && text.starts_with(b"eyJ")
        && text.iter().filter(|octet| **octet == b'.').count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_without_regard_to_case() {
        for words in [&SECRET_PARAMETERS[..], &SECRET_PATHS] {
            let list = Words::new(words);
            assert!(
                words
                    .iter()
                    .all(|word| list.is(word.to_ascii_uppercase().as_bytes()))
            );
            assert!(!list.is(b"") && !list.is(b"toke") && !list.is(b"tokens"));
        }
    }
}
