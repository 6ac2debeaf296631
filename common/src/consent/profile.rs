// SPDX-License-Identifier: GPL-3.0-or-later
//! The processing profile: what is collected. A grant covers what the person was told, and nothing wider.

use std::fmt;

/// A processing profile, by the number of its description; a greater number collects more.
///
/// Design note: profiles are totally ordered on purpose. A change that collects more takes the next number, and grants
/// under smaller numbers no longer allow anything that needs it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Profile(pub u16);

impl Profile {
    /// What this release collects: time of each hit, link number and host, network label, client family, flags.
    pub const CURRENT: Self = Self(1);

    /// Tells whether a grant under this profile allows processing under the other.
    pub fn covers(self, other: Self) -> bool {
        self >= other
    }

    /// Returns the profile that its written form names.
    pub fn parse(text: &str) -> Option<Self> {
        text.strip_prefix('p')?.parse().ok().map(Self)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}
