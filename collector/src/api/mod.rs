// SPDX-License-Identifier: GPL-3.0-or-later
//! The API for programs: JSON, for the user whose session or token is shown, about that user's data only.

pub mod answers;
pub mod contacts;
pub(crate) mod etag;
pub mod export;
pub mod idempotency;
pub mod me;
pub mod message;
pub mod messages;
pub mod messages_csv;
pub mod notifications;
pub mod openapi;
pub mod operations;
pub mod settings;
pub mod stream;
pub mod tokens;
pub mod webhooks;
