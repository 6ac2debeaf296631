// SPDX-License-Identifier: GPL-3.0-or-later
//! Which links may be tracked. When in doubt a link is left alone: then nothing of it can break.

use std::{collections::HashSet, sync::LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, packed::Searcher};
use common::{address::is_within, config::Controller};

use super::record::LinkReason;
use crate::message::Message;

/// The longest destination, in octets, so that the tracked link passes through every mail program and proxy.
const MAX_DESTINATION: usize = 2000;

/// The rules for one message.
pub(crate) struct Rules {
    /// Those of all controllers.
    tracking_hosts: Vec<String>,
    excluded: Vec<String>,
    /// URLs that `List-Unsubscribe` and its like name.
    list_urls: HashSet<String>,
    /// Room for what is looked through in lower case.
    lower: Vec<u8>,
}

/// A link that may be tracked.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Target {
    /// The host, in lower case.
    pub(crate) host: String,
}

impl Rules {
    /// Gathers what the controller, all others of the installation, and the message say.
    pub(crate) fn new(
        controller: &Controller,
        controllers: &[Controller],
        message: &Message,
    ) -> Self {
        let mut list_urls = HashSet::new();
        for name in [
            "list-unsubscribe",
            "list-subscribe",
            "list-help",
            "list-owner",
        ] {
            for field in message.fields_named(name) {
                let value = String::from_utf8_lossy(&field.unfolded()).into_owned();
                for piece in value.split('<').skip(1) {
                    if let Some((url, _)) = piece.split_once('>') {
                        list_urls.insert(url.split_ascii_whitespace().collect::<String>());
                    }
                }
            }
        }
        Self {
            tracking_hosts: controllers.iter().map(Controller::tracking_host).collect(),
            excluded: controller
                .exclude_links
                .iter()
                .map(|host| host.trim().trim_start_matches('.').to_lowercase())
                .collect(),
            list_urls,
            lower: Vec::new(),
        }
    }

    /// Judges a destination by itself and by the visible text that leads to it; `text` is empty in plain text.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the link is left alone.
    pub(crate) fn judge(&mut self, url: &str, text: &str) -> Result<Target, LinkReason> {
        let Some(rest) = after_scheme(url) else {
            return Err(if has_opt_out_scheme(url) {
                LinkReason::OptedOut
            } else {
                LinkReason::NotHttp
            });
        };
        if has_doubtful_characters(url) {
            return Err(LinkReason::Ambiguous);
        }
        let (authority, path, classes) = split_authority(rest);
        if classes & AT != 0 {
            return Err(LinkReason::UserInfo);
        }
        let host = host_of(authority, classes).ok_or(LinkReason::Ambiguous)?;
        if self.tracking_hosts.contains(&host) {
            return Err(LinkReason::Own);
        }
        if self.excluded.iter().any(|entry| is_within(&host, entry)) {
            return Err(LinkReason::Excluded);
        }
        if !self.list_urls.is_empty() && self.list_urls.contains(url) {
            return Err(LinkReason::Unsubscribe);
        }
        if self.may_unsubscribe(rest, text)
            && (UNSUBSCRIBE_TEXTS.is_match(text) || UNSUBSCRIBE.is_match(rest))
        {
            return Err(LinkReason::Unsubscribe);
        }
        if is_sensitive(path) {
            return Err(LinkReason::Sensitive);
        }
        if is_url_like(text) {
            return Err(LinkReason::VisibleUrl);
        }
        if url.len() > MAX_DESTINATION {
            return Err(LinkReason::TooLong);
        }
        Ok(Target { host })
    }

    /// Tells whether a closer look for unsubscribing is worth while: one quick look at URL and text together, as nearly
    /// all have nothing of it.
    fn may_unsubscribe(&mut self, url: &str, text: &str) -> bool {
        self.lower.clear();
        for piece in [url.as_bytes(), b"\0", text.as_bytes()] {
            self.lower.extend_from_slice(piece);
        }
        self.lower.make_ascii_lowercase();
        let searcher = UNSUBSCRIBE_ROOTS.as_ref();
        searcher.is_none_or(|searcher| searcher.find(&self.lower).is_some())
    }
}

