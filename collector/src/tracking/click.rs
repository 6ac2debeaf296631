// SPDX-License-Identifier: GPL-3.0-or-later
//! The tracked link: on to the destination that its writer signed, and to no other.

use actix_http::{
    RequestHead, Response, StatusCode,
    body::BoxBody,
    header::{self, HeaderValue},
};
use common::{
    keys::KeyRing,
    token::{self, Opened, Use},
    tracking_url,
};

use super::{Tracking, add_fields, destination};

/// What is shown of a destination at most, in characters.
const MOST_SHOWN: usize = 2000;

/// Answers a request for a tracked link; `token` is what follows `/l/`.
pub(super) async fn answer(
    tracking: &Tracking,
    token: &str,
    head: &RequestHead,
) -> Response<BoxBody> {
    let query = head.uri.query().unwrap_or_default();
    let (opened, location) = match target(&tracking.keys, token, query) {
        Ok(target) => target,
        Err(destination) => {
            tracking.metrics.forged();
            return refusal(&destination);
        }
    };
    tracking.metrics.link();
    tracking.keep(opened.message, opened.ordinal, head).await;
    redirect(location)
}

/// Finds out where a link leads: what was signed, and what goes into the header field.
///
/// # Errors
///
/// Returns the destination as it is written, if the signature does not cover it.
pub(super) fn target(
    keys: &KeyRing,
    token: &str,
    query: &str,
) -> Result<(Opened, HeaderValue), String> {
    let destination = tracking_url::destination_of(query).unwrap_or_default();
    let opened = token::open(keys, token, Use::Link(&destination));
    match opened.zip(destination::location(&destination)) {
        Some(target) => Ok(target),
        None => Err(destination),
    }
}

fn redirect(location: HeaderValue) -> Response<BoxBody> {
    let mut response = Response::new(StatusCode::FOUND);
    add_fields(&mut response);
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// A plain page that shows where the link would lead, as text, and leads nowhere.
fn refusal(destination: &str) -> Response<BoxBody> {
    let mut page = String::with_capacity(1024);
    page.push_str(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>This link cannot be trusted</title></head>\
         <body><h1>This link cannot be trusted</h1>\
         <p>It was changed after it was written, so you are not sent on. It says that it leads to:</p><p><code>",
    );
    escape_into(&mut page, destination);
    page.push_str("</code></p></body></html>\n");
    let mut response = Response::with_body(StatusCode::BAD_REQUEST, BoxBody::new(page));
    add_fields(&mut response);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    );
    response
}

fn escape_into(page: &mut String, text: &str) {
    for character in text.chars().take(MOST_SHOWN) {
        match character {
            '"' => page.push_str("&quot;"),
            '&' => page.push_str("&amp;"),
            '\'' => page.push_str("&#39;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            // Neither invisible characters nor those that turn the writing direction: the text must look like what it is.
            other if other.is_control() || is_format(other) => page.push('\u{fffd}'),
            other => page.push(other),
        }
    }
    if text.chars().nth(MOST_SHOWN).is_some() {
        page.push('…');
    }
}

fn is_format(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_destination_is_inert() {
        let mut page = String::new();

        escape_into(
            &mut page,
            "javascript:\"><script>alert('1')</script>&\u{202e}moc\u{0}",
        );

        assert_eq!(
            page,
            "javascript:&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;\u{fffd}moc\u{fffd}"
        );
    }

    #[test]
    fn long_destination_is_cut() {
        let mut page = String::new();

        escape_into(&mut page, &"x".repeat(MOST_SHOWN + 1));

        assert_eq!(page.chars().count(), MOST_SHOWN + 1);
        assert!(page.ends_with('…'));
    }
}
