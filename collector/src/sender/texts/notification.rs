// SPDX-License-Identifier: GPL-3.0-or-later
//! The line that says what a notification is about.

use common::{db::notifications_feed::Notification, language::Language};

use super::Texts;
use crate::sender::admin::LOOKED;

/// Says what happened, in one line of plain text.
pub fn line(notification: &Notification, language: Language) -> String {
    let texts = Texts::of(language);
    let t = &texts.notification;
    let subject = match notification.subject.as_deref() {
        None | Some("") => texts.common.no_subject,
        Some(subject) => subject,
    };
    let link = match (&notification.label, &notification.host) {
        (Some(label), _) if !label.is_empty() => label,
        (_, Some(host)) => host,
        _ => t.a_link,
    };
    let detail = notification.detail.as_deref().unwrap_or_default();
    let about = detail
        .strip_prefix("unknown-value ")
        .or_else(|| detail.strip_prefix(LOOKED))
        .unwrap_or(detail);
    let pattern = match notification.kind.as_str() {
        "first-open" => t.first_open,
        "first-click" => t.first_click,
        "repeat-open" => t.repeat_open,
        _ if detail == "subject-not-decodable" => t.subject_not_decodable,
        _ if detail.starts_with(LOOKED) => t.looked_at,
        _ if detail == "webhook-disabled" => t.webhook_disabled,
        _ if detail.starts_with("unknown-value ") => t.unknown_value,
        _ => t.warning,
    };
    pattern
        .replace("{link}", link)
        .replace("{detail}", about)
        // Last, because subjects may contain anything.
        .replace("{subject}", subject)
}
