// SPDX-License-Identifier: GPL-3.0-or-later
//! Links that sign in, reset, confirm or invite, and those that carry a secret.
//!
//! Names are compared as [`squeeze`] makes them, so that `reset_token`, `resetToken` and `reset-token` are one word. A
//! short number counts as a secret only as `code`, `otp` or `pin`: many shops call a voucher `code`.

use std::sync::LazyLock;

/// Names of query parameters that carry secrets.
const SECRET_PARAMETERS: [&str; 40] = [
    "accesscode",
    "activationcode",
    "activationkey",
    "auth",
    "authcode",
    "authkey",
    "awsaccesskeyid",
    "confirmationcode",
    "confirmationkey",
    "confirmcode",
    "hmac",
    "invitationcode",
    "invitecode",
    "jwt",
    "keypairid",
    "logincode",
    "magic",
    "magiccode",
    "nonce",
    "oobcode",
    "otp",
    "otpcode",
    "passcode",
    "pin",
    "pincode",
    "pwd",
    "recoverycode",
    "reset",
    "resetcode",
    "resetkey",
    "securitycode",
    "session",
    "sig",
    "signincode",
    "ticket",
    "totp",
    "twofactorcode",
    "verificationcode",
    "verificationkey",
    "verifycode",
];

/// Ends of such names.
const SECRET_ENDS: [&str; 8] = [
    "apikey",
    "passwd",
    "password",
    "secret",
    "sessid",
    "sessionid",
    "signature",
    "token",
];

/// Words of a path that sign in, reset, confirm or invite.
const SECRET_PATHS: [&str; 54] = [
    "2fa",
    "acceptinvitation",
    "acceptinvite",
    "accountactivation",
    "accountconfirmation",
    "accountrecovery",
    "accountverification",
    "activate",
    "activateaccount",
    "activation",
    "changepassword",
    "confirm",
    "confirmaccount",
    "confirmation",
    "confirmemail",
    "confirmregistration",
    "confirmsignup",
    "confirmsubscription",
    "createpassword",
    "emailconfirmation",
    "emailverification",
    "forgotpassword",
    "forgottenpassword",
    "invitation",
    "invitations",
    "invite",
    "invites",
    "login",
    "loginlink",
    "magic",
    "magiclink",
    "magiclogin",
    "newpassword",
    "oauth",
    "oauth2",
    "otp",
    "password",
    "passwordrecovery",
    "passwordreset",
    "passwordresets",
    "passwords",
    "recoveraccount",
    "recoverpassword",
    "registrationconfirmation",
    "reset",
    "resetpassword",
    "setpassword",
    "signin",
    "sso",
    "unlock",
    "verification",
    "verify",
    "verifyaccount",
    "verifyemail",
];

/// Tells whether what stands after the host looks like a way in, or carries a one-time secret.
pub(super) fn is_sensitive(path: &str) -> bool {
    let (before, fragment) = cut(path.as_bytes(), b'#');
    let (way, query) = cut(before, b'?');
    has_secret_way(way)
        || has_secret_parameter(query)
        || has_secret_parameter(fragment)
        // A route within a page: `#/login`, `#!/login`.
        || (matches!(fragment.first(), Some(b'/' | b'!')) && has_secret_way(cut(fragment, b'?').0))
}

/// Parts a text at an octet, which neither side keeps.
fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let place = memchr::memchr(at, text);
    let parts = place.and_then(|place| Some((text.get(..place)?, text.get(place + 1..)?)));
    parts.unwrap_or((text, b""))
}

fn has_secret_way(way: &[u8]) -> bool {
    way.split(|octet| matches!(octet, b'/' | b'\\'))
        .any(|piece| {
            let (piece, parameters) = cut(piece, b';');
            is_web_token(piece)
                || squeeze(cut(piece, b'.').0, &mut [0; ROOM])
                    .is_some_and(|word| SECRET_PATH.is(word))
                || has_secret_parameter(parameters)
        })
}

