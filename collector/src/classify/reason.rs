// SPDX-License-Identifier: GPL-3.0-or-later
//! The names of the rules. They are stored with every verdict; what they mean in words stands in [`super::explain()`].

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($id:ident)*) => {
        /// The name of a rule.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum ReasonId {
            $($id,)*
        }

        impl ReasonId {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// Returns the name as JSON and database show it.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$id => stringify!($id),)*
                }
            }
        }
    };
}

reasons! {
    R01a R01b R01c R01d
    R02a R02b R02c
    R03
    R04a R04b R04c R04d R04e
    R05a R05b R05c R05d
    R06a R06b
    R07a R07b
    R08
    R09
    R10a R10b R10c R10d R10e R10f R10g
    R11a R11b R11c
    R12a
    R20a R20b
    R21a R21b
    R22a R22b
    R23a R23b R23c
    R24a R24b R24c
    R25a R25b R25c
    R26a R26b
    R30a R30b R30c R30d
    R31
    R32
    R33
    R34
    R35a R35b
    R36
    R40a R40b
    R50a R50b R50c R50d R50e R50f R50g
    R60
    R61
    R62
}

impl ReasonId {
    /// Returns the rule with that name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == code)
    }
}

impl fmt::Display for ReasonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_serde_writes() {
        for reason in ReasonId::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert_eq!(ReasonId::from_code(reason.code()), Some(*reason));
        }
    }
}
