// SPDX-License-Identifier: GPL-3.0-or-later
//! Words by which a link leads out of a mailing, or to its settings: in the URL, in what the link shows, and beside it.
//!
//! Texts are compared as [`fold`] makes them: in lower case, without accents and what is not seen, blanks made one. Of
//! words beside a link only those count that speak of leaving; `preferences` is too frequent there.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, packed::Searcher};

/// Looks for such words. Nearly all links have none, so one quick look comes first.
#[derive(Default)]
pub(super) struct Unsubscribing {
    /// Room for what is looked through in lower case.
    lower: Vec<u8>,
}

impl Unsubscribing {
    /// Tells whether a URL, or the visible text that leads to it, has such words.
    pub(super) fn is_in(&mut self, url: &str, text: &str) -> bool {
        let may_be = self.may_be_in(&[url.as_bytes(), b"\0", text.as_bytes()])
            || (!text.is_ascii() && text.contains(is_invisible));
        may_be && (is_told_by(text) || IN_URLS.is_match(url))
    }

    /// Tells whether a closer look is worth while, given octets in any charset like ASCII, entities and all.
    pub(super) fn may_be_in(&mut self, pieces: &[&[u8]]) -> bool {
        self.lower.clear();
        for piece in pieces {
            self.lower.extend_from_slice(piece);
        }
        self.lower.make_ascii_lowercase();
        let searcher = ROOTS.as_ref();
        searcher.is_none_or(|searcher| searcher.find(&self.lower).is_some())
    }
}

/// Tells whether a text says that a link leads out or to settings: what the link shows, or its title.
pub(crate) fn is_told_by(text: &str) -> bool {
    IN_TEXTS.is_match(&fold(text))
}

/// Tells whether a sentence with a link in it says so.
pub(crate) fn is_told_around(sentence: &str) -> bool {
    IN_SENTENCES.is_match(&fold(sentence))
}

/// Returns what stands behind the last sentence that ends in a text.
pub(crate) fn last_sentence(text: &str) -> &str {
    let last = stops(text).last();
    last.and_then(|end| text.get(end..)).unwrap_or(text)
}

/// Returns the first sentence.
pub(crate) fn first_sentence(text: &str) -> &str {
    let first = stops(text).next();
    first.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Returns where sentences end, and columns that bars part.
fn stops(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().filter_map(|(at, c)| {
        let end = at + c.len_utf8();
        let is_stop = match c {
            '|' | '•' | '·' => true,
            '.' | '!' | '?' => text.get(end..)?.starts_with(char::is_whitespace),
            _ => false,
        };
        is_stop.then_some(end)
    })
}

fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        let c = match c {
            c if c.is_ascii_graphic() => c,
            c if c.is_whitespace() => {
                if folded.ends_with(' ') {
                    continue;
                }
                ' '
            }
            c if is_invisible(c) => continue,
            'à'..='å' | 'ą' => 'a',
            'ç' | 'ć' | 'č' => 'c',
            'è'..='ë' | 'ę' => 'e',
            'ì'..='ï' => 'i',
            'ł' => 'l',
            'ñ' | 'ń' => 'n',
            'ò'..='ö' | 'ø' => 'o',
            'ś' | 'š' => 's',
            'ù'..='ü' => 'u',
            'ź' | 'ż' | 'ž' => 'z',
            '‐' | '‑' => '-',
            c => c,
        };
        folded.push(c);
    }
    folded
}

/// Tells whether a character is nothing to see, or the accent of the one before it.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

/// In URLs.
const URL_WORDS: [&str; 17] = [
    "unsub",
    "optout",
    "opt-out",
    "opt_out",
    "preferences",
    "preference-center",
    "subscriptions",
    "email-settings",
    "manage-subscription",
    "list-manage",
    "abmeld",
    "abbestell",
    "desabonn",
    "desinscri",
    "%c3%a9sabonn",
    "%c3%a9sinscri",
    "wypisz",
];

/// In texts that belong to a link, as [`fold`] makes them.
const TEXT_WORDS: [&str; 13] = [
    "unsub",
    "opt out",
    "opt-out",
    "preferences",
    "manage your subscription",
    "manage subscription",
    "abmeld",
    "abbestell",
    "desabonn",
    "desinscri",
    "wypisz",
    "wypisa",
    "rezygn",
];

/// In the sentence around a link.
const SENTENCE_WORDS: [&str; 14] = [
    "unsub",
    "opt out",
    "opt-out",
    "email preferences",
    "manage your subscription",
    "manage subscription",
    "abmeld",
    "abbestell",
    "desabonn",
    "desinscri",
    "wypisz",
    "wypisa",
    "zrezygn",
    "rezygnac",
];

/// Something of each of these, in lower case as far as it is ASCII: `SE DÉSABONNER` becomes `se dÉsabonner`.
static ROOTS: LazyLock<Option<Searcher>> = LazyLock::new(|| {
    Searcher::new([
        "unsub",
        "optout",
        "opt-out",
        "opt_out",
        "opt out",
        // Parted by another blank.
        "opt\n",
        "opt\r",
        "opt\t",
        "opt  ",
        "opt\u{a0}",
        "opt&",
        "preference",
        "férences",
        "fÉrences",
        "f&eacute;rences",
        "subscription",
        "email-settings",
        "list-manage",
        "abmeld",
        "abbestell",
        "sabonn",
        "sinscri",
        "wypisz",
        "wypisa",
        "rezygn",
        "&shy;",
        "&zwnj;",
    ])
});

static IN_URLS: LazyLock<AhoCorasick> = LazyLock::new(|| any_of(&URL_WORDS));
static IN_TEXTS: LazyLock<AhoCorasick> = LazyLock::new(|| any_of(&TEXT_WORDS));
static IN_SENTENCES: LazyLock<AhoCorasick> = LazyLock::new(|| any_of(&SENTENCE_WORDS));

/// Finds any of the words, without regard to the case of ASCII letters.
fn any_of(words: &[&str]) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .expect("a handful of short words makes a small automaton")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_by_the_quick_look() {
        let mut looking = Unsubscribing::default();
        for word in URL_WORDS {
            assert!(looking.is_in(word, ""), "{word}");
        }
        for word in TEXT_WORDS.iter().chain(&SENTENCE_WORDS) {
            let text = format!("To {} now", word.to_ascii_uppercase());
            assert!(looking.may_be_in(&[text.as_bytes()]), "{word}");
        }
        assert!(!looking.is_in("shop.example/catalogue?item=1", "Boots for autumn"));
    }

    #[test]
    fn words_are_found_however_they_are_written() {
        let mut looking = Unsubscribing::default();
        for text in [
            "SE DÉSABONNER",
            "DÉSINSCRIPTION",
            "De\u{301}sabonnement",
            "opt\r\nout",
            "Opt\u{a0}Out",
            "opt   out",
            "manage your\r\n subscription",
            "Unsub\u{ad}scribe",
            "Un\u{ad}sub\u{200b}scribe",
            "Newsletter-Abmeldung",
            "Lien de désabonnement",
            "Wypisać się",
            "Zrezygnować",
            "Gérer mes préférences",
            "GÉRER MES PRÉFÉRENCES",
        ] {
            assert!(looking.is_in("x.io/1", text), "{text}");
        }
        for text in [
            "S'abonner",
            "Inscription",
            "Options out of stock",
            "Différences",
        ] {
            assert!(!looking.is_in("x.io/1", text), "{text}");
        }
    }
}
