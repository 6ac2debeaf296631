// SPDX-License-Identifier: GPL-3.0-or-later
//! Fairtrack's collector: answers hits, keeps what it may, shows it to the sender.

pub mod classify;
pub mod cli;
pub mod network_lists;
