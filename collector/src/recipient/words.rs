// SPDX-License-Identifier: GPL-3.0-or-later
//! The words of the recipient's pages and mails, one file for each language.
//!
//! Words in braces are filled in: `{controller}`, `{sender}`, `{address}`, `{date}`, `{url}`, `{authority}` and so on.

mod de;
mod en;
mod fr;
mod pl;

use common::language::Language;

/// Everything that is said to recipients, apart from the notice.
pub struct Words {
    pub language: &'static str,
    pub notice_heading: &'static str,
    pub notice_version: &'static str,
    pub gpc: &'static str,
    pub contact: &'static str,

    // The page that the link in a message leads to.
    pub choices_title: &'static str,
    pub message_heading: &'static str,
    pub message_line: &'static str,
    pub message_open: &'static str,
    pub message_click: &'static str,
    pub message_none: &'static str,
    pub message_stopped: &'static str,
    pub message_several: &'static str,
    pub message_gone: &'static str,
    pub stop_heading: &'static str,
    pub stop_explained: &'static str,
    pub stop_all: &'static str,
    pub stop_message: &'static str,
    pub detail_heading: &'static str,
    pub legend_open: &'static str,
    pub legend_click: &'static str,
    pub legend_scope: &'static str,
    pub stop: &'static str,
    pub keep: &'static str,
    pub scope_sender: &'static str,
    pub scope_controller: &'static str,
    pub save: &'static str,
    pub more_heading: &'static str,
    pub more_explained: &'static str,
    pub send_link: &'static str,

    // The page that a mailed link leads to.
    pub mine_title: &'static str,
    pub mine_intro: &'static str,
    pub ask_heading: &'static str,
    pub ask_explained: &'static str,
    pub allow: &'static str,
    pub refuse: &'static str,
    pub refuse_all: &'static str,
    pub data_heading: &'static str,
    pub data_explained: &'static str,
    pub see: &'static str,
    pub download_json: &'static str,
    pub download_text: &'static str,
    pub freeze_heading: &'static str,
    pub freeze_explained: &'static str,
    pub freeze: &'static str,
    pub unfreeze: &'static str,
    pub erase_heading: &'static str,
    pub erase_explained: &'static str,
    pub erase_confirm: &'static str,
    pub erase_forget: &'static str,
    pub erase: &'static str,
    pub now_heading: &'static str,
    pub now_nothing: &'static str,
    pub granted: &'static str,
    pub denied: &'static str,
    pub withdrawn: &'static str,
    pub expired: &'static str,
    pub invalidated: &'static str,
    pub requested: &'static str,
    pub until: &'static str,
    pub frozen: &'static str,
    pub suppressed: &'static str,
    pub receipt_heading: &'static str,
    pub receipt_explained: &'static str,
    pub receipt_withdraw: &'static str,

    // The notice without a token.
    pub privacy_title: &'static str,
    pub privacy_link_heading: &'static str,
    pub privacy_link_explained: &'static str,
    pub address_label: &'static str,

    // What was done.
    pub done_title: &'static str,
    pub done_stopped: &'static str,
    pub done_stopped_message: &'static str,
    pub done_kept: &'static str,
    pub done_saved: &'static str,
    pub done_allowed: &'static str,
    pub done_erased: &'static str,
    pub done_erased_kept: &'static str,
    pub done_erased_forgotten: &'static str,
    pub done_frozen: &'static str,
    pub done_unfrozen: &'static str,
    pub link_sent: &'static str,

    // What was not.
    pub unchanged: &'static str,
    pub choose_each: &'static str,
    pub choose_confirm: &'static str,
    pub forbidden_title: &'static str,
    pub forbidden: &'static str,
    pub list_title: &'static str,
    pub list: &'static str,
    pub changed: &'static str,
    pub invalid_title: &'static str,
    pub invalid: &'static str,
    pub used_title: &'static str,
    pub used: &'static str,
    pub address_invalid: &'static str,
    pub unavailable_title: &'static str,
    pub unavailable: &'static str,
    pub to_privacy: &'static str,

    // Mails.
    pub mail_link_subject: &'static str,
    pub mail_link: &'static str,
    pub mail_request_subject: &'static str,
    pub mail_request: &'static str,
    pub mail_request_open: &'static str,
    pub mail_request_click: &'static str,
    pub mail_request_sender: &'static str,
    pub mail_request_controller: &'static str,
    pub mail_request_button: &'static str,
    pub mail_receipt_subject: &'static str,
    pub mail_receipt: &'static str,
}

impl Words {
    /// Returns the words of a language.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::De => &de::WORDS,
            Language::En => &en::WORDS,
            Language::Fr => &fr::WORDS,
            Language::Pl => &pl::WORDS,
        }
    }
}

/// Returns the name of a language in that language.
pub fn name(language: Language) -> &'static str {
    match language {
        Language::De => "Deutsch",
        Language::En => "English",
        Language::Fr => "Français",
        Language::Pl => "Polski",
    }
}

/// Fills the words in braces in. What is filled in is not looked at again, so nobody's name can name another place.
pub fn fill(text: &str, places: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, tail)| {
            let (_, value) = places.iter().find(|(place, _)| *place == name)?;
            Some((value, tail))
        });
        match known {
            Some((value, tail)) => {
                filled.push_str(value);
                rest = tail;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_looked_at_again() {
        assert_eq!(
            fill("{a} and {b} {c}", &[("a", "{b}"), ("b", "2")]),
            "{b} and 2 {c}"
        );
    }

    /// Each language fills the same places in.
    #[test]
    fn mails_name_what_they_must_in_every_language() {
        for language in Language::ALL {
            let words = Words::of(language);

            assert!(words.mail_link.contains("{url}"), "{language:?}");
            for place in [
                "{url}",
                "{sender}",
                "{controller}",
                "{purposes}",
                "{scope}",
                "{contact}",
                "{days}",
            ] {
                assert!(words.mail_request.contains(place), "{language:?} {place}");
            }
            for place in ["{controller}", "{choices}", "{record}", "{url}"] {
                assert!(words.mail_receipt.contains(place), "{language:?} {place}");
            }
            assert!(words.notice_version.contains("{hash}"), "{language:?}");
        }
    }
}
