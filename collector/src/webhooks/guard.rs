// SPDX-License-Identifier: GPL-3.0-or-later
//! Where webhooks may lead: out into the world, never into the network around us.
//!
//! A name is resolved once, and the connection goes to an address that was checked, so a name that answers differently
//! the second time gains nothing. Redirects are not followed.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio::net::lookup_host;
use url::{Host, Url};

/// Why a URL is not called.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the host leads to no public address")]
    Private,
    #[error("only https is called")]
    Scheme,
    #[error("the host is not known")]
    Unknown,
    #[error("not a URL to call: https, a host, no user name, at most 2000 characters")]
    Url,
}

const LONGEST: usize = 2000;

/// Reads a URL that a user wants called. Plain http is for networks that the configuration names.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn read(text: &str, permitted: &[IpNet]) -> Result<Url, Refusal> {
    let url = Url::parse(text.trim()).map_err(|_malformed| Refusal::Url)?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if text.len() > LONGEST || !url.has_host() || !is_plain {
        return Err(Refusal::Url);
    }
    let literal: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    match (url.scheme(), literal) {
        ("https", Some(address)) => allow(address, permitted)?,
        ("https", None) => {}
        // A name could lead anywhere by the time it is called.
        ("http", Some(address)) if is_permitted(address, permitted) => {}
        ("http", _) => return Err(Refusal::Scheme),
        _ => return Err(Refusal::Url),
    }
    Ok(url)
}

/// Resolves the host of a URL and returns an address that may be connected to.
///
/// # Errors
///
/// Fails if the host is not known, or any of its addresses is not public: such a name is up to something.
pub async fn resolve(url: &Url, permitted: &[IpNet]) -> Result<SocketAddr, Refusal> {
    let host = url.host_str().ok_or(Refusal::Url)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().ok_or(Refusal::Url)?;
    let found = lookup_host((bare, port))
        .await
        .map_err(|_unknown| Refusal::Unknown)?;
    let mut first = None;
    for address in found {
        allow(address.ip(), permitted)?;
        first.get_or_insert(address);
    }
    first.ok_or(Refusal::Unknown)
}

fn allow(address: IpAddr, permitted: &[IpNet]) -> Result<(), Refusal> {
    if is_public(address) || is_permitted(address, permitted) {
        Ok(())
    } else {
        Err(Refusal::Private)
    }
}

fn is_permitted(address: IpAddr, permitted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    permitted.iter().any(|net| net.contains(&address))
}

/// Tells whether an address is one of the world at large (IANA's registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    const SPECIAL_4: [([u8; 4], u8); 16] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 31, 196, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 4),
        ([240, 0, 0, 0], 4),
    ];
    // Within 2000::/3, which is all that was given out: transition mechanisms carry IPv4 addresses in disguise.
    const SPECIAL_6: [([u16; 8], u8); 5] = [
        ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
        ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
        ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48),
        ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
    ];
    match address.to_canonical() {
        IpAddr::V4(address) => !SPECIAL_4.iter().any(|(start, length)| {
            Ipv4Net::new_assert((*start).into(), *length).contains(&address)
        }),
        IpAddr::V6(address) => {
            let is_given_out = (address.to_bits() >> 125) == 1;
            let is_special = SPECIAL_6.iter().any(|(start, length)| {
                Ipv6Net::new_assert((*start).into(), *length).contains(&address)
            });
            is_given_out && !is_special
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_around_us_are_not_called() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["93.184.215.14", "1.1.1.1", "2606:4700::1111"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn urls_are_read() {
        let none: [IpNet; 0] = [];
        let loopback: [IpNet; 1] = ["127.0.0.0/8".parse().unwrap()];

        assert!(read("https://hooks.example/x?y=1", &none).is_ok());
        for (text, refusal) in [
            ("http://hooks.example/", Refusal::Scheme),
            ("ftp://hooks.example/", Refusal::Url),
            ("https://user@hooks.example/", Refusal::Url),
            ("https://127.0.0.1/", Refusal::Private),
            // Other ways to write it.
            ("https://2130706433/", Refusal::Private),
            ("https://0x7f.1/", Refusal::Private),
            ("https://[::ffff:7f00:1]/", Refusal::Private),
            ("https://[64:ff9b::7f00:1]/", Refusal::Private),
            ("https://[2002:7f00:1::]/", Refusal::Private),
            ("http://[::1]/", Refusal::Scheme),
            ("http://[::ffff:127.0.0.1]/", Refusal::Scheme),
            ("http://[2606:4700::1111]/", Refusal::Scheme),
            ("hooks", Refusal::Url),
        ] {
            assert_eq!(read(text, &none), Err(refusal), "{text}");
        }
        assert!(read("http://127.0.0.1:99/", &loopback).is_ok());
        assert!(read("http://10.0.0.1/", &loopback).is_err());
        // The same address in other clothes is the same; one that only carries it is not.
        assert!(read("http://[::ffff:127.0.0.1]:99/", &loopback).is_ok());
        for text in [
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[::127.0.0.1]/",
        ] {
            assert_eq!(read(text, &loopback), Err(Refusal::Scheme), "{text}");
        }
        let six: [IpNet; 1] = ["::1/128".parse().unwrap()];
        assert!(read("http://[::1]:99/", &six).is_ok());
        assert_eq!(read("http://127.0.0.1/", &six), Err(Refusal::Scheme));
    }

    #[tokio::test]
    async fn name_that_leads_inside_is_refused_when_it_is_called() {
        let url = Url::parse("https://localhost/").unwrap();

        assert_eq!(resolve(&url, &[]).await, Err(Refusal::Private));
        let loopback = ["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        assert!(resolve(&url, &loopback).await.is_ok());
    }
}