/// Returns what stands after `http://` or `https://`.
fn after_scheme(url: &str) -> Option<&str> {
    ["https://", "http://"].into_iter().find_map(|scheme| {
        let head = url.as_bytes().get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme.as_bytes())
            .then(|| url.get(scheme.len()..))?
    })
}

/// Where a scheme says `+notrack` as in Postal, and what to take out to restore it: always before any `:`.
pub(crate) fn opt_out_in_scheme(url: &str) -> Option<std::ops::Range<usize>> {
    const MARK: &str = "+notrack";
    ["https", "http"].into_iter().find_map(|scheme| {
        let end = scheme.len() + MARK.len();
        let head = url.get(..end)?;
        let is_marked = head.get(..scheme.len())?.eq_ignore_ascii_case(scheme)
            && head.get(scheme.len()..)?.eq_ignore_ascii_case(MARK)
            && url.get(end..)?.starts_with("://");
        is_marked.then_some(scheme.len()..end)
    })
}

fn has_opt_out_scheme(url: &str) -> bool {
    opt_out_in_scheme(url).is_some()
}

fn has_doubtful_characters(url: &str) -> bool {
    // Without a branch, so that many octets are looked at in one.
    let octets = url.bytes();
    let is_plain = octets.fold(true, |all, octet| all & matches!(octet, b' '..=b'~'));
    !is_plain && url.chars().any(is_doubtful)
}

/// Parts what stands after the scheme at the end of the authority, and tells the classes of octets in the latter.
fn split_authority(rest: &str) -> (&str, &str, u8) {
    let mut classes = 0;
    let end = rest.bytes().position(|octet| {
        let class = class_of(octet);
        classes |= class;
        class & END != 0
    });
    let (authority, path) = end
        .and_then(|end| rest.split_at_checked(end))
        .unwrap_or((rest, ""));
    (authority, path, classes)
}

/// What an octet of a URL may be, as bits of [`CLASSES`]. In the authority:
const AT: u8 = 1;
/// Not what most hosts are made of: it takes a closer look.
const RARE: u8 = 2;
/// It ends the authority.
const END: u8 = 4;
/// It does not occur in a host that all programs read alike.
const ODD: u8 = 8;
/// It ends a piece of the path, of the query, of the fragment.
const CUTS_PATH: u8 = 16;
const CUTS_QUERY: u8 = 32;
const CUTS_FRAGMENT: u8 = 64;

fn class_of(octet: u8) -> u8 {
    CLASSES.get(usize::from(octet)).copied().unwrap_or(0)
}

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut rest: &mut [u8] = &mut classes;
    let mut octet = 0_u32;
    while let Some((class, after)) = rest.split_first_mut() {
        *class = match octet {
            0..32 | 127.. => RARE,
            _ => match octet as u8 {
                b'@' => AT,
                b'/' | b'?' => END | CUTS_PATH,
                b'#' => END | CUTS_PATH | CUTS_QUERY,
                b'\\' => END,
                b'&' => CUTS_QUERY | CUTS_FRAGMENT,
                b';' => CUTS_QUERY,
                b' ' | b'<' | b'>' | b'"' | b'\'' | b'`' | b'{' | b'}' | b'|' | b'^' | b'%' => {
                    RARE | ODD
                }
                b'A'..=b'Z' | b':' | b'[' | b']' => RARE,
                _ => 0,
            },
        };
        octet += 1;
        rest = after;
    }
    classes
};

/// Characters that readers treat differently: control characters, what could not be decoded, and white space other
/// than the plain blank.
fn is_doubtful(c: char) -> bool {
    c.is_control() || c == '\u{fffd}' || (c.is_whitespace() && c != ' ') || is_bidi(c)
}

/// Directional marks: what is seen is not what is there.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns the host in lower case, given the classes of octets in the authority.
fn host_of(authority: &str, classes: u8) -> Option<String> {
    if classes & RARE == 0 {
        return (!authority.is_empty()).then(|| authority.to_owned());
    }
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        return authority.get(..=end).map(str::to_ascii_lowercase);
    }
    let (host, _) = authority.split_once(':').unwrap_or((authority, ""));
    let is_odd = |octet: u8| class_of(octet) & ODD != 0;
    let is_host = !host.is_empty() && !host.bytes().any(is_odd);
    is_host.then(|| host.to_lowercase())
}

