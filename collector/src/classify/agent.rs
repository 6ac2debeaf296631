// SPDX-License-Identifier: GPL-3.0-or-later
//! What a User-Agent header field tells: a family of programs and a few properties. The field itself is not kept.
//!
//! Upper and lower case make no difference. Only the first [`LONGEST`] bytes are read; there is no regular expression.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{
    client::{Client, ClientKind, Os},
    tokens::{TOKENS, Token},
};

/// All that is taken from a User-Agent header field.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Agent {
    pub(super) client: Client,
    pub(super) os: Os,
    /// Chromium more than [`STALE_MAJORS`] versions behind [`CHROMIUM_MAJOR`].
    pub(super) is_stale: bool,
    /// A browser that nobody can be using: old Internet Explorer or Firefox, Windows XP, Internet Explorer on a Mac.
    pub(super) is_antique: bool,
    /// Safari in full, or another browser on iOS: they never tell of the user's activation.
    pub(super) is_safari: bool,
    /// A web view on a phone.
    pub(super) is_mobile_web_view: bool,
}

/// Chromium's major version when the rules were written. A newer one is never stale, so that time makes the rule milder.
const CHROMIUM_MAJOR: u32 = 153;
const STALE_MAJORS: u32 = 35;
/// Longer fields are cut here.
const LONGEST: usize = 1024;

impl Agent {
    /// Reads a User-Agent header field.
    pub(super) fn parse(field: &str) -> Self {
        let text = lowered(field);
        let os = os(&text);
        let is_webkit = text.contains("applewebkit/");
        Self {
            client: client(&text, os),
            os,
            is_stale: version(&text, "chrome/")
                .is_some_and(|major| major.saturating_add(STALE_MAJORS) < CHROMIUM_MAJOR),
            is_antique: is_antique(&text, os),
            is_safari: is_webkit
                && text.contains("safari/")
                && (os == Os::Ios || (os == Os::Mac && text.contains("version/")))
                && !text.contains("chrome/"),
            is_mobile_web_view: match os {
                Os::Android => text.contains("; wv)"),
                Os::Ios => is_webkit && !text.contains("safari/"),
                _ => false,
            },
        }
    }
}

/// Cuts, trims, and puts into lower case, so that case cannot matter below.
fn lowered(field: &str) -> String {
    let field = field.trim();
    let cut = field.floor_char_boundary(LONGEST);
    field.get(..cut).unwrap_or_default().to_ascii_lowercase()
}

fn client(text: &str, os: Os) -> Client {
    match text {
        "" => return Client::new(ClientKind::Absent),
        "mozilla/5.0" => return Client::new(ClientKind::Bare),
        "viber" => {
            return Client {
                kind: ClientKind::Preview,
                name: "other",
            };
        }
        _ => {}
    }
    if text.ends_with("edge/12.246 mozilla/5.0") {
        return Client::new(ClientKind::GmailPrefetch);
    }
    if let Some((kind, name, _)) = first_token(text) {
        let may_be_borrowed = matches!(kind, ClientKind::MailApp | ClientKind::WebView);
        if may_be_borrowed && names_robot(text) {
            return CRAWLER;
        }
        return Client { kind: *kind, name };
    }
    if let Some(client) = cfnetwork(text) {
        return client;
    }
    if text.starts_with("notion/") {
        return Client {
            kind: ClientKind::Preview,
            name: "other",
        };
    }
    if looks_like_crawler(text) {
        return CRAWLER;
    }
    if is_bare_webkit(text) {
        return Client::new(ClientKind::AppleMail);
    }
    browser(text, os)
}

const CRAWLER: Client = Client {
    kind: ClientKind::Crawler,
    name: "crawler",
};

static AUTOMATON: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(TOKENS.iter().map(|(_, _, word)| word)).ok());

/// Returns the token of highest precedence that occurs.
fn first_token(text: &str) -> Option<&'static Token> {
    // A test proves that the automaton can be built.
    let automaton = AUTOMATON.as_ref()?;
    let first = automaton
        .find_overlapping_iter(text)
        .map(|found| found.pattern().as_usize())
        .min()?;
    TOKENS.get(first)
}

