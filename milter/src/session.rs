// SPDX-License-Identifier: GPL-3.0-or-later
//! What one SMTP session tells us, message by message, gathered into transactions.
//!
//! Plain values and functions; the milter protocol is elsewhere. A message begins at MAIL and takes nothing over from
//! the one before. A session of a client that did not authenticate gathers nothing.

use std::sync::Arc;

use crate::{
    budget::{Budget, Charge},
    control,
    envelope::Envelope,
    message::{HeaderField, Message},
};

/// The largest header section kept, in octets; real ones are a tenth of it. Not charged to the budget, so that control
/// fields are seen, and removed, even when there is no memory for a body.
const HEADER_SECTION: usize = 256 * 1_024;

/// How much is kept, beyond that, of fields in which an author may speak to us: they are removed wherever they stand.
/// Postfix hands over no field that is longer than `header_size_limit`, 100 KB.
const CONTROL_FIELDS: usize = 1_024 * 1_024;

/// The most recipients kept; MTAs take a thousand.
const RECIPIENTS: usize = 10_000;

/// One SMTP session.
pub struct Session {
    limits: Limits,
    current: Option<Transaction>,
}

/// What a session may keep in memory.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message, header section and body.
    pub message_size: usize,
    pub budget: Arc<Budget>,
    /// The largest message that the MTA takes; `None`: any.
    pub mta_size: Option<usize>,
}

/// How far a message may grow before the MTA refuses it: its limit holds for what we make of a message as well.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// The most octets that header section and body may have together; `None`: any number.
    most: Option<usize>,
    header_size: usize,
}

/// What the MTA's limit must have room for besides what the client sends and we change: trace fields, signatures, the
/// envelope; and an entry for each recipient.
const QUEUE_FILE: usize = 16 * 1_024;
const QUEUE_FILE_RECIPIENT: usize = 256;

/// The limit holds for the queue file, in which a line of so many octets takes one more than its own line end does.
const QUEUE_FILE_LINE: usize = 128;

/// What a header field has besides name and value: the colon and the line end.
const FIELD: usize = 3;

/// One message and its envelope.
pub struct Transaction {
    pub envelope: Envelope,
    pub message: Message,
    pub extent: Extent,
    /// The memory that the message takes; given back with the transaction.
    pub charge: Charge,
    pub client: Client,
    mta_size: Option<usize>,
    header_size: usize,
    /// What is kept beyond the header section's limit.
    control_size: usize,
}

/// Who hands a message over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Client {
    /// A user, by the name with which it authenticated.
    Author(String),
    /// Postfix itself: one recipient's copy of a message that was split.
    Postfix,
    Stranger,
}

/// How much of the message is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// Not all of it: no memory was left.
    Busy,
    /// Not all of it: it is larger than messages may be.
    TooLarge,
    Whole,
}

/// What to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// Nothing more of this message is wanted.
    Accept,
    Continue,
    /// Nothing more of this body is wanted, but its end is.
    SkipBody,
}

impl Session {
    /// Begins a session.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            current: None,
        }
    }

    /// Sets what messages to come may take.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Begins a message.
    pub fn mail(&mut self, client: Client, sender: &[u8]) -> Next {
        self.current = None;
        let login = match &client {
            Client::Author(login) => login.clone(),
            Client::Postfix => String::new(),
            Client::Stranger => return Next::Accept,
        };
        self.current = Some(Transaction {
            envelope: Envelope::new(login, sender),
            message: Message::default(),
            extent: Extent::Whole,
            charge: Charge::new(&self.limits.budget),
            client,
            mta_size: self.limits.mta_size,
            header_size: 0,
            control_size: 0,
        });
        Next::Continue
    }

    /// Returns who hands the current message over.
    pub fn client(&self) -> Option<&Client> {
        self.current.as_ref().map(|current| &current.client)
    }

    /// Takes a recipient.
    pub fn recipient(&mut self, argument: &[u8]) {
        if let Some(current) = &mut self.current {
            if current.envelope.recipients.len() < RECIPIENTS {
                current.envelope.recipients.push(argument.to_vec());
            } else {
                current.extent = Extent::TooLarge;
            }
        }
    }

    /// Takes a header field.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        if let Some(current) = &mut self.current {
            let size = name.len() + value.len() + FIELD;
            current.header_size += size;
            if current.header_size > HEADER_SECTION {
                current.extent = Extent::TooLarge;
                current.control_size += if control::reads(name) { size } else { 0 };
                if !control::reads(name) || current.control_size > CONTROL_FIELDS {
                    return;
                }
            }
            current.message.fields.push(HeaderField {
                name: name.to_vec(),
                value: value.to_vec(),
            });
        }
    }

    /// Takes a piece of the body.
    pub fn body(&mut self, piece: &[u8]) -> Next {
        let Some(current) = &mut self.current else {
            return Next::Continue;
        };
        let size = current.header_size + current.message.body.len() + piece.len();
        if size > self.limits.message_size {
            current.extent = Extent::TooLarge;
        } else if !current.charge.add(piece.len()) {
            current.extent = Extent::Busy;
        }
        if current.extent == Extent::Whole {
            current.message.body.extend_from_slice(piece);
            Next::Continue
        } else {
            // What is not whole is never replaced, so it need not be kept.
            current.message.body = Vec::new();
            Next::SkipBody
        }
    }

    /// Ends the message and hands it over; `None` if there is none.
    pub fn end(&mut self) -> Option<Transaction> {
        self.current.take()
    }

    /// Forgets the message.
    pub fn abort(&mut self) {
        self.current = None;
    }
}

