// SPDX-License-Identifier: GPL-3.0-or-later
//! Fairtrack's collector: answers hits, keeps what it may, and shows it to the sender and to nobody else.

pub mod application;
pub mod health;
pub mod ingest;
pub mod jobs;
pub mod listeners;
pub mod mail;
pub mod metrics;
pub mod routes;
pub mod state;
pub mod tracking;
