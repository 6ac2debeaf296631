// SPDX-License-Identifier: GPL-3.0-or-later
//! Keys of things that both programs name, each a type of its own so that one is never taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names a controller: the `id` of its `[[controller]]` table, short and stable.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ControllerId(pub String);

impl ControllerId {
    /// Returns the name as it stands in the configuration and in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ControllerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a message: 128 random bits, drawn for each message, so that no URL tells who wrote to whom, or how often.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct MessageId(pub Uuid);

impl MessageId {
    /// Draws a new name.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// Names a user within a controller.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

/// Names a data subject within a controller; random, so that the consent log names nobody by itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct SubjectRef(pub Uuid);
