// SPDX-License-Identifier: GPL-3.0-or-later
//! What the MIME fields of a part say (RFC 2045, 2183, 2231, 3676), read strictly: what cannot be read without doubt
//! is reported as unreadable, and then nothing is edited on its strength.
//!
//! What forbids an edit is read leniently, as the most lenient of mail programs would: see [`leading_media`] and
//! [`plain`].

use std::collections::BTreeMap;

/// A field of the shape `value; name=value; …`.
#[derive(Debug, Default)]
pub(crate) struct Structured {
    /// The part before the first `;`, in lower case.
    pub(crate) value: String,
    parameters: Vec<(String, String)>,
}

impl Structured {
    /// Makes a field without parameters.
    pub(crate) fn bare(value: &str) -> Self {
        Self {
            value: value.to_owned(),
            parameters: Vec::new(),
        }
    }

    /// Reads a field body, folds included. Returns `None` where the syntax leaves a doubt.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: text };
        reader.skip_blank()?;
        let value = reader.token(b";(\"")?.to_ascii_lowercase();
        let mut raw: Vec<(String, String)> = Vec::new();
        loop {
            reader.skip_blank()?;
            match reader.next() {
                None => break,
                Some(b';') => {}
                Some(_) => return None,
            }
            reader.skip_blank()?;
            if matches!(reader.peek(), None | Some(b';')) {
                // An empty parameter, as in a `;` at the end: wrong, frequent and harmless.
                continue;
            }
            let name = reader.token(b"=;(\"")?.to_ascii_lowercase();
            reader.skip_blank()?;
            if reader.next() != Some(b'=') {
                return None;
            }
            reader.skip_blank()?;
            let value = match reader.peek() {
                Some(b'"') => reader.quoted()?,
                _ => reader.token(b";(\"")?,
            };
            if raw.iter().any(|(seen, _)| *seen == name) {
                return None;
            }
            raw.push((name, value));
        }
        Some(Self {
            value,
            parameters: join_continuations(raw)?,
        })
    }

    /// Returns a parameter; names are in lower case.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        parameters
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads the media type at the beginning of a `Content-Type`, whatever follows it; in lower case. `None` if no type and
/// subtype are there.
pub(crate) fn leading_media(text: &[u8]) -> Option<String> {
    let mut reader = Reader { rest: text };
    reader.skip_blank()?;
    if reader.peek() == Some(b'"') {
        // Wrong, and understood by some.
        reader.next();
    }
    let kind = reader.token(SPECIALS)?;
    reader.skip_blank()?;
    if reader.next() != Some(b'/') {
        return None;
    }
    reader.skip_blank()?;
    let subtype = reader.token(SPECIALS)?;
    Some(format!("{kind}/{subtype}").to_ascii_lowercase())
}

/// What no type and no subtype contains (RFC 2045, section 5.1).
const SPECIALS: &[u8] = b"()<>@,;:\\\"/[]?=";

/// Tells whether a `Content-Type` says that what looks encrypted is only signed.
pub(crate) fn is_signed_data(text: &[u8]) -> bool {
    const KIND: &str = "signed-data";
    match Structured::parse(text) {
        Some(field) => field
            .parameter("smime-type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case(KIND)),
        None => plain(text).split(';').skip(1).any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            name.trim() == "smime-type" && value.trim() == KIND
        }),
    }
}

/// Returns what a field body says without its comments, quotation marks and folds (RFC 5322, section 3.2), in lower
/// case. What is never closed goes on to the end.
pub(crate) fn plain(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut comments = 0_u32;
    let mut is_quoted = false;
    let mut octets = text.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' if is_quoted || comments > 0 => {
                let escaped = octets.next().filter(|_| comments == 0);
                out.extend(escaped);
            }
            b'(' if !is_quoted => {
                if comments == 0 {
                    // A comment parts words as a blank does.
                    out.push(b' ');
                }
                comments += 1;
            }
            b')' if !is_quoted && comments > 0 => comments -= 1,
            b'\r' | b'\n' => {}
            _ if comments > 0 => {}
            b'"' => is_quoted = !is_quoted,
            octet => out.push(octet.to_ascii_lowercase()),
        }
    }
    String::from_utf8_lossy(out.trim_ascii()).into_owned()
}

