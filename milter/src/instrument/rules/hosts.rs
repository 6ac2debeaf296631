// SPDX-License-Identifier: GPL-3.0-or-later
//! The host of a URL.

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

/// Returns the host in lower case, given the classes of octets in the authority.
pub(super) fn host_of(authority: &str, classes: u8) -> Option<String> {
    if classes & RARE == 0 {
        return (!authority.is_empty()).then(|| authority.to_owned());
    }
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        return authority.get(..=end).map(str::to_ascii_lowercase);
    }
    let (host, _) = authority.split_once(':').unwrap_or((authority, ""));
    let is_odd = |octet: u8| class_of(octet) & ODD != 0;
    let is_host = !host.is_empty() && !host.bytes().any(is_odd);
    is_host.then(|| host.to_lowercase())
}
