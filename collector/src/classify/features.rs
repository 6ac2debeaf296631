// SPDX-License-Identifier: GPL-3.0-or-later
//! What is kept of a request: a network label, a family of programs, a few flags. No IP address and no user agent.
//!
//! "The same client as before" is decided by two short tags, keyed hashes of address and user agent. The key is made of a
//! secret and the message's id, so tags of different messages cannot be compared, and 16 bits lead back to nobody.
//! Neither the order of header fields nor the case of names and user agents makes a difference.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::{
    agent::Agent,
    class::Kind,
    client::{Client, Os},
    context::{AddressHistory, SenderSignals},
    network::{Network, Networks},
};

/// A request, as far as it is read. Borrowed for as long as it takes to reduce it.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    pub kind: Kind,
    pub method: &'a str,
    /// Names and values in any order and case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The real client's address: from `X-Forwarded-For` only where a trusted proxy says so.
    pub ip: Option<IpAddr>,
    /// The number of its autonomous system, where a database tells.
    pub asn: Option<u32>,
    /// The link's ordinal in its message; `None` on the pixel.
    pub link: Option<u16>,
    /// Milliseconds since delivery, or since sending where delivery is not known.
    pub age_ms: u64,
}

/// The key of the tags of one message.
pub struct Salt([u8; 32]);

impl Salt {
    /// Derives the key from a secret of the installation and the message's id.
    pub fn new(secret: &[u8; 32], message_id: &[u8]) -> Self {
        Self(*blake3::keyed_hash(secret, message_id).as_bytes())
    }

    fn tag(&self, what: u8, value: &[u8]) -> u16 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[what]);
        hasher.update(value);
        let [first, second, ..] = *hasher.finalize().as_bytes();
        u16::from_be_bytes([first, second])
    }
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    #[default]
    Get,
    Head,
    Other,
}

/// What is kept of a request. Written as compact JSON: what is absent or false is left out.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Features {
    #[serde(rename = "k")]
    pub kind: Kind,
    #[serde(rename = "m", default, skip_serializing_if = "is_default")]
    pub method: Method,
    #[serde(rename = "n", default)]
    pub network: Network,
    #[serde(rename = "c", default)]
    pub client: Client,
    #[serde(rename = "o", default, skip_serializing_if = "is_default")]
    pub os: Os,
    /// Milliseconds since delivery, or since sending.
    #[serde(rename = "t")]
    pub age_ms: u64,
    #[serde(rename = "l", default, skip_serializing_if = "is_default")]
    pub link: Option<u16>,
    #[serde(rename = "i", default)]
    pub ip_tag: u16,
    #[serde(rename = "u", default)]
    pub ua_tag: u16,
    /// The address is of version 6: the same device may come by both.
    #[serde(rename = "v6", default, skip_serializing_if = "is_default")]
    pub is_ipv6: bool,
    #[serde(rename = "al", default, skip_serializing_if = "is_default")]
    pub has_language: bool,
    /// `Sec-Fetch-User: ?1` on a navigation: the browser vouches for an act of its user.
    #[serde(rename = "act", default, skip_serializing_if = "is_default")]
    pub is_user_activated: bool,
    #[serde(rename = "fm", default, skip_serializing_if = "is_default")]
    pub has_fetch_metadata: bool,
    /// The browser says that it prefetches.
    #[serde(rename = "pf", default, skip_serializing_if = "is_default")]
    pub is_prefetch: bool,
    #[serde(rename = "st", default, skip_serializing_if = "is_default")]
    pub is_stale: bool,
    #[serde(rename = "aq", default, skip_serializing_if = "is_default")]
    pub is_antique: bool,
    #[serde(rename = "sf", default, skip_serializing_if = "is_default")]
    pub is_safari: bool,
    #[serde(rename = "wv", default, skip_serializing_if = "is_default")]
    pub is_mobile_web_view: bool,
    /// A link that no reader sees. We make none; other systems' hits can be judged too.
    #[serde(rename = "hp", default, skip_serializing_if = "is_default")]
    pub is_honeypot: bool,
    /// The sender's own: the request showed a session of the user who sent the message.
    #[serde(rename = "me", default, skip_serializing_if = "is_default")]
    pub is_own: bool,
    /// The address touched messages to several recipients within ten minutes.
    #[serde(rename = "cr", default, skip_serializing_if = "is_default")]
    pub is_crowded: bool,
}

