// SPDX-License-Identifier: GPL-3.0-or-later
//! What the token in `/c/TOKEN` stands for: a message, or, in the link of a receipt, one person.
//!
//! Either may be forwarded, so neither may do more than refuse and withdraw. Neither ever expires.

use common::{
    ids::{MessageId, SubjectRef},
    keys::KeyRing,
    token::{self, Token, Use},
};

/// What a token on the recipient's page stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claim {
    Message(MessageId),
    Subject(SubjectRef),
}

/// The ordinal that says that a token names a subject; a message's is 0.
const SUBJECT: u16 = 1;

impl Claim {
    /// Checks a token and returns what it stands for.
    pub fn open(keys: &KeyRing, token: &str) -> Option<Self> {
        let opened = token::open(keys, token, Use::Choices)?;
        match opened.ordinal {
            0 => Some(Self::Message(opened.message)),
            SUBJECT => Some(Self::Subject(SubjectRef(opened.message.0))),
            _ => None,
        }
    }
}

/// Returns the URL with which a person may withdraw at any time: what a receipt carries.
pub fn withdrawal_url(base: &str, keys: &KeyRing, subject: SubjectRef) -> String {
    let token = Token::mint(keys, MessageId(subject.0), SUBJECT, Use::Choices);
    format!("{base}/c/{token}")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn receipts_link_names_the_person_and_not_a_message() {
        let keys = KeyRing::for_testing();
        let subject = SubjectRef(Uuid::from_u128(5));
        let url = withdrawal_url("https://t.example", &keys, subject);
        let token = url.strip_prefix("https://t.example/c/").unwrap();

        assert_eq!(Claim::open(&keys, token), Some(Claim::Subject(subject)));
    }

    #[test]
    fn tokens_of_other_uses_claim_nothing() {
        let keys = KeyRing::for_testing();
        let message = MessageId(Uuid::from_u128(5));
        for (ordinal, purpose) in [
            (0, Use::Open),
            (1, Use::Link("https://a.example/")),
            (2, Use::Choices),
        ] {
            let token = Token::mint(&keys, message, ordinal, purpose);
            assert_eq!(Claim::open(&keys, token.as_str()), None);
        }
        assert_eq!(Claim::open(&keys, "forged"), None);
    }
}
