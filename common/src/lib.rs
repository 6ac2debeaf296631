// SPDX-License-Identifier: GPL-3.0-or-later
//! What the milter and the collector of Fairtrack must agree on, and nothing else.
//!
//! Addresses, tokens and the URLs that carry them, the configuration file, consent, and the database. This crate names
//! no milter type and no HTTP type; only [`db`] uses Diesel.

pub mod address;
pub mod config;
pub mod consent;
pub mod db;
pub mod ids;
pub mod keys;
pub mod language;
pub mod reason;
pub mod telemetry;
pub mod token;
pub mod tracking_url;
