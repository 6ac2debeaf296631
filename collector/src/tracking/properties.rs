// SPDX-License-Identifier: GPL-3.0-or-later
//! Redirects, whatever the destination: where a browser would go, there it goes, and nowhere else.

use actix_http::Uri;
use common::{ids::MessageId, keys::KeyRing, token, tracking_url};
use proptest::prelude::*;
use url::Url;
use uuid::Uuid;

use super::click::target;

const MESSAGE: MessageId = MessageId(Uuid::from_u128(7));

/// Destinations that look like those of mail: mostly legal, with all that is odd now and then.
fn destinations() -> impl Strategy<Value = String> {
    let legal = "[a-zA-Z0-9._~:/?#@!$&'()*+,;=%{}|^`\\[\\]\\\\-]{0,60}";
    let odd = "[ -~żółąéßд中٣🙂\u{a0}\u{200b}\u{202e}]{0,40}";
    prop_oneof![
        legal.prop_map(|rest| format!("https://a.example/{rest}")),
        odd.prop_map(|rest| format!("http://a.example:8080/x?q={rest}")),
        odd.prop_map(|rest| format!("HTTPS://user@żółw.example/{rest}#{rest}")),
        legal.prop_map(|rest| format!("http://{rest}")),
        any::<String>().prop_map(|rest| format!("https://{rest}")),
        any::<String>(),
    ]
}

/// Asks for a link as a browser does and returns where it leads.
fn follow(keys: &KeyRing, url: &str) -> Option<Vec<u8>> {
    let uri: Uri = url.parse().ok()?;
    let token = uri.path().strip_prefix("/l/")?;
    let (_, location) = target(keys, token, uri.query().unwrap_or_default()).ok()?;
    Some(location.as_bytes().to_vec())
}

fn is_legal(destination: &str) -> bool {
    destination
        .bytes()
        .all(|octet| octet.is_ascii_graphic() && !b"\"<>".contains(&octet))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is legal in a header field survives to the octet, and the rest leads where a browser would go by itself.
    #[test]
    fn signed_destination_is_followed(destination in destinations()) {
        let keys = KeyRing::for_testing();
        let parsed = Url::parse(&destination).ok();
        let is_web = parsed.as_ref().is_some_and(|url| matches!(url.scheme(), "http" | "https"));
        let starts_well = ["http://", "https://"]
            .iter()
            .any(|start| destination.to_ascii_lowercase().starts_with(start));

        let found = follow(&keys, &tracking_url::link("", &keys, MESSAGE, 1, &destination));

        match found {
            Some(location) => {
                prop_assert!(starts_well);
                let location = String::from_utf8(location).unwrap();
                if is_legal(&destination) {
                    prop_assert_eq!(&location, &destination);
                }
                if let Some(parsed) = parsed {
                    prop_assert_eq!(Url::parse(&location).unwrap(), parsed);
                }
            }
            None => prop_assert!(
                !(is_web && starts_well) || destination.chars().any(char::is_control),
                "a good destination is refused"
            ),
        }
    }

    /// One header field, of one line, of ASCII, whatever is signed.
    #[test]
    fn no_destination_adds_a_header_field(destination in "https://a\\.example/(\\PC|[\r\n\t\0\u{7f}\u{85}\u{2028}]){0,60}") {
        let keys = KeyRing::for_testing();

        let found = follow(&keys, &tracking_url::link("", &keys, MESSAGE, 1, &destination));

        if let Some(location) = found {
            prop_assert!(location.iter().all(u8::is_ascii_graphic));
        }
    }

    /// No token leads to what it was not signed for; nor do tokens of other kinds, or none.
    #[test]
    fn nothing_unsigned_is_followed(signed in destinations(), wanted in destinations(), noise in "[A-Za-z0-9_-]{0,80}") {
        prop_assume!(signed != wanted);
        let keys = KeyRing::for_testing();
        let link = tracking_url::link("", &keys, MESSAGE, 1, &signed);
        let (path, _) = link.split_once('?').unwrap();
        let other = tracking_url::link("/l/", &keys, MESSAGE, 1, &wanted);
        let (_, query) = other.split_once('?').unwrap();
        let pixel = token::Token::mint(&keys, MESSAGE, 0, token::Use::Open);

        for forged in [
            format!("{path}?{query}"),
            format!("{path}?u=&{query}"),
            format!("{path}?x=1&{query}"),
            format!("/l/{}?{query}", pixel.as_str()),
            format!("/l/{noise}?{query}"),
        ] {
            prop_assert_eq!(follow(&keys, &forged), None, "{}", forged);
        }
    }
}