impl Features {
    /// Returns what is kept of the address's recent past.
    pub fn address(&self) -> AddressHistory {
        AddressHistory {
            recipients: if self.is_crowded { CROWD } else { 1 },
            touched_honeypot: false,
        }
    }

    /// Returns what is kept of the hit's tie to the sender.
    pub fn sender(&self) -> SenderSignals {
        SenderSignals {
            has_session: self.is_own,
            ..SenderSignals::default()
        }
    }
}

/// So many recipients within ten minutes are more than one reader's.
pub const CROWD: u32 = 3;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reduces a request to what is kept of it.
pub fn extract(request: &RequestParts<'_>, networks: &Networks, salt: &Salt) -> Features {
    let headers = Headers::read(request.headers);
    let agent = Agent::parse(headers.user_agent);
    Features {
        kind: request.kind,
        method: match request.method {
            method if method.eq_ignore_ascii_case("GET") => Method::Get,
            method if method.eq_ignore_ascii_case("HEAD") => Method::Head,
            _ => Method::Other,
        },
        network: networks.label(request.ip, request.asn),
        client: if headers.is_one_outlook {
            Client::ONE_OUTLOOK
        } else {
            agent.client
        },
        os: agent.os,
        age_ms: request.age_ms,
        link: request.link,
        ip_tag: ip_tag(request.ip, salt),
        ua_tag: salt.tag(b'u', headers.user_agent.to_lowercase().as_bytes()),
        is_ipv6: request.ip.is_some_and(|ip| ip.to_canonical().is_ipv6()),
        has_language: headers.has_language,
        is_user_activated: headers.is_user && headers.is_navigation,
        has_fetch_metadata: headers.has_fetch_metadata,
        is_prefetch: headers.is_prefetch,
        is_stale: agent.is_stale,
        is_antique: agent.is_antique,
        is_safari: agent.is_safari,
        is_mobile_web_view: agent.is_mobile_web_view,
        is_honeypot: false,
        is_own: false,
        is_crowded: false,
    }
}

/// Tags an address; of version 6 the network of 64 bits, because devices change the rest at will.
fn ip_tag(ip: Option<IpAddr>, salt: &Salt) -> u16 {
    match ip.map(|ip| ip.to_canonical()) {
        None => 0,
        Some(IpAddr::V4(ip)) => salt.tag(b'4', &ip.octets()),
        Some(IpAddr::V6(ip)) => {
            let network = Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX));
            salt.tag(b'6', &network.octets())
        }
    }
}

/// The header fields that tell something, read in one pass.
struct Headers<'a> {
    user_agent: &'a str,
    has_language: bool,
    is_user: bool,
    is_navigation: bool,
    has_fetch_metadata: bool,
    is_prefetch: bool,
    is_one_outlook: bool,
}

impl<'a> Headers<'a> {
    fn read(fields: &[(&'a str, &'a str)]) -> Self {
        let mut headers = Self {
            user_agent: "",
            has_language: false,
            is_user: false,
            // Absent, it does not contradict.
            is_navigation: true,
            has_fetch_metadata: false,
            is_prefetch: false,
            is_one_outlook: false,
        };
        for (name, value) in fields {
            headers.take(name, value.trim());
        }
        headers
    }

