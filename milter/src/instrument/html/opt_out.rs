// SPDX-License-Identifier: GPL-3.0-or-later
//! Attributes by which an author asks for one link to be left alone: our own and those of other products, so that
//! existing templates keep their meaning. In doubt about a value, the link is left alone.

use std::ops::Range;

/// What an attribute says.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It asks for the link to be left alone, and is taken out.
    Attribute,
    No,
    /// The same, but it says other things too: this is left of its value.
    Value(String),
}

/// Every name that may ask for it.
const NAMES: [&str; 10] = [
    "rel",
    "data-no-track",
    "ses:no-track",
    "data-pm-no-track",
    "data-skip-click",
    "cm_dontconvertlink",
    "data-msys-clicktrack",
    "clicktracking",
    "disable-tracking",
    "mautic:disable-tracking",
];

/// Tells whether a name is worth a second look.
pub(crate) fn may_be(name: &[u8]) -> bool {
    // The attributes that nearly all links have are told by their length.
    !matches!(name.len(), 4..=11)
        && NAMES
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Judges an attribute by its name, case aside, and its value, in which entities are not decoded yet.
pub(crate) fn judge(name: &[u8], value: &str) -> Verdict {
    let name = name.to_ascii_lowercase();
    let written = value;
    let value = htmlize::unescape_attribute(value);
    let value = value.trim();
    let says = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    let says_no = says(&["0", "false", "no", "off"]);
    let asks = match name.as_slice() {
        // Ours and Kannon's; Amazon SES; Postmark; ahoy; Campaign Monitor; Mailgun; Mautic.
        b"data-no-track"
        | b"ses:no-track"
        | b"data-pm-no-track"
        | b"data-skip-click"
        | b"cm_dontconvertlink"
        | b"disable-tracking"
        | b"mautic:disable-tracking" => !says_no,
        // SparkPost, SendGrid.
        b"data-msys-clicktrack" | b"clicktracking" => says_no || value.is_empty(),
        b"rel" => {
            let words = value.split_ascii_whitespace();
            let is_kept = |word: &&str| !word.eq_ignore_ascii_case("notrack");
            let kept: Vec<&str> = words.clone().filter(is_kept).collect();
            if kept.len() == words.count() {
                return Verdict::No;
            }
            if !kept.is_empty() {
                // Without quotes there is no blank in a value.
                let is_quoted = written.contains(|c: char| c.is_ascii_whitespace());
                let blank = if is_quoted { " " } else { "&#32;" };
                let kept: Vec<String> = kept.into_iter().map(escape).collect();
                return Verdict::Value(kept.join(blank));
            }
            true
        }
        _ => false,
    };
    if asks {
        Verdict::Attribute
    } else {
        Verdict::No
    }
}

/// Writes a word so that it means the same in every charset, and with any quotes or none around it.
fn escape(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '#') {
            text.push(c);
        } else {
            text.push_str(&format!("&#{};", u32::from(c)));
        }
    }
    text
}

/// Finds the `+notrack` in the scheme of a destination, as it is written in markup, entities and all. Without it the
/// destination is an ordinary one.
pub(crate) fn mark_in(value: &[u8]) -> Option<Range<usize>> {
    let mut at = 0;
    let (mut first, mut next) = unit(value, at)?;
    while first <= b' ' {
        at = next;
        (first, next) = unit(value, at)?;
    }
    at = skip(value, at, b"http")?;
    let start = skip(value, at, b"s").unwrap_or(at);
    let end = skip(value, start, b"+notrack")?;
    skip(value, end, b"://")?;
    Some(start..end)
}

/// Returns where a word ends that begins at a place; it is in lower case.
fn skip(value: &[u8], mut at: usize, word: &[u8]) -> Option<usize> {
    for letter in word {
        let (octet, next) = unit(value, at)?;
        if octet.to_ascii_lowercase() != *letter {
            return None;
        }
        at = next;
    }
    Some(at)
}

