// SPDX-License-Identifier: GPL-3.0-or-later
//! Who sends, to whom: the envelope of one message, as SMTP states it.

use common::address::Address;

use crate::eligibility::EnvelopeSender;

/// The envelope of one message.
#[derive(Clone, Eq, PartialEq)]
pub struct Envelope {
    /// The login with which the client authenticated, as the MTA names it.
    pub login: String,
    pub sender: EnvelopeSender,
    /// The arguments of RCPT, without ESMTP parameters, as they came.
    pub recipients: Vec<Vec<u8>>,
}

impl Envelope {
    /// Begins an envelope with the argument of MAIL.
    pub fn new(login: String, sender: &[u8]) -> Self {
        Self {
            login,
            sender: match sender {
                b"" | b"<>" => EnvelopeSender::Null,
                _ => EnvelopeSender::Address,
            },
            recipients: Vec::new(),
        }
    }
}

/// Reads the argument of RCPT. What is no mailbox address is `None`: nobody can have consented for it.
pub fn parse_recipient(argument: &[u8]) -> Option<Address> {
    std::str::from_utf8(argument).ok().and_then(Address::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_sender_is_seen_with_and_without_brackets() {
        let sender = |argument: &[u8]| Envelope::new(String::new(), argument).sender;

        assert_eq!(sender(b"<>"), EnvelopeSender::Null);
        assert_eq!(sender(b""), EnvelopeSender::Null);
        assert_eq!(sender(b"<a@b.example>"), EnvelopeSender::Address);
    }

    #[test]
    fn recipient_is_an_address_or_nothing() {
        assert!(parse_recipient(b"<Ewa@Customer.Example>").is_some());
        assert!(parse_recipient(b"ewa@customer.example").is_some());
        assert!(parse_recipient(b"<postmaster>").is_none());
        assert!(parse_recipient(b"<\xff@x>").is_none());
    }
}
