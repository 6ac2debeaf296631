// SPDX-License-Identifier: GPL-3.0-or-later
//! A destination as a `Location`: exactly as written, as far as a header field can carry it.

use std::fmt::Write;

use actix_http::header::HeaderValue;
use url::Url;

/// Returns the header field's value for a destination.
///
/// What is legal in a URL stays as it is. Spaces at the end go. Other octets are percent-encoded and a host outside of ASCII takes its
/// transfer form, as browsers do. Control characters, and schemes other than those of the web, are refused.
pub(super) fn location(destination: &str) -> Option<HeaderValue> {
    // As browsers do, which else would see an octet more.
    let destination = destination.trim_end_matches(' ');
    let is_web = ["http://", "https://"].iter().any(|scheme| {
        destination
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if !is_web || destination.chars().any(char::is_control) {
        return None;
    }
    if destination.bytes().all(is_legal) {
        return HeaderValue::from_str(destination).ok();
    }
    let destination = with_ascii_host(destination)?;
    let mut encoded = String::with_capacity(destination.len() * 3);
    for octet in destination.bytes() {
        if is_legal(octet) {
            encoded.push(char::from(octet));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(encoded, "%{octet:02X}");
        }
    }
    HeaderValue::from_str(&encoded).ok()
}

/// Octets that browsers send as they are wherever they stand in a URL.
fn is_legal(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'"' | b'<' | b'>')
}

fn with_ascii_host(destination: &str) -> Option<String> {
    let (scheme, rest) = destination.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    if authority.is_ascii() {
        return Some(destination.to_owned());
    }
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (format!("{login}@"), place),
        None => (String::new(), authority),
    };
    let parsed = Url::parse(&format!("{scheme}://{place}/")).ok()?;
    let host = parsed.host_str()?;
    let port = parsed
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    Some(format!("{scheme}://{login}{host}{port}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(destination: &str) -> Option<String> {
        location(destination).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_is_legal_stays_as_it_is() {
        for destination in [
            "https://a.example",
            "HTTPS://A.Example/%7Euser/../x?q=a+b&c=%zz;d#frag'(|)",
            "http://user:pass@a.example:8080/[x]{y}^`\\",
        ] {
            assert_eq!(written(destination).as_deref(), Some(destination));
        }
    }

    #[test]
    fn what_a_header_field_cannot_carry_is_encoded() {
        assert_eq!(
            written("https://a.example/żółw x?q=\"<ü>").as_deref(),
            Some("https://a.example/%C5%BC%C3%B3%C5%82w%20x?q=%22%3C%C3%BC%3E")
        );
        assert_eq!(
            written("https://żółw.example:8443/ż").as_deref(),
            Some("https://xn--w-uga1v8h.example:8443/%C5%BC")
        );
    }

    #[test]
    fn control_characters_and_other_schemes_are_refused() {
        for destination in [
            "",
            "https:/a",
            "https://a.example/\r\nSet-Cookie: x",
            "https://a.example/\u{0}",
            "https://a.example/\u{85}",
            "javascript:alert(1)",
            "data:text/html,x",
            "//a.example",
            " https://a.example",
        ] {
            assert_eq!(written(destination), None, "{destination:?}");
        }
    }
}
