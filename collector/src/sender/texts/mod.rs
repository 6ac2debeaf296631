// SPDX-License-Identifier: GPL-3.0-or-later
//! What the pages for users say, once in each language. A text that is missing in one of them does not compile.
//!
//! Words in braces, such as `{n}`, are replaced before a text is shown.

mod de;
mod en;
mod fr;
pub mod notification;
mod pl;

use common::language::Language;

/// Everything that the pages for users say.
pub struct Texts {
    pub common: Common,
    pub errors: Errors,
    pub notification: Notification,
    pub sign_in: SignIn,
}

/// What several pages say.
pub struct Common {
    pub navigation: &'static str,
    pub report: &'static str,
    pub notifications: &'static str,
    pub contacts: &'static str,
    pub settings: &'static str,
    /// `{n}`: how many.
    pub bell: &'static str,
    pub sign_out: &'static str,
    pub back: &'static str,
    pub no_subject: &'static str,
}

/// What pages say when something did not work.
pub struct Errors {
    pub bad_request: (&'static str, &'static str),
    pub foreign: (&'static str, &'static str),
    pub not_found: (&'static str, &'static str),
    pub too_often: (&'static str, &'static str),
    pub unavailable: (&'static str, &'static str),
    pub other: (&'static str, &'static str),
}

/// What notifications say; `{subject}`, `{link}` and `{detail}` where they occur.
pub struct Notification {
    pub first_open: &'static str,
    pub first_click: &'static str,
    pub repeat_open: &'static str,
    pub warning: &'static str,
    pub a_link: &'static str,
}

/// What the sign-in pages and the mailed link say.
pub struct SignIn {
    pub title: &'static str,
    pub intro: &'static str,
    pub address: &'static str,
    pub send: &'static str,
    pub sent_title: &'static str,
    /// `{minutes}`
    pub sent: &'static str,
    pub sent_hint: &'static str,
    pub confirm_title: &'static str,
    pub confirm: &'static str,
    pub confirm_button: &'static str,
    pub dead_title: &'static str,
    pub dead: &'static str,
    pub again: &'static str,
    pub by_portal: &'static str,
    pub mail_subject: &'static str,
    /// `{link}` and `{minutes}`
    pub mail_text: &'static str,
}

impl Texts {
    /// Returns the texts in a language.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::De => &de::TEXTS,
            Language::En => &en::TEXTS,
            Language::Fr => &fr::TEXTS,
            Language::Pl => &pl::TEXTS,
        }
    }
}
