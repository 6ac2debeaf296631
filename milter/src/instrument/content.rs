// SPDX-License-Identifier: GPL-3.0-or-later
//! What the MIME fields of a part say (RFC 2045, 2183, 2231, 3676), read strictly: what cannot be read without doubt
//! is reported as unreadable, and then nothing is edited on its strength.

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
