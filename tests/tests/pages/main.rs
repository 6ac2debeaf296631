// SPDX-License-Identifier: GPL-3.0-or-later
//! Sign-in, pages and API, asked as browsers and programs ask.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test ends where a step fails"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a test tells its story from beginning to end"
)]

mod account;
mod admin;
mod api;
mod contacts;
mod feeds;
mod flows;
mod live;
mod manners;
mod oidc;
mod openapi;
mod pictures;
mod privacy;
mod sign_in;
mod size;
mod webhooks;
