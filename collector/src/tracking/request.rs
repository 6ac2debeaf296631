// SPDX-License-Identifier: GPL-3.0-or-later
//! What a request says about itself: whether it may be recorded, and what the classifier needs.

use std::net::IpAddr;

use actix_http::{RequestHead, header::HeaderMap};
use actix_web::http::Method;

use crate::{ingest::Features, metrics::Dropped};

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

/// Reduces a request to what the classifier needs; its address and its user agent are forgotten here.
pub(super) fn features(_head: &RequestHead, _client: Option<IpAddr>) -> Features {
    Features::default()
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
