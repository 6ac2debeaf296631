// SPDX-License-Identifier: GPL-3.0-or-later
//! The host of a URL.

use std::borrow::Cow;

use url::Host;

use super::octets::{END, ODD, RARE, class_of};

/// Parts what stands after the scheme at the end of the authority, and tells the classes of octets in the latter.
pub(super) fn split_authority(rest: &str) -> (&str, &str, u8) {
    let mut classes = 0;
    let end = rest.bytes().position(|octet| {
        let class = class_of(octet);
        classes |= class;
        class & END != 0
    });
    let (authority, path) = end
        .and_then(|end| rest.split_at_checked(end))
        .unwrap_or((rest, ""));
    (authority, path, classes)
}

/// Returns the host in lower case and without a dot at its end, given the classes of octets in the authority.
pub(super) fn host_of(authority: &str, classes: u8) -> Option<String> {
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        return authority.get(..=end).map(str::to_ascii_lowercase);
    }
    let host = match classes & RARE {
        0 => authority,
        _ => authority
            .split_once(':')
            .map_or(authority, |(host, _)| host),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() {
        return None;
    }
    if classes & RARE == 0 {
        return Some(host.to_owned());
    }
    let is_odd = |octet: u8| class_of(octet) & ODD != 0;
    (!host.bytes().any(is_odd)).then(|| host.to_lowercase())
}

/// Writes a host in lower case as the names of the Internet are compared (UTS #46): `münchen.example` is
/// `xn--mnchen-3ya.example`. Returns `None` where it is no name.
pub(super) fn in_ascii(host: &str) -> Option<Cow<'_, str>> {
    if host.is_ascii() {
        return Some(Cow::Borrowed(host));
    }
    match Host::parse(host).ok()? {
        Host::Domain(name) => Some(Cow::Owned(name.trim_end_matches('.').to_owned())),
        address => Some(Cow::Owned(address.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_one_name() {
        for (authority, shown, name) in [
            ("x.example", "x.example", "x.example"),
            ("X.Example.:443", "x.example", "x.example"),
            ("x.example.", "x.example", "x.example"),
            (
                "MÜNCHEN.example",
                "münchen.example",
                "xn--mnchen-3ya.example",
            ),
            ("ｂａｎｋ.example", "ｂａｎｋ.example", "bank.example"),
            ("bank。example", "bank。example", "bank.example"),
            ("[2001:DB8::1]:1", "[2001:db8::1]", "[2001:db8::1]"),
        ] {
            let (authority, _, classes) = split_authority(authority);

            let host = host_of(authority, classes).unwrap();

            assert_eq!(host, shown);
            assert_eq!(in_ascii(&host).unwrap(), name);
        }
        for authority in ["", ".", ":443", "a b", "x%2e"] {
            let (authority, _, classes) = split_authority(authority);
            assert_eq!(host_of(authority, classes), None, "{authority}");
        }
    }
}
