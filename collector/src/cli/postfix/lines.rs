// SPDX-License-Identifier: GPL-3.0-or-later
//! What is printed: the lines, the commands that put them in, and what has to be said about them.

use std::fmt::Write;

use serde::Serialize;

/// The lines, and what has to be said about them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Plan {
    pub(super) main_cf: Vec<String>,
    pub(super) master_cf: Vec<Lines>,
    /// What the way back of split messages needs besides.
    pub(super) split: Vec<String>,
    /// What must change in our own configuration so that Postfix can reach the milter.
    pub(super) fairtrack_toml: Vec<String>,
    /// Shell commands that do all of it but what splitting needs.
    pub(super) commands: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Lines for one service of `master.cf`.
#[derive(Debug, Serialize)]
pub(super) struct Lines {
    pub(super) service: String,
    pub(super) options: Vec<String>,
}

impl Plan {
    /// Returns them in words, ready to be copied.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut block = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                let _ = writeln!(text, "# {title}");
                for line in lines {
                    let _ = writeln!(text, "{line}");
                }
                text.push('\n');
            }
        };
        block(
            "fairtrack.toml: so that Postfix reaches the milter",
            self.fairtrack_toml.clone(),
        );
        block("main.cf", self.main_cf.clone());
        let services = self.master_cf.iter().flat_map(|lines| {
            let options = lines.options.iter().map(|option| format!("  -o {option}"));
            std::iter::once(format!("{} inet ...", lines.service)).chain(options)
        });
        block(
            "master.cf: in these services, and in no other",
            services.collect(),
        );
        block("The same as commands", self.commands.clone());
        block(
            "Besides, because a controller says multi_recipient = \"split\"; no command does this",
            self.split.clone(),
        );
        for note in &self.notes {
            let _ = writeln!(text, "# Note: {note}");
        }
        text
    }
}
