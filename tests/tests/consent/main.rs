// SPDX-License-Identifier: GPL-3.0-or-later
//! The privacy-consent helper against a real collector, a real PostgreSQL and a mail server that takes everything.
//!
//! Names in brackets are those of the requirements (C) and of rivals' faults (P) that a test keeps.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a step that fails must end the test where it failed"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a test tells its story from beginning to end"
)]

mod accessible;
mod asking;
mod command;
mod crawl;
mod flood;
mod log;
mod pages;
mod place;
mod requirements;
mod restore;
mod retention;
mod rights;
mod roles;
mod traces;
mod whole_path;
