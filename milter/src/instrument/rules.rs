// SPDX-License-Identifier: GPL-3.0-or-later
//! Which links may be tracked. When in doubt a link is left alone: then nothing of it can break.

mod hosts;
mod octets;
mod sensitive;
mod unsubscribe;
mod visible;

use std::{borrow::Cow, collections::HashSet};

use common::{address::is_within, config::Controller};

pub(crate) use self::unsubscribe::{first_sentence, is_told_around, is_told_by, last_sentence};
use self::{
    hosts::{host_of, in_ascii, split_authority},
    octets::AT,
    sensitive::is_sensitive,
    unsubscribe::Unsubscribing,
    visible::is_url_like,
};
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
    unsubscribing: Unsubscribing,
}

/// A link that may be tracked.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Target {
    /// The host as it is written, in lower case.
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
                .map(|host| {
                    let host = host.trim().trim_matches('.').to_lowercase();
                    in_ascii(&host).map_or_else(|| host.clone(), Cow::into_owned)
                })
                .collect(),
            list_urls,
            unsubscribing: Unsubscribing::default(),
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
        let shown = host_of(authority, classes).ok_or(LinkReason::Ambiguous)?;
        let host = in_ascii(&shown).ok_or(LinkReason::Ambiguous)?;
        if self.tracking_hosts.iter().any(|own| *own == host) {
            return Err(LinkReason::Own);
        }
        if self.excluded.iter().any(|entry| is_within(&host, entry)) {
            return Err(LinkReason::Excluded);
        }
        if !self.list_urls.is_empty() && self.list_urls.contains(url) {
            return Err(LinkReason::Unsubscribe);
        }
        if self.unsubscribing.is_in(rest, text) {
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
        Ok(Target { host: shown })
    }

    /// Tells whether words may lead out of a mailing, so that a closer look is worth while: octets in any charset like
    /// ASCII, entities and all.
    pub(crate) fn may_lead_out(&mut self, octets: &[u8]) -> bool {
        self.unsubscribing.may_be_in(&[octets])
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

/// Characters that readers treat differently: control characters, what could not be decoded, and white space other
/// than the plain blank.
fn is_doubtful(c: char) -> bool {
    c.is_control() || c == '\u{fffd}' || (c.is_whitespace() && c != ' ') || is_bidi(c)
}

/// Directional marks: what is seen is not what is there.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use common::config::Config;

    use super::*;

    fn rules() -> Rules {
        let mut config = Config::for_testing();
        let controller = config.controllers.first_mut().unwrap();
        controller.exclude_links = vec!["Bank.example".into(), "münchen.example".into()];
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
            "https://x.example/a#token",
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
        let own_with_dot = format!("https://{host}./l/x");
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
            (own_with_dot.as_str(), "", R::Own),
            ("https://www.bank.example/", "", R::Excluded),
            ("https://www.bank.example./", "", R::Excluded),
            ("https://xn--mnchen-3ya.example/", "", R::Excluded),
            ("https://MÜNCHEN.example/", "", R::Excluded),
            ("https://ｂａｎｋ.example/", "", R::Excluded),
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
    fn scheme_with_the_opt_out_mark_is_restored() {
        assert_eq!(opt_out_in_scheme("HTTPS+NoTrack://x.example/"), Some(5..13));
        assert_eq!(opt_out_in_scheme("https://x.example/+notrack"), None);
    }
}
