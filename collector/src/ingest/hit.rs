// SPDX-License-Identifier: GPL-3.0-or-later
//! A hit: what remains of a request once its address and its user agent are forgotten.

use chrono::{DateTime, Utc};
use common::{consent::Purpose, ids::MessageId};
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

use crate::classify::Features;

/// A hit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Hit {
    /// Of version 7: its time is the hit's.
    id: Uuid,
    pub message: MessageId,
    /// The number of the link in its message, from 1; 0 for an open.
    pub ordinal: u16,
    pub features: Features,
    /// Not for the disk: a hit that waited in the log has it no more.
    #[serde(skip)]
    pub trace: Trace,
}

/// What the features that need the database are made from, forgotten as soon as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The hash of a session of one of our users, if the request showed one.
    pub session: Option<Vec<u8>>,
    /// A keyed hash of the client's address; 0 where that is not known.
    pub address: u64,
}

impl Hit {
    /// Makes a hit that happens now.
    pub fn new(message: MessageId, ordinal: u16, features: Features, now: DateTime<Utc>) -> Self {
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let time = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
        Self {
            id: Uuid::new_v7(time),
            message,
            ordinal,
            features,
            trace: Trace::default(),
        }
    }

    /// Adds what is forgotten once the hit is recorded.
    #[must_use]
    pub fn with_trace(self, trace: Trace) -> Self {
        Self { trace, ..self }
    }

    /// Returns the name under which the hit is stored once, however often it is handed over.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns when it happened, to the millisecond.
    pub fn at(&self) -> DateTime<Utc> {
        let (seconds, nanos) = self
            .id
            .get_timestamp()
            .map_or((0, 0), |time| time.to_unix());
        i64::try_from(seconds)
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, nanos))
            .unwrap_or_default()
    }

    /// Returns what consent it needs.
    pub fn purpose(&self) -> Purpose {
        if self.ordinal == 0 {
            Purpose::Open
        } else {
            Purpose::Click
        }
    }
}

#[cfg(test)]
impl Hit {
    /// Makes a hit about which nothing is known.
    pub(crate) fn for_testing(ordinal: u16, now: DateTime<Utc>) -> Self {
        let features = serde_json::json!({ "k": "open", "t": 0 });
        Self::new(
            MessageId(Uuid::from_u128(9)),
            ordinal,
            serde_json::from_value(features).unwrap(),
            now,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_carries_the_time() {
        let now = DateTime::from_timestamp_millis(1_795_000_000_123).unwrap();

        let hit = Hit::for_testing(0, now);

        assert_eq!(hit.at(), now);
        assert_eq!(hit.id().get_version_num(), 7);
    }
}
