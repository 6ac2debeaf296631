// SPDX-License-Identifier: GPL-3.0-or-later
//! Pages for the person who writes. One handler a file; `show` renders, `save` acts and redirects.

pub mod answers;
pub mod sign_in;
pub mod texts;
