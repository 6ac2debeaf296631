// SPDX-License-Identifier: GPL-3.0-or-later
//! Charsets of parts: which can be edited, and how their URLs are read.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// The charset of a part that can be edited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charset {
    pub(crate) encoding: &'static Encoding,
    /// Whether the part says ASCII, or nothing: what lies beyond is then anybody's guess.
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