/// Words of a URL that lead out of a mailing or to its settings.
const UNSUBSCRIBE_WORDS: [&str; 16] = [
    "unsubscribe",
    "unsub",
    "optout",
    "opt-out",
    "opt_out",
    "preferences",
    "preference-center",
    "subscriptions",
    "email-settings",
    "manage-subscription",
    "list-manage",
    "abmelden",
    "abbestellen",
    "desabonn",
    "desinscri",
    "wypisz",
];

static UNSUBSCRIBE: LazyLock<AhoCorasick> = LazyLock::new(|| any_of(&UNSUBSCRIBE_WORDS));

/// Beginnings of all these words and of those in visible texts, in lower case.
static UNSUBSCRIBE_ROOTS: LazyLock<Option<Searcher>> = LazyLock::new(|| {
    Searcher::new([
        "unsub",
        "optout",
        "opt-out",
        "opt_out",
        "opt out",
        "preference",
        "subscription",
        "email-settings",
        "list-manage",
        "abmelden",
        "abbestell",
        "desabonn",
        "desinscri",
        "désabonn",
        "désinscri",
        "wypisz",
        "rezygn",
    ])
});

/// The same in visible texts.
const UNSUBSCRIBE_TEXT_WORDS: [&str; 14] = [
    "unsubscribe",
    "opt out",
    "opt-out",
    "preferences",
    "manage your subscription",
    "abmelden",
    "abbestellen",
    "abbestellung",
    "désabonner",
    "désinscri",
    "desinscri",
    "wypisz",
    "rezygnacja",
    "rezygnuj",
];

static UNSUBSCRIBE_TEXTS: LazyLock<AhoCorasick> = LazyLock::new(|| any_of(&UNSUBSCRIBE_TEXT_WORDS));

