// SPDX-License-Identifier: GPL-3.0-or-later
//! Who asks: the peer, or what trusted proxies say about it.

use std::net::IpAddr;

use actix_http::RequestHead;
use ipnet::IpNet;

/// More proxies than this in a row are nobody's set-up.
const MOST_HOPS: usize = 16;

/// Returns the address of the client, as far as it can be believed.
///
/// `X-Forwarded-For` is read from right to left as long as the one who says it is trusted. A peer on a UNIX socket is
/// trusted: only the host's own proxy gets there.
pub(crate) fn address(head: &RequestHead, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = head.peer_addr.map(|peer| peer.ip().to_canonical());
    let forwarded: Vec<&str> = head
        .headers
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for said in forwarded.iter().rev().take(MOST_HOPS) {
        if client.as_ref().is_some_and(|client| !is_trusted(client)) {
            break;
        }
        match parse(said) {
            Some(address) => client = Some(address),
            None => break,
        }
    }
    client
}

/// Returns the address of the client where it is one: not that of a proxy of ours which does not say for whom it asks.
/// Many people come from there, and nothing can be told from it.
pub(super) fn reader(head: &RequestHead, trusted: &[IpNet]) -> Option<IpAddr> {
    address(head, trusted).filter(|client| !trusted.iter().any(|net| net.contains(client)))
}

fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| {
            let with_port: std::net::SocketAddr = text.parse().ok()?;
            Some(with_port.ip())
        })
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_http::{Request, header::HeaderValue};

    use super::*;

    fn client(peer: Option<&str>, forwarded: &[&str]) -> Option<String> {
        let mut request = Request::new();
        let head = request.head_mut();
        head.peer_addr = peer.map(|peer| peer.parse().unwrap());
        for value in forwarded {
            head.headers.append(
                actix_http::header::X_FORWARDED_FOR,
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let trusted = [
            "127.0.0.1/32".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ];
        address(request.head(), &trusted).map(|address| address.to_string())
    }

    #[test]
    fn proxy_that_does_not_say_for_whom_it_asks_is_no_reader() {
        let reader = |fields: &[&str]| {
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            let mut request = Request::new();
            let head = request.head_mut();
            head.peer_addr = Some("10.0.0.1:4000".parse().unwrap());
            for value in fields {
                let value = HeaderValue::from_str(value).unwrap();
                head.headers
                    .append(actix_http::header::X_FORWARDED_FOR, value);
            }
            reader(request.head(), &trusted).map(|address| address.to_string())
        };

        assert_eq!(reader(&[]), None);
        assert_eq!(reader(&["nonsense"]), None);
        assert_eq!(reader(&["10.2.3.4"]), None);
        assert_eq!(reader(&["203.0.113.9"]).as_deref(), Some("203.0.113.9"));
    }

    #[test]
    fn stranger_is_not_believed() {
        let client = client(Some("198.51.100.1:4000"), &["203.0.113.9"]);

        assert_eq!(client.as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn trusted_proxies_are_read_from_right_to_left() {
        let nearest = client(
            Some("127.0.0.1:4000"),
            &["192.0.2.66", "203.0.113.9, 10.1.2.3"],
        );

        assert_eq!(nearest.as_deref(), Some("203.0.113.9"));
    }

    #[test]
    fn unix_socket_is_trusted_and_nonsense_is_not() {
        assert_eq!(
            client(None, &["203.0.113.9"]).as_deref(),
            Some("203.0.113.9")
        );
        assert_eq!(client(None, &["unknown"]), None);
        assert_eq!(
            client(Some("127.0.0.1:4000"), &["203.0.113.9, nonsense"]).as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(
            client(Some("127.0.0.1:4000"), &["[2001:db8::1]:99"]).as_deref(),
            Some("2001:db8::1")
        );
    }
}
