// SPDX-License-Identifier: GPL-3.0-or-later
//! Attributes by which an author asks for one link to be left alone: our own and those of other products, so that
//! existing templates keep their meaning.

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

/// Judges an attribute by its name, case aside, and its value.
pub(crate) fn judge(name: &[u8], value: &str) -> Verdict {
    let name = name.to_ascii_lowercase();
    let value = value.trim();
    let says = |word: &str| value.eq_ignore_ascii_case(word);
    let asks = match name.as_slice() {
        // Ours and Kannon's; Amazon SES; Postmark; ahoy; Campaign Monitor.
        b"data-no-track"
        | b"ses:no-track"
        | b"data-pm-no-track"
        | b"data-skip-click"
        | b"cm_dontconvertlink" => !says("false") && !says("0"),
        // SparkPost, SendGrid, Mailgun, Mautic.
        b"data-msys-clicktrack" => says("0") || says("false"),
        b"clicktracking" => says("off") || says("false"),
        b"disable-tracking" | b"mautic:disable-tracking" => {
            says("true") || says("1") || value.is_empty()
        }
        b"rel" => {
            let kept: Vec<&str> = value
                .split_ascii_whitespace()
                .filter(|word| !word.eq_ignore_ascii_case("notrack"))
                .collect();
            if kept.len() == value.split_ascii_whitespace().count() {
                return Verdict::No;
            }
            if !kept.is_empty() {
                // The value is written back as it was read, so it must not depend on the charset.
                return if value.is_ascii() {
                    Verdict::Value(kept.join(" "))
                } else {
                    Verdict::No
                };
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
        ] {
            assert!(may_be(name.as_bytes()));
            assert_eq!(judge(name.as_bytes(), value), Verdict::Attribute, "{name}");
        }
        assert_eq!(
            judge(b"rel", "noopener notrack"),
            Verdict::Value("noopener".into())
        );
    }

    #[test]
    fn other_words_mean_nothing() {
        for (name, value) in [
            ("rel", "noopener"),
            ("data-msys-clicktrack", "1"),
            ("clicktracking", "on"),
            ("data-no-tracking", ""),
        ] {
            assert_eq!(judge(name.as_bytes(), value), Verdict::No, "{name}");
        }
    }
}
