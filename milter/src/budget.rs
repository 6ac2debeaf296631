// SPDX-License-Identifier: GPL-3.0-or-later
//! A bound on the memory of all messages together.
//!
//! Every octet of a message that is kept is charged to one budget. What does not fit is not kept, and that message
//! leaves as it came, with the reason `busy`.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The budget of one process.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

/// A part of the budget in use; given back when dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    octets: usize,
}

impl Budget {
    /// Makes a budget of so many octets.
    pub fn new(octets: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(octets),
        })
    }

    fn take(&self, octets: usize) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(octets)
            })
            .is_ok()
    }
}

impl Charge {
    /// Begins with nothing.
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            octets: 0,
        }
    }

    /// Takes more; false, and nothing changed, if not so much is left.
    pub fn add(&mut self, octets: usize) -> bool {
        let taken = self.budget.take(octets);
        if taken {
            self.octets += octets;
        }
        taken
    }

    /// Gives back what is beyond so much.
    pub fn shrink_to(&mut self, octets: usize) {
        let excess = self.octets.saturating_sub(octets);
        self.octets -= excess;
        self.budget.left.fetch_add(excess, Ordering::Relaxed);
    }

    /// Returns how much is in use.
    pub fn octets(&self) -> usize {
        self.octets
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_until_something_is_given_back() {
        let budget = Budget::new(100);
        let mut first = Charge::new(&budget);
        let mut second = Charge::new(&budget);

        assert!(first.add(60));
        assert!(!second.add(41));
        assert!(second.add(40));
        drop(first);
        assert!(second.add(60));
        assert_eq!(second.octets(), 100);
        second.shrink_to(30);
        second.shrink_to(40);
        assert_eq!(second.octets(), 30);
        assert!(Charge::new(&budget).add(70));
    }
}