/// Finds any of the words, without regard to the case of ASCII letters.
fn any_of(words: &[&str]) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .expect("a handful of short words makes a small automaton")
}

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
fn is_sensitive(path: &str) -> bool {
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

/// Tells whether a visible text would be taken for an address: a URL in it, or a host name alone.
fn is_url_like(text: &str) -> bool {
    if memchr::memchr2(b'.', b':', text.as_bytes()).is_none() {
        return false;
    }
    let text = text.trim_matches(|c: char| c.is_whitespace() || is_bidi(c) || c == '\u{200b}');
    let lower = text.to_lowercase();
    if lower.contains("://") || lower.contains("www.") {
        return true;
    }
    if text.contains(char::is_whitespace) {
        return false;
    }
    let bare = lower.trim_matches(|c: char| {
        matches!(
            c,
            '<' | '>'
                | '('
                | ')'
                | '['
                | ']'
                | '"'
                | '\''
                | '.'
                | ','
                | '!'
                | '?'
                | ':'
                | ';'
                | '…'
        )
    });
    let host = bare.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let Some((before, last)) = host.rsplit_once('.') else {
        return false;
    };
    !before.is_empty()
        && (2..=24).contains(&last.chars().count())
        && last.chars().all(char::is_alphabetic)
        && before.split('.').all(|label| {
            !label.is_empty()
                && label
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        })
}

#[cfg(test)]
mod tests {
    use common::config::Config;

    use super::*;

    fn rules() -> Rules {
        let mut config = Config::for_testing();
        let controller = config.controllers.first_mut().unwrap();
        controller.exclude_links = vec!["Bank.example".into()];
        let message = Message::parse(
            b"List-Unsubscribe: <mailto:u@x.example>,\r\n <https://lists.example/u\r\n /1>\r\n\r\n",
        );
        let controller = controller.clone();
        let mut other = controller.clone();
        other.public_url = "https://Track.other.example:8443/".into();
        Rules::new(&controller, &[controller.clone(), other], &message)
    }

    #[test]
    fn ordinary_links_may_be_tracked() {
        let mut rules = rules();
        for url in [
            "https://shop.example/",
            "HTTP://shop.example:8080/a?b=c&d[]=e#f",
            "https://x.example/Jack's%20page;v=1,2!",
            "https://grün.example/käse?q=ä",
            "https://[2001:db8::1]/x",
            "https://x.example/a b",
            "https://x.example/v?t=YWJj==",
            "https://x.example/authors/verifying-tokens",
            "https://x.example?code=SUMMER",
            "https://x.example/?token=&login",
            "https://x.example/a#b?token=x",
        ] {
            assert!(rules.judge(url, "Look here").is_ok(), "{url}");
        }
    }

    #[test]
    fn each_rule_has_its_reason() {
        use LinkReason as R;

        let host = Config::for_testing()
            .controllers
            .first()
            .unwrap()
            .tracking_host();
        let own = format!("https://{host}/l/x");
        let long = format!("https://x.example/{}", "a".repeat(2000));
        let json_web_token = format!("https://x.example/eyJ{}.b.c", "a".repeat(40));
        for (url, text, reason) in [
            ("mailto:a@b.example", "", R::NotHttp),
            ("#top", "", R::NotHttp),
            ("//x.example/", "", R::NotHttp),
            ("/path", "", R::NotHttp),
            ("javascript:alert(1)", "", R::NotHttp),
            ("https+notrack://x.example/", "", R::OptedOut),
            ("https://x.example/a\tb", "", R::Ambiguous),
            ("https://x.example/\u{202e}gpj", "", R::Ambiguous),
            ("https://", "", R::Ambiguous),
            ("https://user:pw@x.example/", "", R::UserInfo),
            (own.as_str(), "", R::Own),
            ("https://track.other.example/l/x", "", R::Own),
            ("https://www.bank.example/", "", R::Excluded),
            ("https://lists.example/u/1", "", R::Unsubscribe),
            ("https://x.example/Unsubscribe?u=1", "", R::Unsubscribe),
            ("https://x.example/x1", "Wypisz się", R::Unsubscribe),
            ("https://x.example/reset-password/abc", "", R::Sensitive),
            ("https://x.example/a?Token=abc", "", R::Sensitive),
            ("https://s3.example/f?X-Amz-Signature=ab", "", R::Sensitive),
            ("https://x.example/#access_token=abc", "", R::Sensitive),
            ("https://x.example/a;b/?x=1;OTP=2#y", "", R::Sensitive),
            ("https://x.example/Login.php?next=a", "", R::Sensitive),
            ("https://x.example?a=1&token=x", "", R::Sensitive),
            (&json_web_token, "", R::Sensitive),
            ("https://x.example/", " https://x.example/ ", R::VisibleUrl),
            ("https://x.example/", "x.example/path", R::VisibleUrl),
            ("https://x.example/", "www.x.example", R::VisibleUrl),
            (long.as_str(), "", R::TooLong),
        ] {
            assert_eq!(rules().judge(url, text), Err(reason), "{url} {text}");
        }
    }

    #[test]
    fn every_word_is_found_by_the_quick_look() {
        let mut rules = rules();
        for word in UNSUBSCRIBE_WORDS {
            assert!(rules.may_unsubscribe(word, ""), "{word}");
        }
        for word in UNSUBSCRIBE_TEXT_WORDS {
            assert!(rules.may_unsubscribe("", &format!("To {} now", word.to_ascii_uppercase())));
        }
        for words in [&SECRET_PARAMETERS[..], &SECRET_PATHS] {
            let list = Words::new(words);
            assert!(
                words
                    .iter()
                    .all(|word| list.is(word.to_ascii_uppercase().as_bytes()))
            );
            assert!(!list.is(b"") && !list.is(b"toke") && !list.is(b"tokens"));
        }
        assert!(!rules.may_unsubscribe("shop.example/catalogue?item=1", "Boots for autumn"));
    }

    #[test]
    fn scheme_with_the_opt_out_mark_is_restored() {
        assert_eq!(opt_out_in_scheme("HTTPS+NoTrack://x.example/"), Some(5..13));
        assert_eq!(opt_out_in_scheme("https://x.example/+notrack"), None);
    }
}
