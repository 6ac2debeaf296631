// SPDX-License-Identifier: GPL-3.0-or-later
//! Visible texts that show an address.

use super::is_bidi;

/// Tells whether a visible text would be taken for an address: a URL in it, or a host name alone.
pub(super) fn is_url_like(text: &str) -> bool {
    if memchr::memchr2(b'.', b':', text.as_bytes()).is_none() {
        return false;
    }
    let text = text.trim_matches(|c: char| c.is_whitespace() || is_bidi(c) || c == '\u{200b}');
    let lower = text.to_lowercase();
    if lower.contains("://") || lower.contains("www.") {
        return true;
    }
    if text.contains(char::is_whitespace) {
        return false;
    }
    let bare = lower.trim_matches(|c: char| {
        matches!(
            c,
            '<' | '>'
                | '('
                | ')'
                | '['
                | ']'
                | '"'
                | '\''
                | '.'
                | ','
                | '!'
                | '?'
                | ':'
                | ';'
                | '…'
        )
    });
    let host = bare.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let Some((before, last)) = host.rsplit_once('.') else {
        return false;
    };
    !before.is_empty()
        && (2..=24).contains(&last.chars().count())
        && last.chars().all(char::is_alphabetic)
        && before.split('.').all(|label| {
            !label.is_empty()
                && label
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        })
}
