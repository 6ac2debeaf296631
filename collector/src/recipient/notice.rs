// SPDX-License-Identifier: GPL-3.0-or-later
//! The notice: what a recipient must know before choosing, with everything that GDPR, Articles 13 and 14, asks for.
//!
//! It is rendered from the live configuration, so it never says less than what is done. Its plain text is what is kept:
//! every choice refers to the exact text by its SHA-256, and the page shows the same sections. A change of the wording
//! takes the next version.

mod de;
mod en;
mod fr;
mod pl;

use common::{
    config::{ConsentRule, Controller, MinAssurance, Retention},
    consent::chain::{self, Hash, hex},
    language::Language,
};

use super::words::fill;

/// The version of the wording, in all languages.
pub const VERSION: i32 = 1;

/// The word for this kind of text in `notices`.
pub const KIND: &str = "choices";

/// A notice as it is shown.
pub struct Notice {
    pub language: Language,
    pub sections: Vec<Section>,
}

/// A heading and what stands below it.
pub struct Section {
    pub heading: &'static str,
    pub paragraphs: Vec<String>,
}

/// The wording in one language: sections of paragraphs. A paragraph that is empty once filled in is left out.
struct Wording {
    sections: &'static [(&'static str, &'static [&'static str])],
    dpo: &'static str,
    basis_consent: &'static str,
    basis_other: &'static str,
    attested: &'static str,
}

impl Notice {
    /// Renders the notice of a controller.
    pub fn new(controller: &Controller, retention: &Retention, language: Language) -> Self {
        let wording = match language {
            Language::De => &de::WORDING,
            Language::En => &en::WORDING,
            Language::Fr => &fr::WORDING,
            Language::Pl => &pl::WORDING,
        };
        let dpo = controller
            .dpo
            .as_deref()
            .map_or_else(String::new, |dpo| fill(wording.dpo, &[("dpo", dpo)]));
        let basis = match (controller.consent, controller.basis.as_deref()) {
            (ConsentRule::NotRequired, Some(basis)) => {
                fill(wording.basis_other, &[("basis", basis)])
            }
            _ => wording.basis_consent.to_owned(),
        };
        let attested = match controller.min_assurance {
            MinAssurance::Attested => fill(wording.attested, &[("controller", &controller.name)]),
            MinAssurance::Recipient => String::new(),
        };
        let days = |period: common::config::Period| (period.0.as_secs() / 86_400).to_string();
        let places = [
            ("attested", attested.as_str()),
            ("authority", &controller.authority),
            ("basis", &basis),
            ("contact", &controller.contact),
            ("controller", &controller.name),
            ("dpo", &dpo),
            ("grant", &days(retention.grant)),
            ("hits", &days(retention.hits)),
            ("host", &controller.tracking_host()),
            ("messages", &days(retention.messages)),
            ("postal", &controller.address),
            ("proof", &days(retention.consent_proof)),
            ("window", &days(retention.recording_window)),
        ];
        let sections = wording
            .sections
            .iter()
            .map(|(heading, paragraphs)| Section {
                heading,
                paragraphs: paragraphs
                    .iter()
                    .map(|paragraph| fill(paragraph, &places))
                    .filter(|paragraph| !paragraph.trim().is_empty())
                    .collect(),
            })
            .collect();
        Self { language, sections }
    }

    /// Returns the notice as plain text: what is kept and hashed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            text.push_str(section.heading);
            text.push('\n');
            for paragraph in &section.paragraphs {
                text.push_str(paragraph);
                text.push('\n');
            }
            text.push('\n');
        }
        text
    }

    /// Returns the hash under which the text is kept.
    pub fn hash(&self) -> Hash {
        chain::sha256(self.text())
    }

    /// Returns the hash in hexadecimal digits.
    pub fn hash_hex(&self) -> String {
        hex(&self.hash())
    }
}

#[cfg(test)]
mod tests {
    use common::config::Config;

    use super::*;

    /// L35, L40 and section 5.2 of the consent sheet: each fact, in each language.
    #[test]
    fn notice_says_everything_in_every_language() {
        let config = Config::for_testing();
        let mut controller = config.controllers[0].clone();
        controller.dpo = Some("Ewa Nowak".into());

        let shapes: Vec<Vec<usize>> = Language::ALL
            .into_iter()
            .map(|language| {
                let notice = Notice::new(&controller, &config.retention, language);
                let text = notice.text();
                for fact in [
                    "Example Sp. z o.o.",
                    "ul. Prosta 1",
                    "privacy@example.com",
                    "Ewa Nowak",
                    "UODO",
                    "90",
                    "30",
                    "365",
                    "1095",
                    "6",
                ] {
                    assert!(text.contains(fact), "{language:?}: {fact}");
                }
                assert!(!text.contains(['{', '}']), "{language:?}: {text}");
                notice
                    .sections
                    .iter()
                    .map(|section| section.paragraphs.len())
                    .collect()
            })
            .collect();

        for shape in &shapes {
            assert_eq!(shape, &shapes[0]);
        }
    }

    #[test]
    fn other_basis_is_said_where_consent_is_not_required() {
        let config = Config::for_testing();
        let mut controller = config.controllers[0].clone();
        controller.consent = ConsentRule::NotRequired;
        controller.basis = Some("Section 7 of the Example Act".into());

        for language in Language::ALL {
            let text = Notice::new(&controller, &config.retention, language).text();
            assert!(
                text.contains("Section 7 of the Example Act"),
                "{language:?}"
            );
        }
    }

    #[test]
    fn hash_is_that_of_the_text() {
        let config = Config::for_testing();
        let notice = Notice::new(&config.controllers[0], &config.retention, Language::En);

        assert_eq!(notice.hash(), chain::sha256(notice.text()));
    }
}
