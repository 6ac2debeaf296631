// SPDX-License-Identifier: GPL-3.0-or-later
//! What the pages for users say, once in each language. A text that is missing in one of them does not compile.
//!
//! Words in braces, such as `{n}`, are replaced before a text is shown.

pub mod admin;
mod de;
mod en;
pub mod feeds;
mod fr;
pub mod notification;
mod pl;
pub mod webhooks;

use common::{language::Language, reason::SkipReason};

use crate::recipient::fitness::Unfit;

/// Everything that the pages for users say.
pub struct Texts {
    pub common: Common,
    pub contacts: Contacts,
    pub errors: Errors,
    pub message: Message,
    pub notification: Notification,
    pub notifications: Notifications,
    pub report: Report,
    pub settings: Settings,
    pub sign_in: SignIn,
    pub state: State,
    pub reason: fn(SkipReason) -> &'static str,
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
    pub nobody: &'static str,
    /// `{name}` and `{n}`: the first, and how many more.
    pub and_more: &'static str,
    pub save: &'static str,
    pub saved: &'static str,
    pub older: &'static str,
    pub newest: &'static str,
    pub copy: &'static str,
    pub copied: &'static str,
    pub never: &'static str,
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

/// What is known about a message; `{n}`, `{time}` and `{reason}` where they occur.
pub struct State {
    pub opened: &'static str,
    pub clicked: &'static str,
    pub automatic: &'static str,
    pub quiet: &'static str,
    pub unclear: &'static str,
    pub untracked: &'static str,
    pub quiet_hint: &'static str,
    pub automatic_hint: &'static str,
    pub unclear_hint: &'static str,
    pub opened_hint: &'static str,
    pub clicked_hint: &'static str,
    pub first: &'static str,
    pub last: &'static str,
    pub no_clicks: &'static str,
    pub opens_off: &'static str,
    pub links_off: &'static str,
    pub muted: &'static str,
}

/// What the report says.
pub struct Report {
    pub picture: &'static str,
    /// `{opens}` and `{clicks}`.
    pub picture_text: &'static str,
    pub opens: &'static str,
    pub clicks: &'static str,
    pub as_table: &'static str,
    pub day: &'static str,
    pub share: &'static str,
    /// `{least}`, `{most}` and `{n}`.
    pub share_text: &'static str,
    pub share_hint: &'static str,
    pub share_none: &'static str,
    pub best: &'static str,
    /// `{seen}` and `{of}`.
    pub best_text: &'static str,
    pub best_none: &'static str,
    pub messages: &'static str,
    pub filter: &'static str,
    pub all: &'static str,
    pub tracked: &'static str,
    pub opened: &'static str,
    pub clicked: &'static str,
    pub quiet: &'static str,
    pub untracked: &'static str,
    pub search: &'static str,
    pub search_hint: &'static str,
    pub csv: &'static str,
    pub empty: &'static str,
    pub empty_off: &'static str,
    pub empty_on: &'static str,
    pub to_settings: &'static str,
    pub nothing_found: &'static str,
}

/// What the page of one message says.
pub struct Message {
    pub to: &'static str,
    pub sent: &'static str,
    pub tracked: &'static str,
    pub opens_and_links: &'static str,
    pub only_opens: &'static str,
    pub only_links: &'static str,
    pub nothing_tracked: &'static str,
    pub state: &'static str,
    pub someone: &'static str,
    /// `{n}`: how many recipients.
    pub several: &'static str,
    pub timeline: &'static str,
    pub nothing_seen: &'static str,
    pub why: &'static str,
    pub certain: &'static str,
    pub likely: &'static str,
    pub unclear: &'static str,
    pub provisional: &'static str,
    /// `{link}`
    pub link: &'static str,
    /// `{n}`: how many.
    pub machines: &'static str,
    /// `{n}`: how many are shown.
    pub only_newest: &'static str,
    pub links: &'static str,
    pub link_text: &'static str,
    pub link_host: &'static str,
    pub link_clicks: &'static str,
    pub record: &'static str,
    pub part: &'static str,
    pub done: &'static str,
    pub edited: &'static str,
    pub pixel_in: &'static str,
    pub untouched: &'static str,
    pub links_skipped: &'static str,
    pub part_reason: fn(&str) -> Option<&'static str>,
    pub link_reason: fn(&str) -> Option<&'static str>,
    pub mute: &'static str,
    pub unmute: &'static str,
    pub mute_hint: &'static str,
    pub delete: &'static str,
    pub delete_text: &'static str,
    pub delete_button: &'static str,
}

/// What notifications say; `{subject}`, `{link}` and `{detail}` where they occur.
pub struct Notification {
    pub first_open: &'static str,
    pub first_click: &'static str,
    pub repeat_open: &'static str,
    pub unknown_value: &'static str,
    pub looked_at: &'static str,
    pub webhook_disabled: &'static str,
    pub subject_not_decodable: &'static str,
    pub warning: &'static str,
    pub a_link: &'static str,
}

/// What the page of notifications says.
pub struct Notifications {
    pub mark_all: &'static str,
    pub empty: &'static str,
    pub empty_off: &'static str,
    pub empty_on: &'static str,
    pub in_browser: &'static str,
    pub new: &'static str,
}

/// What the settings page says; `{host}` where it occurs.
pub struct Settings {
    pub tracking: &'static str,
    pub tracking_intro: &'static str,
    pub opens: &'static str,
    pub opens_hint: &'static str,
    pub links: &'static str,
    pub links_hint: &'static str,
    pub text_links: &'static str,
    pub text_links_hint: &'static str,
    pub ceiling: &'static str,
    pub remember: &'static str,
    pub remember_hint: &'static str,
    pub telling: &'static str,
    pub notifications: &'static str,
    pub notify_none: &'static str,
    pub notify_clicks: &'static str,
    pub notify_all: &'static str,
    pub notify_hint: &'static str,
    pub place: &'static str,
    pub language: &'static str,
    /// `{language}`
    pub language_default: &'static str,
    pub time_zone: &'static str,
    pub how: &'static str,
    pub how_intro: &'static str,
    pub way_tag: &'static str,
    pub way_tag_off: &'static str,
    pub way_address: &'static str,
    pub way_address_off: &'static str,
    pub way_header: &'static str,
    pub way_header_off: &'static str,
    pub once_hint: &'static str,
    /// Programs and what to do there.
    pub programs: [(&'static str, &'static str); 4],
    pub tokens: &'static str,
    pub tokens_intro: &'static str,
    pub tokens_none: &'static str,
    pub token_name: &'static str,
    pub token_create: &'static str,
    pub token_revoke: &'static str,
    /// What comes before the token itself.
    pub token_created: &'static str,
    pub created: &'static str,
    pub used: &'static str,
    pub sessions: &'static str,
    pub sessions_intro: &'static str,
    pub this_one: &'static str,
    pub since: &'static str,
    pub everywhere: &'static str,
    pub data: &'static str,
    pub data_intro: &'static str,
    pub data_export: &'static str,
    pub data_delete: &'static str,
    pub data_delete_text: &'static str,
    pub data_delete_button: &'static str,
}

/// What the page of contacts says.
pub struct Contacts {
    pub intro: &'static str,
    pub empty: &'static str,
    pub search: &'static str,
    pub address: &'static str,
    pub last: &'static str,
    pub messages: &'static str,
    pub tracking: &'static str,
    pub on: &'static str,
    pub off: &'static str,
    pub off_hint: &'static str,
    pub ask: &'static str,
    pub ask_intro: &'static str,
    pub attest: &'static str,
    pub attest_intro: &'static str,
    pub recipient: &'static str,
    pub purposes: &'static str,
    pub purpose_opens: &'static str,
    pub purpose_links: &'static str,
    pub scope: &'static str,
    pub scope_me: &'static str,
    pub scope_all: &'static str,
    pub preview: &'static str,
    pub preview_intro: &'static str,
    pub send: &'static str,
    pub sent: &'static str,
    pub given_at: &'static str,
    pub channel: &'static str,
    pub channels: [(&'static str, &'static str); 5],
    pub evidence: &'static str,
    pub evidence_hint: &'static str,
    pub attest_button: &'static str,
    pub attested: &'static str,
    pub no_purpose: &'static str,
    pub no_address: &'static str,
    pub unfit: fn(Unfit) -> &'static str,
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
    pub by_provider: &'static str,
    pub provider_button: &'static str,
    pub provider_leave: &'static str,
    pub refused_title: &'static str,
    pub refused: &'static str,
    pub try_again: &'static str,
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
