// SPDX-License-Identifier: GPL-3.0-or-later
//! Who is asking: sessions of browsers, tokens of programs, and a company's portal in front of us.
//!
//! A handler that serves a user takes a [`CurrentUser`] as an argument; there is no other way to one. A request that
//! changes something and comes from a browser must come from our own pages, and a form must carry the session's token.

pub(crate) mod cookie;
mod current_user;
mod form;
mod json;
mod origin;
mod peer;
pub mod secret;
pub mod sign_in;
mod site;

pub(crate) use self::site::language_of;
pub use self::{
    cookie::{
        attempt_cookie, attempt_value, end_attempt_cookie, end_cookie, end_left_cookie, has_left,
        left_cookie, session_cookie, session_secret,
    },
    current_user::{Credential, CurrentUser},
    form::{CheckedForm, Nothing, OwnForm},
    json::CheckedJson,
    site::{Visitor, controllers_at},
};