/// Reads an octet of ASCII, or the entity that stands for it, and tells where the next one begins.
fn unit(value: &[u8], at: usize) -> Option<(u8, usize)> {
    const NAMES: [(&[u8], u8); 5] = [
        (b"&plus;", b'+'),
        (b"&colon;", b':'),
        (b"&sol;", b'/'),
        (b"&Tab;", b'\t'),
        (b"&NewLine;", b'\n'),
    ];
    let rest = value.get(at..)?;
    if let Some((name, octet)) = NAMES.iter().find(|(name, _)| rest.starts_with(name)) {
        return Some((*octet, at + name.len()));
    }
    let Some(number) = rest.strip_prefix(b"&#") else {
        return rest.first().map(|octet| (*octet, at + 1));
    };
    let (digits, radix, sign) = match number.split_first() {
        Some((b'x' | b'X', digits)) => (digits, 16, "&#x".len()),
        _ => (number, 10, "&#".len()),
    };
    let is_digit = |octet: &&u8| char::from(**octet).is_digit(radix);
    let length = digits.iter().take_while(is_digit).count();
    let code = std::str::from_utf8(digits.get(..length)?).ok()?;
    let octet = u8::from_str_radix(code, radix).ok()?;
    let end = at + sign + length;
    Some((octet, end + usize::from(value.get(end) == Some(&b';'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_word_is_understood() {
        for (name, value) in [
            ("data-no-track", ""),
            ("DATA-NO-TRACK", "true"),
            ("rel", "NoTrack"),
            ("ses:no-track", ""),
            ("data-msys-clicktrack", "0"),
            ("clicktracking", "OFF"),
            ("disable-tracking", "true"),
            ("mautic:disable-tracking", "true"),
            ("data-pm-no-track", ""),
            ("data-skip-click", "true"),
            ("cm_dontconvertlink", ""),
            ("clicktracking", "0"),
            ("clicktracking", "no"),
            ("clicktracking", ""),
            ("clicktracking", "&#111;ff"),
            ("disable-tracking", "yes"),
            ("rel", "no&#116;rack"),
        ] {
            assert!(may_be(name.as_bytes()));
            assert_eq!(judge(name.as_bytes(), value), Verdict::Attribute, "{name}");
        }
        for (value, rest) in [
            ("noopener notrack", "noopener"),
            ("noopener&#32;notrack", "noopener"),
            ("a&#32;notrack&#32;b", "a&#32;b"),
            ("é notrack \"x", "&#233; &#34;x"),
        ] {
            assert_eq!(judge(b"rel", value), Verdict::Value(rest.into()));
        }
    }

    #[test]
    fn other_words_mean_nothing() {
        for (name, value) in [
            ("rel", "noopener"),
            ("data-msys-clicktrack", "1"),
            ("clicktracking", "on"),
            ("disable-tracking", "off"),
            ("data-no-tracking", ""),
        ] {
            assert_eq!(judge(name.as_bytes(), value), Verdict::No, "{name}");
        }
    }

    #[test]
    fn mark_of_a_scheme_is_found_however_it_is_written() {
        for (value, rest) in [
            ("https+notrack://x.io/", "https://x.io/"),
            ("  HTTP+NoTrack://x.io/", "  HTTP://x.io/"),
            ("https&#43;notrack://x.io/", "https://x.io/"),
            ("https&#x2Bnotrack://x.io/", "https://x.io/"),
            (
                "&#32;&Tab;https&plus;no&#116rack&colon;//x.io/",
                "&#32;&Tab;https&colon;//x.io/",
            ),
        ] {
            let mark = mark_in(value.as_bytes()).unwrap();

            let (before, after) = (
                value.get(..mark.start).unwrap(),
                value.get(mark.end..).unwrap(),
            );
            assert_eq!(format!("{before}{after}"), rest);
        }
        for value in [
            "",
            " ",
            "&#",
            "https+notrack",
            "https+notrac://x",
            "xhttps+notrack://x",
            "http&#999;",
        ] {
            assert_eq!(mark_in(value.as_bytes()), None, "{value}");
        }
    }
}
