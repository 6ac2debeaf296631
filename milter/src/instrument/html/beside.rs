// SPDX-License-Identifier: GPL-3.0-or-later
//! What is said of a link beside its text: by its title, and by the sentence that it stands in.
//!
//! `To unsubscribe click <a>here</a>` is a way out, whatever the link itself shows. A sentence reaches no further than the
//! next other link, line or block, full stop or bar, and than what is read of it. A reading aid: in odd markup something may
//! be missing.

use std::ops::Range;

use super::{
    super::{
        charset::Charset,
        rules::{Rules, first_sentence, is_told_around, is_told_by, last_sentence},
    },
    MAX_TEXT, in_unicode,
    locate::Anchor,
    tag,
};

/// How much is read before and behind a link, in octets.
const BEFORE: usize = 240;
const BEHIND: usize = 160;

/// Tells whether what stands beside a link says that it leads out of a mailing; `text` is what it shows.
pub(super) fn leads_out(
    rules: &mut Rules,
    html: &[u8],
    anchor: &Anchor,
    text: &str,
    charset: Charset,
) -> bool {
    let all = html.get(..anchor.href.place.start).unwrap_or_default();
    let start = memchr::memrchr(b'<', all).unwrap_or(all.len());
    let end = end_of(html, anchor);
    let behind = end..(end + BEHIND).min(html.len());
    let before = start.saturating_sub(BEFORE)..start;
    let near = html.get(before.start..behind.end).unwrap_or_default();
    if !rules.may_lead_out(near) {
        return false;
    }
    let stretch = |range: Range<usize>| html.get(range).unwrap_or_default();
    if titles(stretch(start..end)).any(|title| is_told_by(&in_unicode(title.into(), charset))) {
        return true;
    }
    if anchor.label().is_some() {
        // An area of a picture stands in no sentence.
        return false;
    }
    let before = in_unicode(words_before(stretch(before)).into(), charset);
    let behind = in_unicode(words_behind(stretch(behind)).into(), charset);
    let sentence = [last_sentence(&before), text, first_sentence(&behind)].join(" ");
    is_told_around(&sentence)
}

/// Finds the end tag of a link.
fn end_of(html: &[u8], anchor: &Anchor) -> usize {
    if anchor.label().is_some() {
        return anchor.inside;
    }
    let content = html.get(anchor.inside..).unwrap_or_default();
    let content = content.get(..MAX_TEXT).unwrap_or(content);
    let mut ends = memchr::memmem::find_iter(content, b"</");
    let end = ends.find(|end| tag::is_named(content.get(*end..).unwrap_or_default(), "/a"));
    anchor.inside + end.unwrap_or(content.len())
}

/// Returns what the tags in a stretch, which begins with one, say of themselves.
fn titles(stretch: &[u8]) -> impl Iterator<Item = &[u8]> {
    tags(stretch).flat_map(|(_, tag)| {
        let said = tag::attributes(tag).into_iter().filter(|attribute| {
            let name = tag.get(attribute.name.clone()).unwrap_or_default();
            name.eq_ignore_ascii_case(b"title") || name.eq_ignore_ascii_case(b"aria-label")
        });
        said.filter_map(|attribute| tag.get(attribute.value))
    })
}

/// Returns the tags in a stretch, each with the text before it; what begins and does not end is left out.
fn tags(stretch: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = stretch;
    std::iter::from_fn(move || {
        let start = memchr::memchr(b'<', rest)?;
        let (text, after) = rest.split_at_checked(start)?;
        let (tag, after) = after.split_at_checked(tag::length(after)?)?;
        rest = after;
        Some((text, tag))
    })
}

/// Reads the words of a line up to the end of a stretch, which may begin within a tag.
fn words_before(stretch: &[u8]) -> Vec<u8> {
    let within = memchr::memchr2(b'<', b'>', stretch)
        .filter(|place| stretch.get(*place) == Some(&b'>'))
        .map_or(0, |place| place + 1);
    let mut rest = stretch.get(within..).unwrap_or_default();
    let mut words = Vec::new();
    for (text, tag) in tags(rest) {
        words.extend_from_slice(text);
        if !is_inline(tag) {
            words.clear();
        }
        rest = rest.get(text.len() + tag.len()..).unwrap_or_default();
    }
    words.extend_from_slice(rest);
    words
}

/// Reads the words of a line from the beginning of a stretch, which is the end tag of a link.
fn words_behind(stretch: &[u8]) -> Vec<u8> {
    let Some((_, rest)) = tag::length(stretch).and_then(|end| stretch.split_at_checked(end)) else {
        return Vec::new();
    };
    let mut rest = rest;
    let mut words = Vec::new();
    for (text, tag) in tags(rest) {
        words.extend_from_slice(text);
        if !is_inline(tag) {
            return words;
        }
        rest = rest.get(text.len() + tag.len()..).unwrap_or_default();
    }
    let end = memchr::memchr(b'<', rest).unwrap_or(rest.len());
    words.extend_from_slice(rest.get(..end).unwrap_or_default());
    words
}

/// Tells whether a sentence goes on past a tag.
fn is_inline(tag: &[u8]) -> bool {
    const NAMES: [&str; 9] = [
        "b", "strong", "i", "em", "u", "span", "font", "small", "wbr",
    ];
    let name = |name: &str| tag::is_named(tag, name) || tag::is_named(tag, &format!("/{name}"));
    tag.starts_with(b"<!--") || NAMES.into_iter().any(name)
}
