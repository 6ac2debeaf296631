// SPDX-License-Identifier: GPL-3.0-or-later
//! `make demo`: one message from a mail program to a number on a page, and back to nothing when the recipient says so.
//!
//! Real servers on loopback ports, in temporary folders that go with them. Ends with status 0 if everything came as
//! promised, else with 1 and what the servers said. Waits for Ctrl-C if somebody is there to look at the report.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a step that fails must end the demonstration where it failed"
)]

mod console;
mod people;
mod shop;
mod story;

use std::{
    io::{IsTerminal, stdin},
    process::ExitCode,
};

#[tokio::main]
async fn main() -> ExitCode {
    let is_watched = std::env::var("CI").as_deref() != Ok("true") && stdin().is_terminal();
    // A step that fails panics; the servers then say what they know, and end.
    match tokio::spawn(story::tell(is_watched)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            eprintln!("\nThe demonstration failed.");
            ExitCode::FAILURE
        }
    }
}