/// Apps on Apple systems name themselves before the library: `Some%20Mail/49268 CFNetwork/1121.2.2 Darwin/19.3.0`.
fn cfnetwork(text: &str) -> Option<Client> {
    let (product, rest) = text.split_once('/')?;
    if !rest.contains("cfnetwork/") {
        return None;
    }
    let kind = if product.contains("mail") || product == "spark" {
        ClientKind::MailApp
    } else {
        ClientKind::Unknown
    };
    Some(Client {
        kind,
        name: "other",
    })
}

/// General signs of a robot: a word for its trade, an address to write to, or a claim to be only compatible. No browser
/// but Internet Explorer makes that claim.
fn looks_like_crawler(text: &str) -> bool {
    ["http://", "https://", "www."]
        .iter()
        .any(|sign| text.contains(sign))
        || has_mail_address(text)
        || (text.contains("compatible;") && !text.contains("msie "))
        || names_robot(text)
}

/// Says whether there is an address to write to. `android@150.0` is none.
fn has_mail_address(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(_, host)| host.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Says whether a word ends as a robot's name does. The phone brand Cubot is none.
fn names_robot(text: &str) -> bool {
    const TRADES: &[&str] = &[
        "agent", "bot", "bots", "capture", "checker", "crawler", "fetcher", "probe", "scan",
        "scraper", "spider",
    ];
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| {
            let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
            TRADES.iter().any(|trade| word.ends_with(trade)) && !word.ends_with("cubot")
        })
}

/// `… AppleWebKit/605.1.15 (KHTML, like Gecko)`, on iOS with ` Mobile/15E148`, and nothing more.
fn is_bare_webkit(text: &str) -> bool {
    let Some((before, after)) = text.split_once("(khtml, like gecko)") else {
        return false;
    };
    let after = after.trim();
    before.contains("applewebkit/")
        && (after.is_empty()
            || after
                .strip_prefix("mobile/")
                .is_some_and(|build| !build.contains(' ')))
}

fn browser(text: &str, os: Os) -> Client {
    if !text.starts_with("mozilla/") && !text.starts_with("opera/") {
        let is_perhaps_mail = text.contains("mail");
        return Client::new(if is_perhaps_mail {
            ClientKind::Unknown
        } else {
            ClientKind::Program
        });
    }
    let Some((_, name)) = BROWSERS.iter().find(|(word, _)| text.contains(word)) else {
        let kind = if os == Os::Ios && text.contains("applewebkit/") {
            ClientKind::WebView
        } else {
            ClientKind::Unknown
        };
        return Client::new(kind);
    };
    let kind = if text.contains("; wv)") {
        ClientKind::WebView
    } else {
        ClientKind::Browser
    };
    Client { kind, name }
}

fn os(text: &str) -> Os {
    const SIGNS: &[(&str, Os)] = &[
        ("android", Os::Android),
        ("iphone", Os::Ios),
        ("ipad", Os::Ios),
        ("ipod", Os::Ios),
        ("windows", Os::Windows),
        ("mac os x", Os::Mac),
        ("macintosh", Os::Mac),
        ("darwin/", Os::Mac),
        (" cros ", Os::ChromeOs),
        ("linux", Os::Linux),
        ("x11", Os::Linux),
    ];
    SIGNS
        .iter()
        .find(|(sign, _)| text.contains(sign))
        .map_or(Os::Unknown, |(_, os)| *os)
}

fn is_antique(text: &str, os: Os) -> bool {
    let is_trident = text.contains("trident/");
    let is_old_explorer = version(text, "msie ").is_some_and(|major| major <= 10)
        // Internet Explorer 11 calls itself 7 in its compatibility view, but its engine by its real version.
        && version(text, "trident/").is_none_or(|engine| engine < 7);
    let is_explorer_on_mac = os == Os::Mac && (is_trident || text.contains("msie "));
    let is_old_windows = [
        "windows nt 5.",
        "windows nt 6.0",
        "windows xp",
        "windows 98",
        "windows 95",
    ]
    .iter()
    .any(|word| text.contains(word));
    is_old_explorer
        || is_explorer_on_mac
        || is_old_windows
        || version(text, "firefox/").is_some_and(|major| major <= 3)
}

