// SPDX-License-Identifier: GPL-3.0-or-later
//! Fairtrack's collector: answers hits, keeps what it may, and shows it to the sender and to nobody else.

pub mod api;
pub mod application;
pub mod assets;
pub mod auth;
pub mod classify;
pub mod cli;
pub mod contacts;
pub mod exchange;
pub mod exchangers;
pub mod failure;
pub mod heads;
pub mod health;
pub mod ingest;
pub mod jobs;
pub mod journal;
mod key_file;
pub mod layout;
pub mod limits;
pub mod listeners;
pub mod live;
pub mod mail;
pub mod metrics;
pub mod moment;
pub mod network_lists;
pub mod oidc;
pub mod options;
pub mod page;
pub mod recipient;
pub mod report;
pub mod routes;
pub mod sender;
pub mod state;
pub mod tracking;
pub mod webhooks;
