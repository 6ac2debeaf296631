// SPDX-License-Identifier: GPL-3.0-or-later
//! The milter under a real Postfix, before a real DKIM signer: what arrives, whatever happens.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

mod chaos;
mod corpus;
mod decision;
mod failure;
mod flow;
mod killed;
mod replies;
mod signed;
mod split;
mod taken_apart;
