// SPDX-License-Identifier: GPL-3.0-or-later
//! Words by which a link leads out of a mailing, or to its settings.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, packed::Searcher};

/// Looks for words by which a link leads out of a mailing.
#[derive(Default)]
pub(super) struct Unsubscribing {
    /// Room for what is looked through in lower case.
    lower: Vec<u8>,
}

impl Unsubscribing {
    /// Tells whether a URL, or the visible text that leads to it, has such words.
    pub(super) fn is_in(&mut self, url: &str, text: &str) -> bool {
        self.may_be_in(url, text) && (UNSUBSCRIBE_TEXTS.is_match(text) || UNSUBSCRIBE.is_match(url))
    }

    /// Tells whether a closer look for unsubscribing is worth while: one quick look at URL and text together, as nearly
    /// all have nothing of it.
    fn may_be_in(&mut self, url: &str, text: &str) -> bool {
        self.lower.clear();
        for piece in [url.as_bytes(), b"\0", text.as_bytes()] {
            self.lower.extend_from_slice(piece);
        }
        self.lower.make_ascii_lowercase();
        let searcher = UNSUBSCRIBE_ROOTS.as_ref();
        searcher.is_none_or(|searcher| searcher.find(&self.lower).is_some())
    }
}

/// Words of a URL that lead out of a mailing or to its settings.
const UNSUBSCRIBE_WORDS: [&str; 16] = [
    "unsubscribe",
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
    "abmelden",
    "abbestellen",
    "desabonn",
    "desinscri",
    "wypisz",
];

static UNSUBSCRIBE: LazyLock<AhoCorasick> = LazyLock::new(|| any_of(&UNSUBSCRIBE_WORDS));

/// Beginnings of all these words and of those in visible texts, in lower case.
static UNSUBSCRIBE_ROOTS: LazyLock<Option<Searcher>> = LazyLock::new(|| {
    Searcher::new([
        "unsub",
        "optout",
        "opt-out",
        "opt_out",
        "opt out",
        "preference",
        "subscription",
        "email-settings",
        "list-manage",
        "abmelden",
        "abbestell",
        "desabonn",
        "desinscri",
        "désabonn",
        "désinscri",
        "wypisz",
        "rezygn",
    ])
});

/// The same in visible texts.
const UNSUBSCRIBE_TEXT_WORDS: [&str; 14] = [
    "unsubscribe",
    "opt out",
    "opt-out",
    "preferences",
    "manage your subscription",
    "abmelden",
    "abbestellen",
    "abbestellung",
    "désabonner",
    "désinscri",
    "desinscri",
    "wypisz",
    "rezygnacja",
    "rezygnuj",
];

static UNSUBSCRIBE_TEXTS: LazyLock<AhoCorasick> = LazyLock::new(|| any_of(&UNSUBSCRIBE_TEXT_WORDS));

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
        for word in UNSUBSCRIBE_WORDS {
            assert!(looking.may_be_in(word, ""), "{word}");
        }
        for word in UNSUBSCRIBE_TEXT_WORDS {
            assert!(looking.may_be_in("", &format!("To {} now", word.to_ascii_uppercase())));
        }
        assert!(!looking.may_be_in("shop.example/catalogue?item=1", "Boots for autumn"));
    }
}
