// SPDX-License-Identifier: GPL-3.0-or-later
//! A small generator of numbers (splitmix64): the same from the same seed, so that what went wrong can be had again.

/// What looks like chance.
pub struct Chance(u64);

impl Chance {
    /// Begins anew.
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}
