// SPDX-License-Identifier: GPL-3.0-or-later
//! What an administrator does with us: the lines for Postfix, the doctor, units, proxies, documents.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test ends where a step fails"
)]

mod containers;
mod doctor;
mod documents;
mod encryption;
mod failover;
mod hostile;
mod keeping;
mod pool;
mod postfix;
mod proxy;
mod units;
