// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether a browser says that a request came from a page of somebody else.

use actix_web::{HttpRequest, http::header::ORIGIN};
use common::config::Controller;

/// What a browser says about the page that a request came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// A page of another site.
    Foreign,
    /// One of our pages, or nobody's: typed, or from a program that is no browser.
    Own,
    /// The browser hides it; under `Referrer-Policy: no-referrer`, older ones do so for our own pages too.
    Hidden,
}

/// Reads `Sec-Fetch-Site`, which no page can forge, or else `Origin`.
pub(super) fn origin(request: &HttpRequest, controllers: &[&Controller]) -> Origin {
    let field = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or_default())
    };
    if let Some(site) = field("sec-fetch-site") {
        return match site {
            "none" | "same-origin" => Origin::Own,
            _ => Origin::Foreign,
        };
    }
    match field(ORIGIN.as_str()) {
        None => Origin::Own,
        Some("null") => Origin::Hidden,
        Some(origin) if is_ours(origin, controllers) => Origin::Own,
        Some(_) => Origin::Foreign,
    }
}

fn is_ours(origin: &str, controllers: &[&Controller]) -> bool {
    controllers
        .iter()
        .any(|controller| controller.base_url().eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use common::config::Config;

    use super::*;

    fn told(fields: &[(&'static str, &'static str)]) -> Origin {
        let config = Config::for_testing();
        let mut request = TestRequest::post();
        for field in fields {
            request = request.insert_header(*field);
        }
        let controllers: Vec<&Controller> = config.controllers.iter().collect();
        origin(&request.to_http_request(), &controllers)
    }

    #[test]
    fn other_sites_are_foreign() {
        assert_eq!(told(&[("sec-fetch-site", "cross-site")]), Origin::Foreign);
        assert_eq!(told(&[("sec-fetch-site", "same-site")]), Origin::Foreign);
        assert_eq!(told(&[("origin", "https://evil.example")]), Origin::Foreign);
    }

    #[test]
    fn own_pages_and_programs_are_not() {
        assert_eq!(told(&[]), Origin::Own);
        assert_eq!(
            told(&[("sec-fetch-site", "same-origin"), ("origin", "null")]),
            Origin::Own
        );
        let own = Config::for_testing();
        let own = own.controllers[0].base_url().to_owned();
        assert_eq!(told(&[("origin", own.leak())]), Origin::Own);
    }

    #[test]
    fn hidden_origin_is_told_apart() {
        assert_eq!(told(&[("origin", "null")]), Origin::Hidden);
    }
}
