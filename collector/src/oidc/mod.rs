// SPDX-License-Identifier: GPL-3.0-or-later
//! Signing in by OpenID Connect: the authorization code flow with PKCE, against a provider that one configured line names.
//!
//! Design note: nothing is kept between going to the provider and coming back. The browser holds one random secret in a
//! cookie; `state`, `nonce` and the verifier of PKCE are derived from it under our own key, so that a code works only in
//! the browser that asked for it, once, and for ten minutes. Whatever goes wrong has one answer; the log has the reason,
//! and names nobody.
//!
//! There is no library in between: the crates that would do it bring further implementations of the cryptography that
//! `ring` does for TLS already.

mod attempt;
mod id_token;
mod keys;
mod provider;
mod published;
mod question;

pub(crate) use self::provider::Terms;
pub use self::{
    attempt::{Attempt, COOKIE_MINUTES},
    provider::{OidcError, Provider, Returned},
};
