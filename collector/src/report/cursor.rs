// SPDX-License-Identifier: GPL-3.0-or-later
//! Where a page of messages ends: the place after which the next one begins, however many messages came meanwhile.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The year 3000, in microseconds.
const END: i64 = 32_503_680_000_000_000;

/// The last message of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// To the microsecond, as the database keeps it.
    pub sent_at: DateTime<Utc>,
    pub id: Uuid,
}

impl Cursor {
    /// Returns the cursor in the form that travels in URLs.
    pub fn encode(self) -> String {
        let mut bytes = self.sent_at.timestamp_micros().to_be_bytes().to_vec();
        bytes.extend_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor; `None` for what we never gave out.
    pub fn decode(text: &str) -> Option<Self> {
        // 24 octets are 32 characters.
        if text.len() != 32 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (time, id) = bytes.split_at_checked(8)?;
        let micros = i64::from_be_bytes(time.try_into().ok()?);
        // Times that we never gave out are some that the database cannot even compare.
        if !(0..END).contains(&micros) {
            return None;
        }
        Some(Self {
            sent_at: DateTime::from_timestamp_micros(micros)?,
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursor_comes_back_as_it_went(micros in 0i64..4_000_000_000_000_000, id: u128) {
            let cursor = Cursor {
                sent_at: DateTime::from_timestamp_micros(micros).unwrap(),
                id: Uuid::from_u128(id),
            };

            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }

        #[test]
        fn times_that_nobody_wrote_at_are_refused(micros in END.., id: u128) {
            let mut bytes = micros.to_be_bytes().to_vec();
            bytes.extend_from_slice(&id.to_be_bytes());

            prop_assert_eq!(Cursor::decode(&URL_SAFE_NO_PAD.encode(bytes)), None);
        }

        #[test]
        fn nonsense_is_refused(text in ".{0,40}") {
            if let Some(cursor) = Cursor::decode(&text) {
                prop_assert_eq!(cursor.encode(), text);
            }
        }
    }
}
