// SPDX-License-Identifier: GPL-3.0-or-later
//! The languages in which Fairtrack speaks to people.

use serde::{Deserialize, Serialize};

/// A language of pages, mails and disclosure lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    De,
    #[default]
    En,
    Fr,
    Pl,
}

impl Language {
    /// Every language, in the order in which pages offer them.
    pub const ALL: [Self; 4] = [Self::En, Self::Pl, Self::De, Self::Fr];

    /// Returns the two-letter code of BCP 47.
    pub fn code(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::En => "en",
            Self::Fr => "fr",
            Self::Pl => "pl",
        }
    }

    /// Returns the language that a code such as `pl` or `de-AT` names, if it is one of ours.
    pub fn from_code(code: &str) -> Option<Self> {
        let primary = code.split(['-', '_']).next().unwrap_or_default().trim();
        Self::ALL
            .into_iter()
            .find(|language| primary.eq_ignore_ascii_case(language.code()))
    }

    /// Chooses from an `Accept-Language` header field (RFC 9110, section 12.5.4), or returns `None` if nothing fits.
    pub fn from_accept_language(value: &str) -> Option<Self> {
        let mut best: Option<(Self, f32)> = None;
        for item in value.split(',').take(20) {
            let mut pieces = item.split(';');
            let Some(language) = pieces.next().and_then(Self::from_code) else {
                continue;
            };
            let weight = pieces
                .find_map(|piece| piece.trim().strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > best.map_or(0.0, |(_, weight)| weight) {
                best = Some((language, weight));
            }
        }
        best.map(|(language, _)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heaviest_known_language_wins() {
        assert_eq!(
            Language::from_accept_language("es, de;q=0.5, fr-CH;q=0.9"),
            Some(Language::Fr)
        );
        assert_eq!(Language::from_accept_language("es, *;q=0.1"), None);
        assert_eq!(
            Language::from_accept_language("pl-PL,pl;q=0.9,en;q=0.8"),
            Some(Language::Pl)
        );
        assert_eq!(Language::from_accept_language("de;q=0"), None);
    }
}
