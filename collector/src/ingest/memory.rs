// SPDX-License-Identifier: GPL-3.0-or-later
//! What a connection remembers of messages and of the consent of those who received them.
//!
//! Remembered is what was read, never a decision: time passes, grants begin and end. It holds as long as the epoch of
//! the controllers' consent does, which the database checks when a batch is written.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::{
    consent::Standing,
    db::recordings::Recording,
    ids::{MessageId, SubjectRef},
};
use uuid::Uuid;

use crate::classify::{Class, Features};

/// Messages, and recipients, that are remembered at most; then everything is forgotten and read again.
const MOST: usize = 20_000;

/// What one connection remembers.
#[derive(Default)]
pub(super) struct Memory {
    epochs: Vec<i64>,
    messages: HashMap<MessageId, Remembered>,
    standings: Standings,
}

/// The standings of recipients: of one, for all messages to them.
pub(super) type Standings = HashMap<SubjectRef, Standing>;

/// A message.
pub(super) struct Remembered {
    pub(super) recording: Recording,
    /// The latest hits, in the order of time, as far as this connection wrote them: so that a repetition is known at
    /// once, and need not be written twice.
    pub(super) recent: Vec<Recent>,
}

/// A hit that was written.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    pub(super) id: Uuid,
    pub(super) at: DateTime<Utc>,
    pub(super) features: Features,
    pub(super) class: Class,
}

/// Hits of a message that are remembered.
const MOST_RECENT: usize = 4;

impl Remembered {
    /// Remembers a hit in the place of the oldest.
    pub(super) fn notice(&mut self, hit: Recent) {
        if self.recent.len() >= MOST_RECENT {
            self.recent.remove(0);
        }
        self.recent.push(hit);
    }
}

impl Memory {
    /// Returns what is remembered of a message.
    pub(super) fn find(&self, message: MessageId) -> Option<&Remembered> {
        self.messages.get(&message)
    }

    /// Returns what is remembered of a message, to add to it, and what is of recipients.
    pub(super) fn find_mut(&mut self, message: MessageId) -> Option<(&mut Remembered, &Standings)> {
        Some((self.messages.get_mut(&message)?, &self.standings))
    }

    /// Tells whether a recipient's standing is remembered.
    pub(super) fn knows(&self, recipient: SubjectRef) -> bool {
        self.standings.contains_key(&recipient)
    }

    /// Returns the epochs that were read before everything else that is remembered; none if nothing is.
    pub(super) fn epochs(&self) -> &[i64] {
        &self.epochs
    }

    /// Begins to remember under epochs.
    pub(super) fn enter(&mut self, epochs: Vec<i64>) {
        self.forget();
        self.epochs = epochs;
    }

    /// Makes room for messages that are about to be read; returns false if others had to be forgotten for it.
    ///
    /// A message is remembered with the standings of its recipients, or not at all. A recipient gets many messages, and is
    /// remembered when they are forgotten.
    pub(super) fn make_room(&mut self, messages: usize) -> bool {
        let has_room = self.messages.len() + messages <= MOST && self.standings.len() <= MOST;
        if !has_room {
            self.messages.clear();
        }
        if self.standings.len() > MOST {
            self.standings.clear();
        }
        has_room
    }

    /// Remembers a message.
    pub(super) fn keep(&mut self, message: MessageId, remembered: Remembered) {
        self.messages.insert(message, remembered);
    }

    /// Remembers recipients.
    pub(super) fn keep_standings(&mut self, standings: Standings) {
        self.standings.extend(standings);
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        self.epochs.clear();
        self.messages.clear();
        self.standings.clear();
    }
}

#[cfg(test)]
mod tests {
    use common::ids::{ControllerId, UserId};

    use super::*;

    fn remembered() -> Remembered {
        Remembered {
            recording: Recording {
                controller: ControllerId("example".into()),
                sender: UserId(Uuid::nil()),
                sent_at: DateTime::UNIX_EPOCH,
                opens: true,
                links: true,
                stopped_at: None,
                recipients: vec![SubjectRef(Uuid::nil())],
            },
            recent: Vec::new(),
        }
    }

    fn with(recipients: usize) -> Memory {
        let mut memory = Memory::default();
        memory.enter(vec![1]);
        memory.keep(MessageId(Uuid::nil()), remembered());
        let recipients = (0..recipients as u128).map(|number| SubjectRef(Uuid::from_u128(number)));
        memory.keep_standings(recipients.map(|one| (one, Standing::default())).collect());
        memory
    }

    #[test]
    fn recipients_outlast_the_messages_that_make_room() {
        let mut memory = with(1);

        let has_room = memory.make_room(MOST);

        assert!(!has_room);
        assert!(memory.find(MessageId(Uuid::nil())).is_none());
        assert!(memory.knows(SubjectRef(Uuid::nil())));
    }

    #[test]
    fn no_message_is_remembered_without_its_recipients() {
        let mut memory = with(MOST + 1);

        let has_room = memory.make_room(1);

        assert!(!has_room);
        assert!(!memory.knows(SubjectRef(Uuid::nil())));
        assert!(memory.find(MessageId(Uuid::nil())).is_none());
    }

    #[test]
    fn nothing_is_forgotten_while_there_is_room() {
        let mut memory = with(1);

        assert!(memory.make_room(MOST - 1));
        assert!(memory.find(MessageId(Uuid::nil())).is_some());
        assert!(memory.knows(SubjectRef(Uuid::nil())));
    }
}
