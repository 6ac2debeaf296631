// SPDX-License-Identifier: GPL-3.0-or-later
//! What a request says about itself: whether it may be recorded, and what the classifier needs.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use actix_http::{RequestHead, header::HeaderMap};
use actix_web::http::Method;
use common::{ids::MessageId, keys::KeyRing};

use crate::{
    classify::{self, Features, Kind, Networks, RequestParts, Salt},
    metrics::Dropped,
};

/// Returns why a request is answered and not recorded, if so.
pub(super) fn objection(head: &RequestHead) -> Option<Dropped> {
    if head.method == Method::HEAD {
        return Some(Dropped::Head);
    }
    let headers = &head.headers;
    let is_prefetch = ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .any(|name| says(headers, name, &["prefetch", "prerender", "preview"]));
    if is_prefetch {
        return Some(Dropped::Prefetch);
    }
    let objects = ["sec-gpc", "dnt"].iter().any(|name| {
        headers
            .get(*name)
            .is_some_and(|value| value.as_bytes().trim_ascii() == b"1")
    });
    objects.then_some(Dropped::OptOut)
}

/// What reduces requests: the lists of networks, and the secret behind the tags by which a client is known again.
pub(super) struct Reducer {
    networks: Arc<Networks>,
    secret: [u8; 32],
    /// Thrown away with the process, and the same in all its threads.
    traces: RandomState,
}

const TAGS_CONTEXT: &str = "fairtrack 2026-11 client tags";

impl Reducer {
    pub(super) fn new(networks: Arc<Networks>, keys: &KeyRing) -> Self {
        static TRACES: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self {
            networks,
            secret: keys.derived(TAGS_CONTEXT),
            traces: TRACES.clone(),
        }
    }

    /// Returns by what an address is known again for some minutes; 0 if there is none. Of version 6, the network of
    /// 64 bits counts.
    pub(super) fn trace(&self, client: Option<IpAddr>) -> u64 {
        client.map_or(0, |client| {
            let network = match client.to_canonical() {
                IpAddr::V4(client) => u64::from(client.to_bits()),
                IpAddr::V6(client) => u64::try_from(client.to_bits() >> 64).unwrap_or_default(),
            };
            self.traces.hash_one(network)
        })
    }

    /// Reduces a request to what the classifier needs; its address and its user agent are forgotten here.
    ///
    /// The age is not known yet: it is set when the message is.
    pub(super) fn features(
        &self,
        head: &RequestHead,
        client: Option<IpAddr>,
        message: MessageId,
        ordinal: u16,
    ) -> Features {
        let headers: Vec<(&str, &str)> = head
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let link = (ordinal > 0).then_some(ordinal);
        let request = RequestParts {
            kind: if link.is_some() {
                Kind::Click
            } else {
                Kind::Open
            },
            method: head.method.as_str(),
            headers: &headers,
            ip: client,
            asn: None,
            link,
            age_ms: 0,
        };
        let salt = Salt::new(&self.secret, message.0.as_bytes());
        classify::extract(&request, &self.networks, &salt)
    }
}

fn says(headers: &HeaderMap, name: &str, words: &[&str]) -> bool {
    headers.get_all(name).any(|value| {
        value.to_str().is_ok_and(|value| {
            let value = value.to_ascii_lowercase();
            words.iter().any(|word| value.contains(word))
        })
    })
}

#[cfg(test)]
mod tests {
    use actix_http::{
        Request,
        header::{HeaderName, HeaderValue},
    };

    use super::*;

    fn objection_to(method: Method, fields: &[(&'static str, &'static str)]) -> Option<Dropped> {
        let mut request = Request::new();
        request.head_mut().method = method;
        for (name, value) in fields {
            request.head_mut().headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        objection(request.head())
    }

    #[test]
    fn head_prefetch_and_opt_out_are_not_recorded() {
        use Dropped::{Head, OptOut, Prefetch};
        assert_eq!(objection_to(Method::HEAD, &[]), Some(Head));
        for fields in [
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "Prefetch"),
            ("x-purpose", "preview"),
            ("x-moz", "prefetch"),
        ] {
            assert_eq!(objection_to(Method::GET, &[fields]), Some(Prefetch));
        }
        for fields in [("sec-gpc", "1"), ("dnt", " 1")] {
            assert_eq!(objection_to(Method::GET, &[fields]), Some(OptOut));
        }
    }

    #[test]
    fn ordinary_request_is_recorded() {
        let fields = [("dnt", "0"), ("sec-gpc", "0"), ("purpose", "x")];

        assert_eq!(objection_to(Method::GET, &fields), None);
    }
}
