// SPDX-License-Identifier: GPL-3.0-or-later
//! How often somebody may ask: counted for each minute, in this process, under a random fingerprint of who asks.
//!
//! The counts are forgotten at the end of the minute, so memory is bounded by what one minute brings; beyond
//! [`MOST_ASKERS`] newcomers are let through uncounted, because refusing everybody would be the greater harm.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A limit on requests in a minute.
#[derive(Default)]
pub struct Limit {
    window: Mutex<Option<Window>>,
    /// Without its random key nobody can tell who stands behind a fingerprint.
    hasher: RandomState,
}

/// Where somebody stands after a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// How many requests a minute may bring.
    pub allowed: u32,
    /// How many are left in this one.
    pub left: u32,
    /// Seconds until all are there again.
    pub reset: u64,
    /// Whether this request is one too many.
    pub is_over: bool,
}

struct Window {
    since: Instant,
    counts: HashMap<u64, u32>,
}

/// Returns what a client is counted under: its address, of IPv6 the half that names the network.
pub fn network(address: Option<IpAddr>) -> Option<u64> {
    address.map(|address| match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    })
}

/// The length of a window, in seconds.
pub const SECONDS: u64 = 60;
const MOST_ASKERS: usize = 100_000;

impl Limit {
    /// Counts a request of somebody.
    pub fn count(&self, who: impl Hash, allowed: u32, now: Instant) -> Standing {
        let who = self.hasher.hash_one(who);
        let length = Duration::from_secs(SECONDS);
        let mut guard = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let window = match &mut *guard {
            Some(window) if now.duration_since(window.since) < length => window,
            ended => ended.insert(Window {
                since: now,
                counts: HashMap::new(),
            }),
        };
        let is_known = window.counts.contains_key(&who);
        let asked = if is_known || window.counts.len() < MOST_ASKERS {
            let count = window.counts.entry(who).or_default();
            *count = count.saturating_add(1);
            *count
        } else {
            1
        };
        let rest = length.saturating_sub(now.duration_since(window.since));
        Standing {
            allowed,
            left: allowed.saturating_sub(asked),
            reset: rest.as_secs().max(1),
            is_over: asked > allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_count_of_its_own_and_a_new_minute_begins_anew() {
        let limit = Limit::default();
        let start = Instant::now();

        let first = limit.count("anna", 2, start);
        let second = limit.count("anna", 2, start);
        let third = limit.count("anna", 2, start + Duration::from_secs(30));
        let other = limit.count("eve", 2, start + Duration::from_secs(30));
        let later = limit.count("anna", 2, start + Duration::from_secs(SECONDS));

        assert_eq!((first.left, first.is_over), (1, false));
        assert_eq!((second.left, second.is_over), (0, false));
        assert_eq!((third.is_over, third.reset), (true, 30));
        assert!(!other.is_over && !later.is_over);
    }
}
