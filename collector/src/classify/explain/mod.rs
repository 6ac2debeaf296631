// SPDX-License-Identifier: GPL-3.0-or-later
//! The reasons for a verdict in words, as the "Why?" of each line shows them. One file for each language.

mod de;
mod en;
mod fr;
mod pl;

use common::language::Language;

use super::reason::ReasonId;

/// Says in one sentence what a rule found.
pub fn explain(reason: ReasonId, language: Language) -> &'static str {
    match language {
        Language::De => de::explain(reason),
        Language::En => en::explain(reason),
        Language::Fr => fr::explain(reason),
        Language::Pl => pl::explain(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_is_a_sentence_in_every_language() {
        for language in Language::ALL {
            for reason in ReasonId::ALL {
                let sentence = explain(*reason, language);

                assert!(sentence.ends_with('.'), "{reason} {language:?}");
                assert!(sentence.len() > 15, "{reason} {language:?}");
            }
        }
    }

    #[test]
    fn no_sentence_was_left_in_another_language() {
        for reason in ReasonId::ALL {
            let sentences: HashSet<_> = Language::ALL
                .into_iter()
                .map(|language| explain(*reason, language))
                .collect();

            assert_eq!(sentences.len(), Language::ALL.len(), "{reason}");
        }
    }
}
