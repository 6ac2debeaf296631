// SPDX-License-Identifier: GPL-3.0-or-later
//! How often one network may have links mailed: a bucket for each IPv4 address and each IPv6 /64, in a fixed number of
//! places.
//!
//! Design note: no address is kept. A network finds its bucket by a hash with a key that is drawn at each start; two
//! that fall on one place share it, which seldom happens and harms little. So memory is the same whatever comes, and
//! nobody can push others out.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// The buckets of all networks.
pub struct Networks {
    key: RandomState,
    buckets: Mutex<Vec<Bucket>>,
}

/// What may still be taken, and since when it has been growing.
#[derive(Clone, Copy)]
pub struct Bucket {
    level: f64,
    since: Instant,
}

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy)]
pub struct Rate {
    pub burst: f64,
    pub per_second: f64,
}

const PLACES: usize = 4096;

impl Networks {
    /// Makes full buckets.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self {
            key: RandomState::new(),
            buckets: Mutex::new(vec![Bucket::full(rate, now); PLACES]),
        }
    }

    /// Takes one from the bucket of an address's network; false if it is empty.
    pub fn lets_through(&self, address: IpAddr, rate: Rate, now: Instant) -> bool {
        let hash = self.key.hash_one(network(address));
        let place = usize::try_from(hash % PLACES as u64).unwrap_or_default();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets
            .get_mut(place)
            .is_some_and(|bucket| bucket.take(rate, now))
    }
}

impl Bucket {
    /// Makes a full one.
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self {
            level: rate.burst,
            since: now,
        }
    }

    /// Takes one; false if there is none.
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        self.level = (self.level + passed.as_secs_f64() * rate.per_second).min(rate.burst);
        self.since = now;
        let is_free = self.level >= 1.0;
        if is_free {
            self.level -= 1.0;
        }
        is_free
    }
}

/// A household or an office gets one IPv4 address, or an IPv6 /64.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        // Below the smallest global /64, so that the two never meet.
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate {
        burst: 5.0,
        per_second: 1.0,
    };

    fn taken(networks: &Networks, addresses: &[&str], now: Instant) -> usize {
        addresses
            .iter()
            .filter(|address| networks.lets_through(address.parse().unwrap(), RATE, now))
            .count()
    }

    #[test]
    fn network_has_its_own_burst_and_then_its_own_pace() {
        let start = Instant::now();
        let networks = Networks::new(RATE, start);
        let one = ["192.0.2.1"; 100];

        assert_eq!(taken(&networks, &one, start), 5);
        assert_eq!(taken(&networks, &["198.51.100.1"], start), 1);
        let later = start + Duration::from_secs(2);
        assert_eq!(taken(&networks, &one, later), 2);
        assert_eq!(taken(&networks, &["::ffff:192.0.2.1"], later), 0);
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let start = Instant::now();
        let networks = Networks::new(RATE, start);
        let neighbours: Vec<String> = (1..100)
            .map(|host| format!("2001:db8:0:1::{host:x}"))
            .collect();
        let neighbours: Vec<&str> = neighbours.iter().map(String::as_str).collect();

        assert_eq!(taken(&networks, &neighbours, start), 5);
        assert_eq!(taken(&networks, &["2001:db8:0:2::1"], start), 1);
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_networks() {
        let start = Instant::now();
        let networks = Networks::new(RATE, start);

        for number in 0..100_000_u32 {
            networks.lets_through(IpAddr::V4(number.into()), RATE, start);
        }

        assert_eq!(networks.buckets.lock().unwrap().capacity(), PLACES);
    }
}
