// SPDX-License-Identifier: GPL-3.0-or-later
//! What a webhook is told: a notification, with its message, in the form of Standard Webhooks.

use common::{db::notifications_feed::Notification, language::Language};
use serde_json::json;

use crate::{moment, sender::texts::notification};

/// Writes the body of a delivery.
pub fn body(row: &Notification, recipients: &[String], language: Language) -> String {
    let link = row
        .host
        .as_ref()
        .filter(|_| row.kind == "first-click")
        .map(|host| json!({ "host": host, "text": row.label }));
    json!({
        "type": format!("message.{}", row.kind),
        "timestamp": moment::written(row.at),
        "data": {
            "notification": row.id,
            "kind": row.kind,
            "message": row.message_id,
            "subject": row.subject,
            "recipients": recipients,
            "link": link,
            "text": notification::line(row, language),
        },
    })
    .to_string()
}
