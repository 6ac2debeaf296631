// SPDX-License-Identifier: GPL-3.0-or-later
//! What the demonstration says while it goes on.

use std::io::{IsTerminal, stdout};

/// Numbers the steps, and checks what it says.
pub(crate) struct Console {
    step: u32,
    has_colour: bool,
}

impl Console {
    /// Prints the title.
    pub(crate) fn start() -> Self {
        let console = Self {
            step: 0,
            has_colour: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        let title = console.paint("1", "Fairtrack, from a mail program to a number on a page");
        println!("\n{title}\n");
        console
    }

    /// Begins a step.
    pub(crate) fn step(&mut self, title: &str) {
        self.step += 1;
        let title = self.paint("1", title);
        println!("{:>2}. {title}", self.step);
    }

    /// Tells something within a step.
    pub(crate) fn tell(&self, line: &str) {
        println!("      {line}");
    }

    /// Tells something that must be so.
    ///
    /// # Panics
    ///
    /// Panics if it is not.
    pub(crate) fn check(&self, is_so: bool, line: &str) {
        assert!(is_so, "expected, but not so: {line}");
        println!("  {}  {line}", self.paint("32", "ok"));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.has_colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