fn has_secret_parameter(parameters: &[u8]) -> bool {
    !parameters.is_empty()
        && parameters
            .split(|octet| matches!(octet, b'&' | b';' | b'?' | b'#'))
            .any(|parameter| {
                let (name, value) = cut(parameter, b'=');
                !value.is_empty() && (is_web_token(value) || is_secret(name, value))
            })
}

fn is_secret(name: &[u8], value: &[u8]) -> bool {
    // None is so short.
    if name.len() < 3 {
        return false;
    }
    let mut room = [0; ROOM];
    let Some(name) = squeeze(name, &mut room) else {
        return false;
    };
    SECRET_PARAMETER.is(name)
        || SECRET_ENDS.iter().any(|end| name.ends_with(end.as_bytes()))
        || (name == b"code" && is_short_number(value))
}

/// Tells whether a value is what is sent to be typed in.
fn is_short_number(value: &[u8]) -> bool {
    (4..=8).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// The longest word that is looked at, in octets.
const ROOM: usize = 64;

/// Reduces a word to its letters and digits in lower case, percent-encoding undone; `None` if that has no room.
fn squeeze<'r>(text: &[u8], room: &'r mut [u8; ROOM]) -> Option<&'r [u8]> {
    let mut rest = text.iter();
    let mut length = 0;
    while let Some(octet) = rest.next() {
        let mut octet = *octet;
        if octet == b'%'
            && let [high, low, ..] = rest.as_slice()
            && let (Some(high), Some(low)) = (hexadecimal(*high), hexadecimal(*low))
        {
            octet = high << 4 | low;
            rest.nth(1);
        }
        if octet.is_ascii_alphanumeric() {
            *room.get_mut(length)? = octet.to_ascii_lowercase();
            length += 1;
        }
    }
    room.get(..length)
}

fn hexadecimal(octet: u8) -> Option<u8> {
    let digit = char::from(octet).to_digit(16)?;
    u8::try_from(digit).ok()
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

    /// Tells whether a text in lower case is one of the words.
    fn is(&self, text: &[u8]) -> bool {
        let length = text.len();
        let bits = self.firsts.get(length).copied().unwrap_or(0);
        bits & bit_of(text) != 0
            && self.by_length.get(length).is_some_and(|words| {
                let mut words = words.iter();
                words.any(|word| word.as_bytes() == text)
            })
    }
}

/// Returns a bit for the first letter.
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
    fn every_word_is_found_and_no_other() {
        for words in [&SECRET_PARAMETERS[..], &SECRET_PATHS] {
            let list = Words::new(words);
            assert!(words.iter().all(|word| list.is(word.as_bytes())));
            assert!(!list.is(b"") && !list.is(b"toke") && !list.is(b"verifyin"));
        }
    }

    #[test]
    fn secrets_are_known_however_they_are_written() {
        for path in [
            "/#/reset-password/abc",
            "/#!/login?token=abc",
            "/a#b?token=x",
            "/?resetToken=x",
            "/?verificationCode=x",
            "/?otp_code=x",
            "/?email_token=x",
            "/?auth-token=x",
            "/?apikey=x",
            "/?user[token]=x",
            "/?user%5Btoken%5D=x",
            "/?%74oken=x",
            "/?code=123456",
            "/?Policy=x&Key-Pair-Id=y",
            "/?PHPSESSID=x",
            "/account/reset/x",
            "/invite/x",
            "/magic_link",
            "/verify-account",
            "/Confirm-Registration.aspx",
            "/%6Cogin",
            "\\login",
            "/page;jsessionid=1A2B",
        ] {
            assert!(is_sensitive(path), "{path}");
        }
    }

    #[test]
    fn ordinary_paths_and_parameters_are_no_secrets() {
        for path in [
            "/?code=SUMMER",
            "/?code=123",
            "/?code=123456789",
            "/?promocode=123456",
            "/?zipCode=12345",
            "/?utm_campaign=reset&utm_source=login",
            "/?token=&login",
            "/help#login",
            "/how-to-invite-friends/",
            "/reset-password-guide",
            "/authors/verifying-tokens",
            "/tokens/?page=2",
            "/100%/?a=%&b=%zz",
        ] {
            assert!(!is_sensitive(path), "{path}");
        }
    }
}