/// Returns the number that follows a word.
fn version(text: &str, word: &str) -> Option<u32> {
    let (_, after) = text.split_once(word)?;
    let end = after
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(after.len());
    after.get(..end)?.parse().ok()
}

/// Browsers, by the words that give them away, most particular first.
pub(super) const BROWSERS: &[(&str, &str)] = &[
    ("edg/", "edge"),
    ("edge/", "edge"),
    ("edga/", "edge"),
    ("edgios/", "edge"),
    ("opr/", "opera"),
    ("opera", "opera"),
    ("samsungbrowser/", "samsung"),
    ("vivaldi/", "vivaldi"),
    ("yabrowser/", "yandex"),
    ("fxios/", "firefox"),
    ("firefox/", "firefox"),
    ("crios/", "chrome"),
    ("chromium/", "chrome"),
    ("chrome/", "chrome"),
    ("trident/", "internet-explorer"),
    ("msie ", "internet-explorer"),
    ("safari/", "safari"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(field: &str) -> ClientKind {
        Agent::parse(field).client.kind
    }

    #[test]
    fn tokens_make_an_automaton_and_are_in_lower_case() {
        assert!(AUTOMATON.is_some());
        for (_, _, word) in TOKENS {
            assert_eq!(*word, word.to_ascii_lowercase());
        }
    }

    #[test]
    fn image_proxies_outrank_what_else_their_names_contain() {
        let hey = "hey.com/imageproxy Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36";
        let yahoo = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html";

        assert_eq!(kind(hey), ClientKind::ImageProxy);
        assert_eq!(kind(yahoo), ClientKind::ImageProxy);
        assert_eq!(
            kind("RamblerMail/6.0 (incompatible; ImageProxy/6.0)"),
            ClientKind::ImageProxy
        );
        assert_eq!(
            kind(
                "Mozilla/5.0 (X11; U; Linux i686) Firefox/2.0 (via secureurl.fwdcdn.com - mail.ukr.net proxy)"
            ),
            ClientKind::ImageProxy
        );
    }

    #[test]
    fn people_whose_names_resemble_robots_stay_people() {
        for field in [
            "Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36",
        ] {
            assert_eq!(kind(field), ClientKind::Browser, "{field}");
        }
        assert_eq!(
            kind(
                "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.142 Mobile Safari/537.36"
            ),
            ClientKind::WebView
        );
    }

    #[test]
    fn apple_mail_is_webkit_that_names_no_browser() {
        assert_eq!(
            kind(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
            ),
            ClientKind::AppleMail
        );
        assert_eq!(
            kind(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
            ),
            ClientKind::AppleMail
        );
        let safari = Agent::parse(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
        );
        assert_eq!(safari.client.name, "safari");
        assert!(safari.is_safari);
        assert!(!safari.is_mobile_web_view);
    }

    #[test]
    fn antiques_are_told_from_compatibility_views() {
        assert!(
            Agent::parse("Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.1; Trident/6.0)")
                .is_antique
        );
        assert!(
            Agent::parse("Mozilla/5.0 (Apple Mac OS X v10.9.3; Trident/7.0; rv:11.0) like Gecko")
                .is_antique
        );
        assert!(Agent::parse("Mozilla/5.0 (Windows; U; Windows NT 5.1; en-GB; rv:1.8.1.16) Gecko/20080702 Firefox/2.0.0.16").is_antique);
        assert!(
            !Agent::parse(
                "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0)"
            )
            .is_antique
        );
        assert!(
            !Agent::parse("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko")
                .is_antique
        );
        assert!(
            !Agent::parse("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
                .is_antique
        );
    }

    #[test]
    fn only_old_chromium_is_stale() {
        let chrome = |major: u32| {
            Agent::parse(&format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 Safari/537.36")).is_stale
        };

        assert!(chrome(103));
        assert!(!chrome(118));
        assert!(!chrome(400));
    }
}
