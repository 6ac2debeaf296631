// SPDX-License-Identifier: GPL-3.0-or-later
//! The harness: real servers as values.
//!
//! Each server starts on sockets or ports that were free, in a folder of its own below the temporary folder, and is
//! ready when its constructor returns. It ends, and its folder with it, when the value is dropped, and also when the
//! test process dies by any means, `kill -9` included: see [`scratch`]. Nothing of the host's own Postfix or PostgreSQL
//! is touched.
//!
//! A constructor that fails panics, saying what the server logged: what follows would be worth nothing.

#![expect(
    clippy::unwrap_used,
    reason = "the harness is test code: a step that fails must end the test where it failed"
)]

pub mod artefacts;
pub mod axe;
pub mod bars;
pub mod browser;
pub mod certificates;
pub mod chance;
pub mod clicks;
pub mod cpu;
pub mod database;
pub mod dkim;
pub mod installation;
pub mod load;
pub mod log;
pub mod messages;
pub mod nginx;
pub mod port;
pub mod postfix;
pub mod programs;
pub mod provider;
pub mod python;
pub mod receiver;
pub mod samples;
pub mod scratch;
pub mod server;
pub mod sink;
pub mod site;
pub mod smtp;
pub mod web;
