// SPDX-License-Identifier: GPL-3.0-or-later
//! Control recipients: `track@HOST` and `notrack@HOST`, for mail programs that can set neither fields nor tags. They
//! are taken out of the envelope and out of `To`, `Cc` and `Bcc`; every other address keeps its bytes.

use std::ops::Range;

use super::{Statements, Weight};
use crate::message::{HeaderEdit, HeaderField};

pub(super) fn read(
    fields: &[HeaderField],
    recipients: &[String],
    tracking_host: &str,
    statements: &mut Statements,
    edits: &mut Vec<HeaderEdit>,
) -> Vec<String> {
    let mut removed = Vec::new();
    for recipient in recipients {
        if let Some(yes) = judge(recipient, tracking_host) {
            statements.say_both(Weight::Act, yes);
            removed.push(recipient.clone());
        }
    }
    for name in ["to", "cc", "bcc"] {
        for (index, field) in (1..).zip(fields.iter().filter(|field| field.is(name))) {
            let Some(value) = without_control(&field.value, tracking_host) else {
                continue;
            };
            edits.push(HeaderEdit {
                name: field.name.trim_ascii_end().to_vec(),
                index,
                value: (!value.trim_ascii().is_empty()).then_some(value),
            });
        }
    }
    removed
}

/// Tells what a recipient says, if it is a control recipient.
fn judge(recipient: &str, tracking_host: &str) -> Option<bool> {
    let address = recipient.trim();
    let address = address
        .strip_prefix('<')
        .and_then(|address| address.strip_suffix('>'))
        .unwrap_or(address);
    let (local, domain) = address.rsplit_once('@')?;
    if tracking_host.is_empty() || !domain.eq_ignore_ascii_case(tracking_host) {
        return None;
    }
    if local.eq_ignore_ascii_case("track") {
        Some(true)
    } else if local.eq_ignore_ascii_case("notrack") {
        Some(false)
    } else {
        None
    }
}

/// Returns an address list without its control recipients, or `None` if it has none.
fn without_control(value: &[u8], tracking_host: &str) -> Option<Vec<u8>> {
    let items = items(value);
    let is_control = |item: &Range<usize>| {
        let text = value.get(item.clone()).unwrap_or_default();
        judge(&address_of(text), tracking_host).is_some()
    };
    if !items.iter().any(is_control) {
        return None;
    }
    let lead = value.len() - value.trim_ascii_start().len();
    let mut out = value.get(..lead).unwrap_or_default().to_vec();
    let mut from = lead;
    for item in &items {
        if !is_control(item) {
            continue;
        }
        let kept = value.get(from..item.start.max(from)).unwrap_or_default();
        out.extend_from_slice(kept);
        from = item.end;
        if value.get(item.end) == Some(&b',') {
            from += 1;
            if out.trim_ascii().is_empty() || out.ends_with(b":") {
                // The next address is the first now: no fold before it.
                let rest = value.get(from..).unwrap_or_default();
                from += rest.len() - rest.trim_ascii_start().len();
            }
        } else if out.trim_ascii_end().ends_with(b",") {
            let length = out.trim_ascii_end().len() - 1;
            out.truncate(length);
        }
    }
    out.extend_from_slice(value.get(from..).unwrap_or_default());
    Some(out)
}

/// Splits an address list at commas, and at the colon and the semicolon of groups, outside quotes, comments and
/// angle brackets.
fn items(value: &[u8]) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    let mut start = 0;
    let mut comments = 0_u32;
    let mut is_quoted = false;
    let mut is_angled = false;
    let mut octets = value.iter().copied().enumerate();
    while let Some((place, octet)) = octets.next() {
        match octet {
            b'\\' if is_quoted || comments > 0 => {
                octets.next();
            }
            b'"' if comments == 0 => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'(' => comments += 1,
            b')' => comments = comments.saturating_sub(1),
            _ if comments > 0 => {}
            b'<' => is_angled = true,
            b'>' => is_angled = false,
            _ if is_angled => {}
            b',' | b':' | b';' => {
                items.push(start..place);
                start = place + 1;
            }
            _ => {}
        }
    }
    items.push(start..value.len());
    items
}

/// Returns the address of one item, comments, quotation marks and display name aside.
fn address_of(item: &[u8]) -> String {
    let mut address = Vec::with_capacity(item.len());
    let mut comments = 0_u32;
    let mut is_quoted = false;
    let mut octets = item.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' if is_quoted || comments > 0 => {
                let escaped = octets.next().filter(|_| comments == 0);
                address.extend(escaped);
            }
            b'(' if !is_quoted => comments += 1,
            b')' if !is_quoted && comments > 0 => comments -= 1,
            _ if comments > 0 => {}
            b'"' => is_quoted = !is_quoted,
            b'<' if !is_quoted => address.clear(),
            b'>' if !is_quoted => break,
            octet => address.push(octet),
        }
    }
    // RFC 5322, section 4.4: blanks and folds may stand around `@` and dots.
    let pieces = |text: &str, mark: &str| {
        let pieces: Vec<&str> = text.split(mark).map(str::trim).collect();
        pieces.join(mark)
    };
    pieces(&pieces(&String::from_utf8_lossy(&address), "@"), ".")
}

/// Returns the control recipients named in the header section.
pub(super) fn named_in(fields: &[HeaderField], tracking_host: &str) -> Vec<String> {
    let is_list = |field: &&HeaderField| ["to", "cc", "bcc"].iter().any(|name| field.is(name));
    let mut found = Vec::new();
    for field in fields.iter().filter(is_list) {
        for item in items(&field.value) {
            let address = field.value.get(item).map(address_of);
            found.extend(address.filter(|address| judge(address, tracking_host).is_some()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(value: &str) -> Option<String> {
        without_control(value.as_bytes(), "t.example")
            .map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn control_recipients_leave_no_trace_in_address_lists() {
        for (value, expected) in [
            (" track@t.example", " "),
            (" a@x, track@t.example", " a@x"),
            (" track@t.example, a@x", " a@x"),
            (
                " Track <TRACK@T.example>,\r\n \"b, c\" <b@x>",
                " \"b, c\" <b@x>",
            ),
            (" a@x,\r\n notrack@t.example,\r\n b@x", " a@x,\r\n b@x"),
            (" a@x,\r\n notrack@t.example,track@t.example", " a@x"),
            (" g: track@t.example, a@x;", " g:a@x;"),
            (" g: a@x, track@t.example;", " g: a@x;"),
            (" track@t.example (c), a@x", " a@x"),
            (" (c, <d>) track@t.example, a@x", " a@x"),
            (" Track <track@t.example> (a <b>), a@x", " a@x"),
            (" Track <track(c)@ t .\r\n example>, a@x", " a@x"),
            (" \"Track\"@t.example, a@x", " a@x"),
        ] {
            assert_eq!(strip(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn display_names_may_be_in_any_charset() {
        let stripped = without_control(b" J\xf6rg <track@t.example>, a@x", "t.example");

        assert_eq!(stripped.as_deref(), Some(&b" a@x"[..]));
    }

    #[test]
    fn other_addresses_are_not_touched() {
        for value in [
            " track@other.example",
            " tracker@t.example",
            " \"track@t.example\" <a@x>",
            " (track@t.example) a@x",
            " \"<track@t.example>\" <a@x>",
            " no track@t.example",
            " a@x (\\) track@t.example)",
            " a@x, b@x",
            "",
        ] {
            assert_eq!(strip(value), None, "{value}");
        }
    }
}
