// SPDX-License-Identifier: GPL-3.0-or-later
//! Webhooks after Standard Webhooks: notifications, signed, to where a user's programs want them.
//!
//! Nothing of a delivery is kept but that it happened: the words are made at sending, from what is there then. What a
//! withdrawal took away is not sent any more.

pub mod event;
pub mod guard;
pub mod post;
pub mod signature;
