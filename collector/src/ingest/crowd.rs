// SPDX-License-Identifier: GPL-3.0-or-later
//! How many recipients' messages an address touched of late. A scanner that takes the mail of a whole company looks
//! into many; a reader into the own.
//!
//! Counted in memory, for ten minutes, under a hash whose key is thrown away with the process. Memory is bounded: a
//! fixed table, in which one address displaces another now and then. What is forgotten that way is a doubt less.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use common::ids::SubjectRef;

use crate::classify::CROWD;

const PLACES: usize = 16_384;
const MEMORY_SECONDS: i64 = 600;
/// As many as are told apart.
const SEEN: usize = CROWD as usize;

/// The addresses of the last ten minutes.
pub(super) struct Crowd {
    places: Mutex<Box<[Place]>>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    address: u64,
    since: i64,
    seen: [Option<SubjectRef>; SEEN],
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            places: Mutex::new(vec![Place::default(); PLACES].into()),
        }
    }
}

impl Crowd {
    /// Counts a hit, and tells whether its address is one that touched several recipients' messages.
    pub(super) fn notice(&self, address: u64, recipient: SubjectRef, now: DateTime<Utc>) -> bool {
        if address == 0 {
            return false;
        }
        let now = now.timestamp();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let number = usize::try_from(address % PLACES as u64).unwrap_or_default();
        let Some(place) = places.get_mut(number) else {
            return false;
        };
        if place.address != address || now - place.since > MEMORY_SECONDS {
            *place = Place {
                address,
                since: now,
                ..Place::default()
            };
        }
        for seen in &mut place.seen {
            match seen {
                Some(known) if *known == recipient => break,
                Some(_) => {}
                none => {
                    *none = Some(recipient);
                    break;
                }
            }
        }
        place.seen.iter().all(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    fn recipient(number: u128) -> SubjectRef {
        SubjectRef(Uuid::from_u128(number))
    }

    #[test]
    fn three_recipients_within_ten_minutes_are_a_crowd() {
        let crowd = Crowd::default();
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);

        let told: Vec<bool> = [1, 2, 2, 1, 3, 1]
            .into_iter()
            .map(|number| crowd.notice(77, recipient(number), now))
            .collect();

        assert_eq!(told, [false, false, false, false, true, true]);
        assert!(!crowd.notice(78, recipient(4), now));
        assert!(!crowd.notice(77, recipient(4), now + TimeDelta::minutes(11)));
    }

    #[test]
    fn unknown_address_is_nobody_in_particular() {
        let crowd = Crowd::default();

        let told = (0..9).any(|number| crowd.notice(0, recipient(number), DateTime::UNIX_EPOCH));

        assert!(!told);
    }
}
