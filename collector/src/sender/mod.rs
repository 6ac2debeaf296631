// SPDX-License-Identifier: GPL-3.0-or-later
//! Pages for the person who writes. One handler a file; `show` renders, `save` acts and redirects.

pub mod account;
pub mod admin;
pub mod answers;
mod chart;
pub mod contacts;
pub mod feed;
mod frame;
pub mod locale;
mod marks;
pub mod message;
pub mod notifications;
pub mod oidc;
mod record;
pub mod report;
pub mod settings;
pub mod sign_in;
pub mod texts;
mod timeline;
pub mod token;
pub mod webhooks;

pub(crate) use self::timeline::client;
