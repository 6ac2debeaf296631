// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody may be observed on the word of others, or asked at all: a look at an attestation or an address by
//! itself, whatever the person said.

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    address::Address,
    consent::{is_list, is_role},
};

use super::{attest::Attestation, choose::Books};

/// What is wrong with an attestation or an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    #[error("\"channel\" is required: how the person agreed")]
    Channel,
    #[error("\"evidence\" is required: where it can be looked up")]
    Evidence,
    #[error("the address is on the list of those never observed")]
    Excluded,
    #[error("\"given_at\" lies in the future")]
    Future,
    #[error("people of the organisation itself are not observed")]
    Internal,
    #[error("nobody can agree for the readers of a list")]
    List,
    #[error("\"purposes\" is required: open, click or both")]
    Purposes,
    #[error("the address belongs to an office; nobody can agree for whoever reads it")]
    Role,
    #[error("\"given_at\" is too long ago; ask again")]
    TooOld,
}

/// Checks an attestation by itself.
///
/// # Errors
///
/// Says what is wrong.
pub fn check(attestation: &Attestation, books: Books<'_>, now: DateTime<Utc>) -> Result<(), Unfit> {
    let (address, controller) = (&attestation.address, books.controller);
    if attestation.purposes.is_empty() {
        return Err(Unfit::Purposes);
    }
    if attestation.channel.trim().is_empty() {
        return Err(Unfit::Channel);
    }
    if attestation.evidence.trim().is_empty() {
        return Err(Unfit::Evidence);
    }
    if attestation.given_at > now {
        return Err(Unfit::Future);
    }
    let oldest = OLDEST.min(books.config.retention.grant.delta());
    if attestation.given_at + oldest <= now {
        return Err(Unfit::TooOld);
    }
    fit(address, books)?;
    if is_role(address) && attestation.role_reason.is_none() {
        return Err(Unfit::Role);
    }
    if controller.owns(address.domain()) && !controller.internal {
        return Err(Unfit::Internal);
    }
    Ok(())
}

/// Checks that an address can be observed at all, whoever agrees.
///
/// # Errors
///
/// Says why not.
pub fn fit(address: &Address, books: Books<'_>) -> Result<(), Unfit> {
    if is_list(address) {
        return Err(Unfit::List);
    }
    let excluded = &books.controller.exclude_recipients;
    if excluded.iter().any(|entry| address.matches(entry)) {
        return Err(Unfit::Excluded);
    }
    Ok(())
}

/// Evidence older than this proves too little (consent sheet, C68).
const OLDEST: TimeDelta = TimeDelta::days(730);

#[cfg(test)]
mod tests {
    use common::{
        config::Config,
        consent::{Purpose, Scope},
        keys::KeyRing,
    };

    use super::*;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    fn attestation(address: &str) -> Attestation {
        Attestation {
            address: Address::parse(address).unwrap(),
            purposes: vec![Purpose::Open],
            scope: Scope::Controller,
            given_at: at(1_000),
            channel: "paper".into(),
            evidence: "ticket 7".into(),
            notice: None,
            role_reason: None,
        }
    }

    fn checked(attestation: &Attestation) -> Result<(), Unfit> {
        let config = Config::for_testing();
        let keys = KeyRing::for_testing();
        let books = Books {
            config: &config,
            controller: &config.controllers[0],
            keys: &keys,
        };
        check(attestation, books, at(1_010))
    }

    /// C66: each field missing is refused.
    #[test]
    fn attestation_without_evidence_is_refused() {
        let whole = attestation("ewa@elsewhere.example");
        let cases = [
            (
                Unfit::Purposes,
                Attestation {
                    purposes: vec![],
                    ..whole.clone()
                },
            ),
            (
                Unfit::Channel,
                Attestation {
                    channel: " ".into(),
                    ..whole.clone()
                },
            ),
            (
                Unfit::Evidence,
                Attestation {
                    evidence: String::new(),
                    ..whole.clone()
                },
            ),
            (
                Unfit::Future,
                Attestation {
                    given_at: at(1_011),
                    ..whole.clone()
                },
            ),
            (
                Unfit::TooOld,
                Attestation {
                    given_at: at(645),
                    ..whole.clone()
                },
            ),
        ];

        assert_eq!(checked(&whole), Ok(()));
        for (expected, case) in cases {
            assert_eq!(checked(&case), Err(expected));
        }
    }

    /// C14, C15, C16.
    #[test]
    fn offices_lists_and_colleagues_cannot_be_attested() {
        for (address, expected) in [
            ("info@elsewhere.example", Unfit::Role),
            ("dev@lists.elsewhere.example", Unfit::List),
            ("bob@example.com", Unfit::Internal),
        ] {
            assert_eq!(checked(&attestation(address)), Err(expected), "{address}");
        }
        let mut excused = attestation("info@elsewhere.example");
        excused.role_reason = Some("a one-person firm".into());
        assert_eq!(checked(&excused), Ok(()));
    }
}
