// SPDX-License-Identifier: GPL-3.0-or-later
//! Fairtrack's milter: sees submitted mail, decides, instruments.
//!
//! Whatever goes wrong, the message leaves as it came.

pub mod control;
pub mod eligibility;
pub mod instrument;
pub mod message;
pub mod offline;
