// SPDX-License-Identifier: GPL-3.0-or-later
//! What a recipient finds in a message: our pixel, links and disclosure, or none of them.

use mail_parser::MessageParser;

use crate::sink::Delivery;

/// The URLs of ours in a message, as a mail program sees them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Artefacts {
    /// Pixels in the HTML part.
    pub pixels: Vec<String>,
    /// Tracked links in the HTML part.
    pub links: Vec<String>,
    /// Tracked links in the text part.
    pub text_links: Vec<String>,
    /// Recipients' pages that the HTML part links to.
    pub choices: Vec<String>,
    /// The same in the text part.
    pub text_choices: Vec<String>,
    /// The value of the field `Tracking-Consent`.
    pub field: Option<String>,
}

impl Artefacts {
    /// Looks for URLs that begin with the collector's.
    ///
    /// # Panics
    ///
    /// Panics if the message cannot be parsed.
    pub fn of(delivery: &Delivery, collector: &str) -> Self {
        let parsed = MessageParser::new().parse(&delivery.message).unwrap();
        let html = parsed
            .body_html(0)
            .unwrap_or_default()
            .replace("&amp;", "&");
        let text = parsed.body_text(0).unwrap_or_default().into_owned();
        let has_html = parsed
            .html_bodies()
            .any(mail_parser::MessagePart::is_text_html);
        let html = if has_html { html } else { String::new() };
        Self {
            pixels: urls(&html, &format!("{collector}/o/")),
            links: urls(&html, &format!("{collector}/l/")),
            choices: urls(&html, &format!("{collector}/c/")),
            text_links: urls(&text, &format!("{collector}/l/")),
            text_choices: urls(&text, &format!("{collector}/c/")),
            field: delivery.field("Tracking-Consent"),
        }
    }

    /// Tells whether there is nothing of ours.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Returns every URL that begins so, each once.
pub fn urls(text: &str, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, _) in text.match_indices(start) {
        let (_, rest) = text.split_at(place);
        let end = rest
            .find(|c: char| c.is_whitespace() || "\"'<>()".contains(c))
            .unwrap_or(rest.len());
        let url = rest.split_at(end).0.to_owned();
        if !found.contains(&url) {
            found.push(url);
        }
    }
    found
}
