// SPDX-License-Identifier: GPL-3.0-or-later
//! The commands of `fairtrackctl`, one file each.

pub mod classify;
pub mod networks;
