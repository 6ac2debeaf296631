// SPDX-License-Identifier: GPL-3.0-or-later
//! What a user may say in a message.

use serde::Serialize;

use crate::message::{HeaderEdit, Message};

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

/// What the author says in the message; `None`: nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Choice {
    pub opens: Option<bool>,
    pub links: Option<Links>,
    /// Whether it is for this message only.
    pub once: bool,
}

impl Choice {
    /// Tells whether the author says anything.
    pub fn is_made(&self) -> bool {
        self.opens.is_some() || self.links.is_some()
    }
}

/// What control fields say, and what is to be removed.
#[derive(Clone, Debug, Default)]
pub struct Control {
    pub choice: Choice,
    pub edits: Vec<HeaderEdit>,
    pub warnings: Vec<String>,
}

/// Reads the control fields of a message.
pub fn read(message: &Message) -> Control {
    let mut control = Control::default();
    let mut counts = [0_u32; 3];
    for field in &message.fields {
        for (place, name) in ["x-track", "x-track-opens", "x-track-links"]
            .iter()
            .enumerate()
        {
            if !field.is(name) {
                continue;
            }
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
                control.edits.insert(
                    0,
                    HeaderEdit {
                        name: field.name.clone(),
                        index: *count,
                        value: None,
                    },
                );
            }
            let value = String::from_utf8_lossy(&field.unfolded()).to_lowercase();
            let (word, once) = match value.split_once(';') {
                Some((word, rest)) => (word.trim().to_owned(), rest.trim() == "once"),
                None => (value, false),
            };
            let yes = word == "yes";
            control.choice.once |= once;
            if place != 2 {
                control.choice.opens = Some(yes);
            }
            if place != 1 {
                control.choice.links = Some(if yes { Links::Html } else { Links::No });
            }
        }
    }
    control
}
