// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads one tag whose place is known. A reading aid for what is reported and what is taken out of a tag; where tags
//! are is for the parser to say.

use std::ops::Range;

/// An attribute of a tag, as places in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Attribute {
    /// All of it, with the blanks before.
    pub(crate) whole: Range<usize>,
    pub(crate) name: Range<usize>,
    /// Without its quotes; empty where there is none.
    pub(crate) value: Range<usize>,
}

/// Returns the attributes of a start tag, in their order.
pub(crate) fn attributes(tag: &[u8]) -> Vec<Attribute> {
    let is_blank = |octet: &u8| octet.is_ascii_whitespace() || *octet == b'/';
    let skip = |at: usize, is_part: &dyn Fn(&u8) -> bool| {
        let rest = tag.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|octet| is_part(octet)).count()
    };
    let mut found = Vec::new();
    let mut at = skip(0, &|octet| !is_blank(octet));
    while at < tag.len() {
        let start = at;
        at = skip(at, &is_blank);
        let name = at;
        at = skip(at, &|octet| {
            !is_blank(octet) && !matches!(octet, b'=' | b'>')
        });
        if at == name {
            break;
        }
        let name = name..at;
        let mut value = at..at;
        let equals = skip(at, &u8::is_ascii_whitespace);
        if tag.get(equals) == Some(&b'=') {
            at = skip(equals + 1, &u8::is_ascii_whitespace);
            match tag.get(at) {
                Some(quote @ (b'"' | b'\'')) => {
                    value = at + 1..skip(at + 1, &|octet| octet != quote);
                    at = value.end + 1;
                }
                _ => {
                    value = at..skip(at, &|octet| !octet.is_ascii_whitespace() && *octet != b'>');
                    at = value.end;
                }
            }
        }
        at = at.min(tag.len());
        found.push(Attribute {
            whole: start..at,
            name,
            value,
        });
    }
    found
}

/// Returns the value of the first attribute of that name.
pub(crate) fn attribute<'t>(tag: &'t [u8], name: &str) -> Option<&'t [u8]> {
    attributes(tag).into_iter().find_map(|attribute| {
        let written = tag.get(attribute.name)?;
        let is_it = written.eq_ignore_ascii_case(name.as_bytes());
        is_it.then(|| tag.get(attribute.value)).flatten()
    })
}

/// Returns the length of the tag or comment that begins here; `None` if it does not end.
pub(crate) fn length(text: &[u8]) -> Option<usize> {
    if let Some(comment) = text.strip_prefix(b"<!--") {
        return memchr::memmem::find(comment, b"-->").map(|end| end + "<!---->".len());
    }
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        at += memchr::memchr3(b'>', b'"', b'\'', rest)?;
        match text.get(at) {
            Some(b'>') => return Some(at + 1),
            quote => {
                let inside = text.get(at + 1..)?;
                at += 2 + memchr::memchr(*quote?, inside)?;
            }
        }
    }
}

/// Tells whether the tag that begins here is one of that name; for the end tag, `name` begins with a slash.
pub(crate) fn is_named(text: &[u8], name: &str) -> bool {
    let written = text.get(1..=name.len());
    written.is_some_and(|written| written.eq_ignore_ascii_case(name.as_bytes()))
        && text
            .get(name.len() + 1)
            .is_none_or(|octet| octet.is_ascii_whitespace() || matches!(octet, b'>' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_however_they_are_written() {
        let tag = b"<img\r\n src = 'a b'/ALT=x title=\"y>'\" hidden>";

        let found: Vec<(&[u8], &[u8])> = attributes(tag)
            .into_iter()
            .map(|found| (&tag[found.name], &tag[found.value]))
            .collect();

        let expected: [(&[u8], &[u8]); 4] = [
            (b"src", b"a b"),
            (b"ALT", b"x"),
            (b"title", b"y>'"),
            (b"hidden", b""),
        ];
        assert_eq!(found, expected);
        assert_eq!(attribute(tag, "alt"), Some(&b"x"[..]));
        assert_eq!(attribute(tag, "al"), None);
    }

    #[test]
    fn tags_end_where_no_quote_is_open() {
        for (text, expected) in [
            ("<b>x", Some(3)),
            ("<img alt=\"a > b\" title='>'>x>", Some(27)),
            ("<!-- <b> \" --> -->", Some(14)),
            ("<img alt=\"a > b", None),
            ("<b", None),
        ] {
            assert_eq!(length(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn names_are_compared_whole_and_without_regard_to_case() {
        assert!(is_named(b"<IMG alt=x>", "img") && is_named(b"</A\n>", "/a"));
        assert!(!is_named(b"<image>", "img") && !is_named(b"<abbr>", "a"));
    }
}