impl Transaction {
    /// Returns how far the message may grow.
    pub fn allowance(&self) -> Allowance {
        let room = QUEUE_FILE + QUEUE_FILE_RECIPIENT * self.envelope.recipients.len();
        Allowance {
            most: self.mta_size.map(|size| {
                let rest = size.saturating_sub(room);
                rest - rest.div_ceil(QUEUE_FILE_LINE)
            }),
            header_size: self.header_size,
        }
    }
}

impl Allowance {
    /// Tells whether a new body, or a reply that holds one, is sure not to be refused.
    pub fn covers(self, size: usize) -> bool {
        self.most
            .is_none_or(|most| self.header_size.saturating_add(size) <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eligibility::EnvelopeSender;

    fn session(message_size: usize, budget: usize) -> Session {
        Session::new(Limits {
            message_size,
            budget: Budget::new(budget),
            mta_size: None,
        })
    }

    fn anna() -> Client {
        Client::Author("anna".into())
    }

    #[test]
    fn message_of_an_unauthenticated_client_is_not_gathered() {
        let mut session = session(100, 100);

        assert_eq!(
            session.mail(Client::Stranger, b"<a@b.example>"),
            Next::Accept
        );
        session.recipient(b"<c@d.example>");
        assert_eq!(session.body(b"x"), Next::Continue);
        assert!(session.end().is_none());
    }

    #[test]
    fn nothing_of_one_message_reaches_the_next() {
        let mut session = session(100, 100);
        session.mail(anna(), b"<>");
        session.recipient(b"<c@d.example>");
        session.field(b"A", b" 1");
        session.body(b"x");

        session.mail(anna(), b"<a@b.example>");
        session.body(b"yz");
        let transaction = session.end().unwrap();

        assert_eq!(transaction.envelope.sender, EnvelopeSender::Address);
        assert!(transaction.envelope.recipients.is_empty());
        assert!(transaction.message.fields.is_empty());
        assert_eq!(transaction.message.body, b"yz");
        assert_eq!(transaction.charge.octets(), 2);
        assert!(session.end().is_none());
    }

    #[test]
    fn body_beyond_the_limit_is_dropped() {
        let mut session = session(10, 100);
        session.mail(anna(), b"");

        assert_eq!(session.body(b"12345"), Next::Continue);
        assert_eq!(session.body(b"678901"), Next::SkipBody);
        let transaction = session.end().unwrap();

        assert_eq!(transaction.extent, Extent::TooLarge);
        assert_eq!(transaction.message.body, b"");
    }

    #[test]
    fn body_beyond_the_budget_is_dropped_and_the_next_may_fit() {
        let mut session = session(100, 10);
        session.mail(anna(), b"");
        assert_eq!(session.body(b"12345678901"), Next::SkipBody);
        assert_eq!(session.end().unwrap().extent, Extent::Busy);

        session.mail(anna(), b"");
        assert_eq!(session.body(b"1234567890"), Next::Continue);
        assert_eq!(session.end().unwrap().extent, Extent::Whole);
    }

    #[test]
    fn header_fields_are_kept_when_there_is_no_memory() {
        let mut session = session(100, 0);
        session.mail(anna(), b"");
        session.field(b"X-Track", b" no");
        session.body(b"x");
        let transaction = session.end().unwrap();

        assert_eq!(transaction.extent, Extent::Busy);
        assert_eq!(transaction.message.fields.len(), 1);
    }

    #[test]
    fn control_fields_are_seen_beyond_the_limit_of_the_header_section() {
        let mut session = session(10_000_000, 100);
        session.mail(anna(), b"");
        for _ in 0..30 {
            session.field(b"X-Filler", &[b'x'; 10_000]);
        }
        session.field(b"Subject", b" [notrack] x");
        session.field(b"x-track", b" no");
        session.body(b"x");
        let transaction = session.end().unwrap();

        assert_eq!(transaction.extent, Extent::TooLarge);
        let fields = &transaction.message.fields;
        assert_eq!(
            fields.iter().filter(|field| field.is("X-Filler")).count(),
            26
        );
        let names: Vec<_> = fields
            .iter()
            .skip(26)
            .map(|field| &field.name[..])
            .collect();
        assert_eq!(names, [&b"Subject"[..], b"x-track"]);
    }

    #[test]
    fn message_may_grow_as_far_as_the_mta_takes_it() {
        let mut session = session(100_000, 100_000);
        session.mail(anna(), b"");
        assert!(session.end().unwrap().allowance().covers(usize::MAX));

        session.limits.mta_size = Some(QUEUE_FILE + QUEUE_FILE_RECIPIENT + 12_800);
        session.mail(anna(), b"");
        session.recipient(b"<a@b.example>");
        session.field(b"Subject", &[b'x'; 93]);
        let allowance = session.end().unwrap().allowance();

        // Lines of 127 octets and more take one octet each beyond what they had.
        let most = 12_800 - 100 - "Subject:\r\n".len() - 93;
        assert!(allowance.covers(most) && !allowance.covers(most + 1));
    }

    #[test]
    fn aborted_message_is_forgotten() {
        let mut session = session(100, 100);
        session.mail(anna(), b"");
        session.abort();

        assert!(session.end().is_none());
    }
}