/// Joins `name*0`, `name*1*` … and decodes `name*` (RFC 2231).
fn join_continuations(raw: Vec<(String, String)>) -> Option<Vec<(String, String)>> {
    let mut plain = Vec::with_capacity(raw.len());
    let mut pieces: BTreeMap<String, BTreeMap<u32, (String, bool)>> = BTreeMap::new();
    for (name, value) in raw {
        let Some((base, section)) = name.split_once('*') else {
            plain.push((name, value));
            continue;
        };
        if section.is_empty() {
            plain.push((base.to_owned(), decode_extended(&value, true)?));
            continue;
        }
        let (number, encoded) = match section.strip_suffix('*') {
            Some(number) => (number, true),
            None => (section, false),
        };
        let number = number.parse().ok()?;
        pieces
            .entry(base.to_owned())
            .or_default()
            .insert(number, (value, encoded));
    }
    for (name, sections) in pieces {
        let mut whole = String::new();
        for (expected, (number, (value, encoded))) in (0..).zip(sections) {
            if number != expected {
                return None;
            }
            if encoded {
                whole.push_str(&decode_extended(&value, number == 0)?);
            } else {
                whole.push_str(&value);
            }
        }
        plain.push((name, whole));
    }
    let mut names: Vec<&str> = plain.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    // `name=` beside `name*=` is legal, and readers differ in which one they take.
    let doubled = names.windows(2).any(|pair| pair.first() == pair.last());
    (!doubled).then_some(plain)
}

fn decode_extended(value: &str, first: bool) -> Option<String> {
    let text = if first {
        value.splitn(3, '\'').nth(2)?
    } else {
        value
    };
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            octets.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            octets.push(octet);
        }
    }
    Some(String::from_utf8_lossy(&octets).into_owned())
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Skips white space, folds and comments; `None` if a comment is not closed.
    fn skip_blank(&mut self) -> Option<()> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => {
                    self.next();
                }
                Some(b'(') => self.skip_comment()?,
                _ => return Some(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Option<()> {
        let mut depth = 0_u32;
        loop {
            match self.next()? {
                b'\\' => {
                    self.next()?;
                }
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(());
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes graphic ASCII up to a blank or one of `stops`; at least one octet.
    fn token(&mut self, stops: &[u8]) -> Option<String> {
        let length = self
            .rest
            .iter()
            .position(|octet| !octet.is_ascii_graphic() || stops.contains(octet))
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        let token = std::str::from_utf8(token).ok()?;
        (!token.is_empty()).then(|| token.to_owned())
    }

    fn quoted(&mut self) -> Option<String> {
        self.next();
        let mut octets = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some(String::from_utf8_lossy(&octets).into_owned()),
                b'\\' => octets.push(self.next()?),
                b'\r' | b'\n' => {}
                octet => octets.push(octet),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_through_folds_comments_and_quotes() {
        let field = Structured::parse(
            b" (a) Multipart/Mixed (b(c)) ;\r\n\tboundary = \"x\\\"y;z\" ; Charset=utf-8;",
        )
        .unwrap();

        assert_eq!(field.value, "multipart/mixed");
        assert_eq!(field.parameter("boundary"), Some("x\"y;z"));
        assert_eq!(field.parameter("charset"), Some("utf-8"));
    }

    #[test]
    fn continuations_of_rfc_2231_are_joined() {
        let field = Structured::parse(
            b"multipart/mixed; boundary*1=\"cd\"; boundary*0*=us-ascii'en'a%62; name*=utf-8''%C4%85",
        )
        .unwrap();

        assert_eq!(field.parameter("boundary"), Some("abcd"));
        assert_eq!(field.parameter("name"), Some("ą"));
    }

    #[test]
    fn leading_media_is_read_whatever_follows() {
        for text in [
            "text/html",
            " Text/HTML; charset",
            "text/html charset=x",
            "text/html, x",
            "\r\n\ttext (a) / (b)\r\n html(c",
            "\"text/html\"; x",
        ] {
            let media = leading_media(text.as_bytes());
            assert_eq!(media.as_deref(), Some("text/html"), "{text}");
        }
        for text in [
            "",
            "text",
            "/html",
            "text/",
            "text/;",
            "; a/b",
            "(text/html",
            "é/x",
        ] {
            assert_eq!(leading_media(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn plain_fields_have_no_comments_quotes_and_folds() {
        for (text, expected) in [
            (" Bulk\r\n (x)", "bulk"),
            ("\"a (b)\\\" C\"", "a (b)\" c"),
            ("a(b\\)(c))d)", "a d)"),
            ("\r\n <>(", "<>"),
            ("\"a", "a"),
            ("(\"a", ""),
            ("\"\\", ""),
        ] {
            assert_eq!(plain(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn signed_data_is_told_from_what_is_encrypted() {
        for (text, expected) in [
            ("a/b; SMIME-Type=\"signed-data\"", true),
            ("a/b; smime-type*=us-ascii''signed%2Ddata", true),
            ("a/b; name=a b; smime-type = signed-data (x)", true),
            ("a/b; name=\"; smime-type=signed-data\"", false),
            ("a/b; name=a b; smime-type=enveloped-data", false),
            ("smime-type=signed-data", false),
        ] {
            assert_eq!(is_signed_data(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn doubtful_fields_are_refused() {
        for text in [
            "",
            "text/html; charset",
            "text/html charset=x",
            "text/html; charset=\"x",
            "text/html (x; charset=y",
            "text/html; charset=a; charset=b",
            "text/html; boundary*0=a; boundary*2=b",
            "text/html; name=a; name*=utf-8''b",
        ] {
            assert!(Structured::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
