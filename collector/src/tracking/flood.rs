// SPDX-License-Identifier: GPL-3.0-or-later
//! A limit that never breaks an image or a link: what floods in on one message is answered, not recorded.
//!
//! Memory is bounded: a fixed table of counters, indexed by the message's random name, emptied every minute. Messages
//! that share a place share a limit, which is set so high that no reader meets it.

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use common::ids::MessageId;

const PLACES: usize = 4096;

/// Counts the hits of a minute in one worker thread.
pub(super) struct Flood {
    limit: u32,
    minute: RefCell<Minute>,
}

struct Minute {
    number: i64,
    counts: Box<[u32]>,
}

impl Flood {
    /// Makes an empty table; `limit` is for each message and minute.
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            minute: RefCell::new(Minute {
                number: 0,
                counts: vec![0; PLACES].into(),
            }),
        }
    }

    /// Counts a hit and tells whether it is within the limit.
    pub(super) fn admits(&self, message: MessageId, now: DateTime<Utc>) -> bool {
        let mut minute = self.minute.borrow_mut();
        let number = now.timestamp().div_euclid(60);
        if minute.number != number {
            minute.number = number;
            minute.counts.fill(0);
        }
        let [.., high, low] = message.0.into_bytes();
        let place = usize::from(u16::from_be_bytes([high, low])) % PLACES;
        minute.counts.get_mut(place).is_some_and(|count| {
            *count = count.saturating_add(1);
            *count <= self.limit
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn limit_holds_for_one_message_and_one_minute() {
        let flood = Flood::new(2);
        let (one, other) = (MessageId(Uuid::from_u128(1)), MessageId(Uuid::from_u128(2)));
        let now = DateTime::UNIX_EPOCH;

        let admitted: Vec<bool> = (0..3).map(|_| flood.admits(one, now)).collect();

        assert_eq!(admitted, [true, true, false]);
        assert!(flood.admits(other, now));
        assert!(flood.admits(one, now + chrono::TimeDelta::minutes(1)));
    }
}
