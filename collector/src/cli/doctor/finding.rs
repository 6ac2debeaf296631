// SPDX-License-Identifier: GPL-3.0-or-later
//! What was found out about one piece, and what to do about it.

use serde::Serialize;

/// What was found out about one piece.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    piece: &'static str,
    pub(super) level: Level,
    /// Whether nothing is wrong: true for notes too.
    ok: bool,
    found: String,
    /// What to do, if anything.
    advice: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Works, and somebody should know.
    Note,
    Ok,
    Wrong,
}

impl Finding {
    pub(super) fn ok(piece: &'static str, found: impl Into<String>) -> Self {
        Self {
            piece,
            level: Level::Ok,
            ok: true,
            found: found.into(),
            advice: None,
        }
    }

    pub(super) fn note(
        piece: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Note,
            advice: Some(advice.into()),
            ..Self::ok(piece, found)
        }
    }

    pub(super) fn wrong(
        piece: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            ok: false,
            level: Level::Wrong,
            ..Self::note(piece, found, advice)
        }
    }

    /// Returns the finding in words, on a line of its own, the advice below.
    pub(super) fn line(&self) -> String {
        let mark = match self.level {
            Level::Note => "note ",
            Level::Ok => "ok   ",
            Level::Wrong => "WRONG",
        };
        let advice = self
            .advice
            .as_ref()
            .map(|advice| format!("\n      {advice}"))
            .unwrap_or_default();
        format!("{mark} {}: {}{advice}\n", self.piece, self.found)
    }
}
