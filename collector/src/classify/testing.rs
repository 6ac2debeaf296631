// SPDX-License-Identifier: GPL-3.0-or-later
//! Builders of hits for tests: they supply everything that a test is not about.

use super::{
    AddressHistory, Class, Context, Features, Kind, MailExchanger, Neighbour, Networks, ReasonId,
    RequestParts, Salt, SenderSignals, Thresholds, Verdict, classify, classify_at_once, extract,
};

pub(super) const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36";
pub(super) const CHROME_ON_MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36";
pub(super) const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1";
pub(super) const APPLE_MAIL: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";
pub(super) const THUNDERBIRD: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.3.0";
pub(super) const GMAIL: &str =
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
pub(super) const YAHOO: &str =
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html";
pub(super) const GMAIL_PREFETCH: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0";

pub(super) const HOME: (&str, u32) = ("192.0.2.10", 64496);
pub(super) const GOOGLE: (&str, u32) = ("66.249.84.6", 15169);
pub(super) const RELAY: (&str, u32) = ("172.224.252.19", 36183);
pub(super) const MICROSOFT: (&str, u32) = ("20.42.7.31", 8075);
pub(super) const EXCHANGE: (&str, u32) = ("52.97.140.10", 8075);
pub(super) const MICROSOFT_FILTER: (&str, u32) = ("40.107.94.12", 8075);
pub(super) const BARRACUDA_GATEWAY: (&str, u32) = ("209.222.82.77", 15324);
pub(super) const PROOFPOINT: (&str, u32) = ("67.231.152.11", 22843);
pub(super) const FORCEPOINT: (&str, u32) = ("208.87.233.9", 44444);
pub(super) const AMAZON: (&str, u32) = ("3.120.44.9", 16509);
pub(super) const ZSCALER: (&str, u32) = ("165.225.12.20", 22616);

/// A hit, its neighbours and its message.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) kind: Kind,
    pub(super) method: &'static str,
    pub(super) headers: Vec<(String, String)>,
    pub(super) place: (&'static str, Option<u32>),
    pub(super) link: Option<u16>,
    pub(super) age_ms: u64,
    pub(super) is_honeypot: bool,
    pub(super) earlier: Vec<(i64, Self, Class)>,
    pub(super) later: Vec<(i64, Self)>,
    pub(super) links: u32,
    pub(super) exchanger: MailExchanger,
    pub(super) address: AddressHistory,
    pub(super) sender: SenderSignals,
}

/// An open of a page-viewing browser at home, long after delivery.
pub(super) fn open() -> Hit {
    Hit {
        kind: Kind::Open,
        method: "GET",
        headers: vec![
            ("User-Agent".to_owned(), CHROME.to_owned()),
            ("Accept-Language".to_owned(), "pl".to_owned()),
        ],
        place: (HOME.0, Some(HOME.1)),
        link: None,
        age_ms: 4_000_000,
        is_honeypot: false,
        earlier: Vec::new(),
        later: Vec::new(),
        links: 5,
        exchanger: MailExchanger::Other,
        address: AddressHistory::default(),
        sender: SenderSignals::default(),
    }
}

/// A click on the first link, without anything that vouches for a person.
pub(super) fn click() -> Hit {
    Hit {
        kind: Kind::Click,
        link: Some(1),
        ..open()
    }
    .header("Sec-Fetch-Mode", "navigate")
}

/// A click that the browser vouches for.
pub(super) fn strong_click() -> Hit {
    click().header("Sec-Fetch-User", "?1")
}

impl Hit {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub(super) fn by(self, user_agent: &str) -> Self {
        self.header("User-Agent", user_agent)
    }

    pub(super) fn from(mut self, (ip, asn): (&'static str, u32)) -> Self {
        self.place = (ip, Some(asn));
        self
    }

    pub(super) fn after_secs(mut self, secs: f64) -> Self {
        self.age_ms = (secs * 1000.0) as u64;
        self
    }

    pub(super) fn on_link(mut self, link: u16) -> Self {
        self.link = Some(link);
        self
    }

    /// Puts a hit before this one, judged already.
    pub(super) fn preceded_by(mut self, ago_ms: i64, other: Self, class: Class) -> Self {
        self.earlier.push((-ago_ms, other, class));
        self
    }

    pub(super) fn followed_by(mut self, after_ms: i64, other: Self) -> Self {
        self.later.push((after_ms, other));
        self
    }

    pub(super) fn features(&self, networks: &Networks) -> Features {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let request = RequestParts {
            kind: self.kind,
            method: self.method,
            headers: &headers,
            ip: self.place.0.parse().ok(),
            asn: self.place.1,
            link: self.link,
            age_ms: self.age_ms,
        };
        Features {
            is_honeypot: self.is_honeypot,
            ..extract(&request, networks, &Salt::new(&[1; 32], b"message"))
        }
    }

    pub(super) fn judged_with(&self, networks: &Networks, at_once: bool) -> Verdict {
        let neighbour = |offset_ms, other: &Self, class| Neighbour {
            features: other.features(networks),
            offset_ms,
            class,
        };
        let earlier: Vec<_> = self
            .earlier
            .iter()
            .map(|(offset, other, class)| neighbour(*offset, other, Some(*class)))
            .collect();
        let later: Vec<_> = self
            .later
            .iter()
            .map(|(offset, other)| neighbour(*offset, other, None))
            .collect();
        let thresholds = Thresholds::default();
        let context = Context {
            earlier: &earlier,
            later: &later,
            links: self.links,
            exchanger: self.exchanger,
            address: self.address,
            sender: self.sender,
            thresholds: &thresholds,
        };
        let features = self.features(networks);
        if at_once {
            classify_at_once(&features, &context)
        } else {
            classify(&features, &context)
        }
    }

    pub(super) fn judged(&self) -> Verdict {
        self.judged_with(&Networks::compiled_in(), false)
    }

    /// The rule that decides, and the class.
    pub(super) fn decided(&self) -> (ReasonId, Class) {
        let verdict = self.judged();
        (verdict.reasons[0], verdict.class)
    }
}
