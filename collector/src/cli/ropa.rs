// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl ropa`: the register of processing (GDPR, Article 30) from the configuration as it is, and the risks that an
//! impact assessment has to weigh.

use common::{
    config::{Config, ConsentRule, Controller, MinAssurance, Period},
    consent::Profile,
};
use serde_json::{Value, json};

use super::{Context, consent::Which};
use crate::recipient::document;

/// Prints it.
///
/// # Errors
///
/// Fails if the configuration cannot be used.
pub fn run(which: &Which, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    let controller = which.controller(&config)?;
    context.print(&register(controller, &config), document::text)
}

/// Returns the register of a controller.
pub fn register(controller: &Controller, config: &Config) -> Value {
    let retention = &config.retention;
    let days = |period: Period| format!("{} days", period.0.as_secs() / 86_400);
    let basis = match (controller.consent, controller.basis.as_deref()) {
        (ConsentRule::NotRequired, Some(basis)) => basis.to_owned(),
        _ => "consent: GDPR, Article 6(1)(a); Directive 2002/58/EC, Article 5(3)".to_owned(),
    };
    let assurance = match controller.min_assurance {
        MinAssurance::Attested => "the recipient's own act, or an attestation with evidence",
        MinAssurance::Recipient => "the recipient's own act only",
    };
    json!({
        "version": VERSION,
        "article_30_1": {
            "a_controller": {
                "name": controller.name, "address": controller.address, "contact": controller.contact,
                "data_protection_officer": controller.dpo, "supervisory_authority": controller.authority,
            },
            "b_purposes": [
                {"purpose": "open", "active": controller.opens,
                    "description": "to tell the sender when the images of a message were loaded"},
                {"purpose": "click", "active": controller.links,
                    "description": "to tell the sender when the links of a message were followed"},
                {"purpose": "proof", "active": true,
                    "description": "to be able to demonstrate consent (GDPR, Article 7(1))"},
            ],
            "lawful_basis": basis,
            "consent_taken_from": assurance,
            "c_data_subjects": ["recipients of mail", "users who send mail"],
            "c_data": {
                "recipients": ["mail address", "statements of consent with their evidence",
                    "for each hit: time, number and host of the link, kind of mail program, label of the network, class"],
                "users": ["login", "name", "settings", "messages with tracking switched on: subject, recipients, time"],
                "not_stored": ["IP addresses", "user agents", "destinations of links", "places"],
                "profile": Profile::CURRENT.to_string(),
            },
            "d_recipients": ["the sender of each message", "processors who operate the servers"],
            "e_transfers": "none by the program; state here where the servers are",
            "f_erasure": {
                "hits": days(retention.hits), "messages": days(retention.messages),
                "recording_window": days(retention.recording_window), "grant": days(retention.grant),
                "proof": format!("{} after its end", days(retention.consent_proof)),
                "unanswered_requests": "30 days", "mailed_links": "30 minutes", "acts_of_administrators": "365 days",
                "refusals": "until the person erases them", "suppression_hashes": "until the person lifts them",
            },
            "g_security": ["tokens are signed and carry no address", "secrets outside the database",
                "append-only consent log with a hash chain and signed heads", "TLS at the proxy",
                "a sender sees only their own messages; administrators see totals"],
        },
        "article_35_risks": RISKS
            .iter()
            .map(|(risk, measure)| json!({"risk": risk, "what_is_done": measure}))
            .collect::<Vec<_>>(),
    })
}

/// The version of the register's form and of the list of risks.
const VERSION: &str = "1";

/// What an impact assessment has to weigh (GDPR, Article 35), and what the program does about it.
const RISKS: [(&str, &str); 8] = [
    (
        "people are observed without knowing it",
        "nothing goes in without consent; a visible line in every message; a page without sign-in",
    ),
    (
        "consent is not free, or not proved",
        "nothing pre-selected, no effect on mail, silence is no; exact texts, chained log, signed heads",
    ),
    (
        "a robot agrees, or reports what no person did",
        "reading changes nothing; an explicit choice by POST; machines are labelled and never told",
    ),
    (
        "senders press people who refused",
        "a refusal is not shown; nobody is asked twice in 180 days",
    ),
    (
        "colleagues are watched by their employer",
        "own domains are left alone unless the configuration says otherwise, which the doctor names",
    ),
    (
        "an image that loaded is taken for a message that was read",
        "pages say what a number means; no verdict is shown as certain that is not",
    ),
    (
        "data leak, or are kept for ever",
        "no IP address, no user agent, no destination; retention by table; `breach` counts what is there",
    ),
    (
        "a restored backup undoes what people took back",
        "a journal beside the database, replayed before the programs start",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_names_risks_and_what_is_done() {
        let config = Config::for_testing();
        let register = register(&config.controllers[0], &config);

        let risks = register["article_35_risks"].as_array().unwrap();
        assert_eq!(risks.len(), RISKS.len());
        for risk in risks {
            assert!(risk["risk"].is_string() && risk["what_is_done"].is_string());
        }
        assert_eq!(register["version"], VERSION);
    }

    /// C92: every letter of Article 30(1), from the live configuration.
    #[test]
    fn register_has_every_letter() {
        let config = Config::for_testing();
        let register = register(&config.controllers[0], &config);
        let article = &register["article_30_1"];

        for letter in [
            "a_controller",
            "b_purposes",
            "c_data_subjects",
            "c_data",
            "d_recipients",
            "e_transfers",
            "f_erasure",
            "g_security",
        ] {
            assert!(!article[letter].is_null(), "{letter}");
        }
        assert_eq!(article["a_controller"]["supervisory_authority"], "UODO");
        assert_eq!(article["f_erasure"]["hits"], "90 days");
    }
}
