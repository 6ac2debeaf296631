// SPDX-License-Identifier: GPL-3.0-or-later
//! The decision record of a message in words: what was done with each part and link, and why.
//!
//! The milter writes it as JSON; what is not understood here is shown as it stands, or left out.

use serde_json::Value;

use super::texts::Message;

/// What was done with one part.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) done: String,
}

/// A link that was left as it was.
pub(super) struct SkippedLink {
    pub(super) text: String,
    pub(super) why: String,
}

/// More parts or links than this are not shown: a message that has them is not read part by part.
const MOST: usize = 100;

/// Returns the parts and what was done with them.
pub(super) fn parts(record: &Value, t: &Message) -> Vec<Part> {
    each(record, "parts")
        .take(MOST)
        .map(|part| {
            let word = |name: &str| part.get(name).and_then(Value::as_str);
            let has_pixel = part.get("pixel").and_then(Value::as_bool) == Some(true);
            let done = match word("outcome") {
                Some("edited") if has_pixel => t.pixel_in.to_owned(),
                Some("edited") => t.edited.to_owned(),
                _ => match word("reason") {
                    Some(code) => {
                        format!("{}: {}", t.untouched, (t.part_reason)(code).unwrap_or(code))
                    }
                    None => t.untouched.to_owned(),
                },
            };
            Part {
                name: word("media").unwrap_or("?").to_owned(),
                done,
            }
        })
        .collect()
}

/// Returns the links that were left as they were, and why.
pub(super) fn skipped_links(record: &Value, t: &Message) -> Vec<SkippedLink> {
    each(record, "parts")
        .flat_map(|part| each(part, "links"))
        .filter_map(|link| {
            let word = |name: &str| link.get(name).and_then(Value::as_str);
            let code = word("skipped")?;
            let text = word("text").filter(|text| !text.is_empty());
            Some(SkippedLink {
                text: text.or_else(|| word("host")).unwrap_or("?").to_owned(),
                why: (t.link_reason)(code).unwrap_or(code).to_owned(),
            })
        })
        .take(MOST)
        .collect()
}

fn each<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use common::language::Language;
    use serde_json::json;

    use super::*;
    use crate::sender::texts::Texts;

    #[test]
    fn record_is_told_in_words() {
        let t = &Texts::of(Language::En).message;
        let record = json!({"parts": [
            {"media": "text/plain", "outcome": "untouched", "reason": "not-displayed", "links": []},
            {"media": "text/html", "outcome": "edited", "pixel": true, "links": [
                {"ordinal": 1, "host": "a.example", "text": "A", "skipped": null},
                {"ordinal": null, "host": "b.example", "text": "", "skipped": "sensitive"}
            ]}
        ]});

        let parts = parts(&record, t);
        let skipped = skipped_links(&record, t);

        assert!(parts[0].done.starts_with("left as it was: another version"));
        assert_eq!(parts[1].done, "edited; the image is here");
        assert_eq!((skipped.len(), skipped[0].text.as_str()), (1, "b.example"));
    }

    #[test]
    fn strange_record_is_borne() {
        let t = &Texts::of(Language::Pl).message;

        for record in [
            json!(null),
            json!([]),
            json!({"parts": 3}),
            json!({"parts": [1, {"links": "x"}]}),
        ] {
            let _ = parts(&record, t);
            assert!(skipped_links(&record, t).is_empty());
        }
    }
}
