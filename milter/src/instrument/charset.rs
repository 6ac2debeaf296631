// SPDX-License-Identifier: GPL-3.0-or-later
//! Charsets of parts: which can be edited, and how their URLs are read.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// The charset of a part that can be edited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charset {
    pub(crate) encoding: &'static Encoding,
    /// Whether the part says ASCII, or nothing, or contradicts itself: what lies beyond is then anybody's guess.
    pub(crate) is_ascii: bool,
}

impl Charset {
    /// Finds a charset by its name; `None` if it is unknown, or one in which ASCII octets may mean something else.
    pub(crate) fn find(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("us-ascii" | "ascii" | "ansi_x3.4-1968" | "") => Some(Self {
                encoding: WINDOWS_1252,
                is_ascii: true,
            }),
            Some(name) => Encoding::for_label(name.as_bytes())
                .filter(|encoding| encoding.is_ascii_compatible())
                .map(|encoding| Self {
                    encoding,
                    is_ascii: false,
                }),
        }
    }

    /// Takes into account how a text begins, which browsers believe rather than the name. `None` if it is UTF-16, by its
    /// beginning or by the NULs that no other text has.
    pub(crate) fn of_text(self, text: &[u8]) -> Option<Self> {
        let is_wide = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff");
        if is_wide || memchr::memchr(0, text).is_some() {
            return None;
        }
        let is_doubtful = self.encoding != UTF_8 && text.starts_with(b"\xef\xbb\xbf");
        Some(Self {
            is_ascii: self.is_ascii || is_doubtful,
            ..self
        })
    }

    /// Tells whether every reader finds the same destination in a URL: beyond ASCII, browsers encode a query in the
    /// charset of the page, which webmail changes.
    pub(crate) fn is_certain(self, url: &str) -> bool {
        url.is_ascii()
            || (!self.is_ascii
                && (self.encoding == UTF_8
                    || url
                        .split_once('?')
                        .is_none_or(|(_, query)| query.is_ascii())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_supersets_of_ascii_are_edited() {
        for name in [
            "utf-8",
            "iso-8859-2",
            "cp1250",
            "shift_jis",
            "gb18030",
            "ks_c_5601-1987",
        ] {
            assert!(Charset::find(Some(name)).is_some(), "{name}");
        }
        for name in [
            "utf-16",
            "utf-16le",
            "utf-7",
            "iso-2022-jp",
            "hz-gb-2312",
            "unknown-8bit",
        ] {
            assert!(Charset::find(Some(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn text_may_belie_the_name() {
        let latin = Charset::find(Some("iso-8859-1")).unwrap();
        let unicode = Charset::find(Some("utf-8")).unwrap();
        let marked = "\u{feff}<p>é".as_bytes();

        assert!(
            unicode
                .of_text(marked)
                .unwrap()
                .is_certain("https://x.example/ä")
        );
        assert!(
            !latin
                .of_text(marked)
                .unwrap()
                .is_certain("https://x.example/ä")
        );
        for wide in [&b"\xff\xfe<\0p\0>\0"[..], b"\xfe\xff\x65\xe5", b"<\0p\0>\0"] {
            assert!(unicode.of_text(wide).is_none());
        }
    }

    #[test]
    fn queries_beyond_ascii_are_certain_in_utf_8_only() {
        let latin = Charset::find(Some("iso-8859-1")).unwrap();
        let unicode = Charset::find(Some("utf-8")).unwrap();
        let silent = Charset::find(None).unwrap();

        assert!(
            latin.is_certain("https://x.example/ä") && !latin.is_certain("https://x.example/?ä")
        );
        assert!(unicode.is_certain("https://x.example/?ä"));
        assert!(!silent.is_certain("https://x.example/ä"));
    }
}
