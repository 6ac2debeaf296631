// SPDX-License-Identifier: GPL-3.0-or-later
//! The privacy-consent helper against a real collector, a real PostgreSQL and a mail server that takes everything.
//!
//! Names in brackets are those of the requirements (C) and of rivals' faults (P) that a test keeps.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails must end the test where it failed"
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