    fn take(&mut self, name: &str, value: &'a str) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("user-agent") {
            // Of several, the smallest: some choice is needed that does not depend on their order.
            if self.user_agent.is_empty() || (!value.is_empty() && value < self.user_agent) {
                self.user_agent = value;
            }
        } else if is("accept-language") {
            self.has_language |= !value.is_empty();
        } else if is("sec-purpose") || is("purpose") || is("x-purpose") || is("x-moz") {
            self.is_prefetch |= is_prefetch(value);
        } else if is("x-native-host") {
            self.is_one_outlook |= contains(value, "oneoutlook/");
        } else if is("sec-fetch-user") {
            self.is_user |= value == "?1";
            self.has_fetch_metadata = true;
        } else if is("sec-fetch-mode") {
            self.is_navigation &= value.eq_ignore_ascii_case("navigate");
            self.has_fetch_metadata = true;
        } else if is("sec-fetch-dest") || is("sec-fetch-site") {
            self.has_fetch_metadata = true;
        }
    }
}

fn is_prefetch(value: &str) -> bool {
    ["prefetch", "prerender", "preview"]
        .iter()
        .any(|word| contains(value, word))
}

/// Says whether a text contains a word, whatever the case.
fn contains(text: &str, word: &str) -> bool {
    text.as_bytes()
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::client::ClientKind;

    fn features(headers: &[(&str, &str)], ip: &str) -> Features {
        let request = RequestParts {
            kind: Kind::Click,
            method: "GET",
            headers,
            ip: Some(ip.parse().unwrap()),
            asn: Some(64496),
            link: Some(1),
            age_ms: 90_000,
        };
        extract(
            &request,
            &Networks::compiled_in(),
            &Salt::new(&[7; 32], b"message"),
        )
    }

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36";

    #[test]
    fn neither_address_nor_user_agent_is_written_down() {
        let kept = features(&[("User-Agent", CHROME)], "192.0.2.77");

        let json = serde_json::to_string(&kept).unwrap();

        assert!(!json.contains("192.0.2"));
        assert!(!json.contains("Mozilla"));
        assert!(!json.contains("153"));
        assert!(json.len() < 160, "{json}");
        assert_eq!(serde_json::from_str::<Features>(&json).unwrap(), kept);
    }

    #[test]
    fn tags_of_two_messages_cannot_be_compared() {
        let one = Salt::new(&[7; 32], b"one");
        let two = Salt::new(&[7; 32], b"two");
        let ip = Some("192.0.2.1".parse().unwrap());

        assert_eq!(ip_tag(ip, &one), ip_tag(ip, &one));
        assert_ne!(ip_tag(ip, &one), ip_tag(ip, &two));
    }

    #[test]
    fn a_device_keeps_its_tag_when_it_changes_its_version_6_suffix() {
        let one = features(&[], "2001:db8:1:2:3::4");
        let two = features(&[], "2001:db8:1:2:ffff::1");
        let other = features(&[], "2001:db8:1:3::1");

        assert_eq!(one.ip_tag, two.ip_tag);
        assert_ne!(one.ip_tag, other.ip_tag);
        assert!(one.is_ipv6);
    }

    #[test]
    fn activation_counts_only_on_a_navigation() {
        let click = features(
            &[("Sec-Fetch-User", "?1"), ("Sec-Fetch-Mode", "navigate")],
            "192.0.2.1",
        );
        let fetch = features(
            &[("Sec-Fetch-User", "?1"), ("Sec-Fetch-Mode", "no-cors")],
            "192.0.2.1",
        );

        assert!(click.is_user_activated);
        assert!(!fetch.is_user_activated);
    }

    #[test]
    fn every_way_of_saying_prefetch_is_heard() {
        for (name, value) in [
            ("Sec-Purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("Purpose", "prefetch"),
            ("X-Purpose", "Preview"),
            ("X-Moz", "prefetch"),
        ] {
            assert!(
                features(&[(name, value)], "192.0.2.1").is_prefetch,
                "{name}"
            );
        }
        assert!(!features(&[("Purpose", "x")], "192.0.2.1").is_prefetch);
    }

    #[test]
    fn the_new_outlook_is_known_by_its_header_field_too() {
        let kept = features(
            &[
                ("User-Agent", CHROME),
                ("X-Native-Host", "OneOutlook/1.2023"),
            ],
            "192.0.2.1",
        );

        assert_eq!(kept.client.kind, ClientKind::OneOutlook);
    }
}
