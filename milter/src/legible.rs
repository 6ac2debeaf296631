// SPDX-License-Identifier: GPL-3.0-or-later
//! What strangers wrote, in a form that the database takes and a page can show.
//!
//! PostgreSQL refuses a statement that holds a NUL, and what has no end would be kept without end.

/// Returns a text without control characters, cut to so many characters.
pub(crate) fn legible(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_go_and_long_texts_are_cut() {
        assert_eq!(legible("a\0\u{1b}\u{85}\r\nż", 10), "aż");
        assert_eq!(legible(&"ż".repeat(11), 10), "ż".repeat(10));
    }
}
