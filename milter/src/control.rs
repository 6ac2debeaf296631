// SPDX-License-Identifier: GPL-3.0-or-later
//! What a user may say in a message.

use serde::Serialize;

/// In which parts links are rewritten.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Links {
    Both,
    Html,
    #[default]
    No,
    Text,
}

impl Links {
    /// Combines what settings hold: links at all, and links in plain text too.
    pub fn from_settings(links: bool, text_links: bool) -> Self {
        match (links, text_links) {
            (false, _) => Self::No,
            (true, false) => Self::Html,
            (true, true) => Self::Both,
        }
    }

    /// Tells whether links in HTML are rewritten.
    pub fn in_html(self) -> bool {
        matches!(self, Self::Both | Self::Html)
    }

    /// Tells whether links in plain text are rewritten.
    pub fn in_text(self) -> bool {
        matches!(self, Self::Both | Self::Text)
    }
}
