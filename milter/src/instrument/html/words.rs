// SPDX-License-Identifier: GPL-3.0-or-later
//! Quoted text that no markup tells, only the header lines above it: where it begins in HTML.

use std::ops::Range;

use super::{
    super::{charset::Charset, quotation},
    locate::{Wish, locate},
    tag,
};

/// Finds the place before header lines of a quoted message, at which something may be put.
pub(super) fn quotation(html: &[u8], charset: Charset) -> Option<usize> {
    let located = locate(html, charset.encoding, Wish::Words)?;
    let lines = lines(html, &located.texts, charset);
    let texts = |from: usize| lines.iter().skip(from).map(|line| &line.text);
    let first = (0..lines.len()).find(|number| quotation::begins(texts(*number)))?;
    // A rule above belongs to them.
    let is_rule = |line: &Line| quotation::is_rule(line.text.trim().as_bytes());
    let above = first.checked_sub(1).and_then(|above| lines.get(above));
    let line = above
        .filter(|line| is_rule(line))
        .or_else(|| lines.get(first))?;
    Some(place_in(html, line.gap.clone()))
}

/// A line of visible text.
struct Line {
    /// What stands between the text before it and its own.
    gap: Range<usize>,
    /// Its beginning.
    text: String,
}

/// How much of a line is read, in octets.
const MAX_TEXT: usize = 80;

fn lines(html: &[u8], texts: &[Range<usize>], charset: Charset) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut before = 0;
    for range in texts {
        let octets = html.get(range.clone()).unwrap_or_default();
        let octets = octets.trim_ascii_start();
        let octets = octets.get(..MAX_TEXT).unwrap_or(octets);
        let (text, _) = charset.encoding.decode_without_bom_handling(octets);
        let text = htmlize::unescape(text.as_ref());
        if text.trim().is_empty() {
            continue;
        }
        let gap = before..range.start;
        before = range.end;
        match lines.last_mut() {
            Some(line) if !breaks_line(html, gap.clone()) => {
                if line.text.len() < MAX_TEXT {
                    line.text.push_str(&text);
                }
            }
            _ => lines.push(Line {
                gap,
                text: text.into_owned(),
            }),
        }
    }
    lines
}

fn breaks_line(html: &[u8], gap: Range<usize>) -> bool {
    const BREAKS: [&str; 12] = [
        "br",
        "p",
        "/p",
        "div",
        "/div",
        "tr",
        "/tr",
        "li",
        "/li",
        "hr",
        "blockquote",
        "table",
    ];
    tags(html, gap).any(|(_, tag)| BREAKS.iter().any(|name| tag::is_named(tag, name)))
}

/// Finds a place between the text of the author and that of others: before the elements that begin there for the latter.
fn place_in(html: &[u8], gap: Range<usize>) -> usize {
    let end = gap.end;
    let run = tags(html, gap).fold(None, |run, (place, tag)| {
        begins_element(tag).then(|| run.unwrap_or(place))
    });
    run.unwrap_or(end)
}

/// Tells whether a tag begins an element that holds something, within the body.
fn begins_element(tag: &[u8]) -> bool {
    const OTHERS: [&str; 12] = [
        "area", "base", "body", "br", "head", "hr", "html", "img", "input", "link", "meta", "wbr",
    ];
    tag.get(1).is_some_and(u8::is_ascii_alphabetic)
        && !OTHERS.iter().any(|name| tag::is_named(tag, name))
}

/// Returns the tags and comments of a stretch without text, each with its place.
fn tags(html: &[u8], gap: Range<usize>) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = gap.start;
    std::iter::from_fn(move || {
        let rest = html.get(at..gap.end)?;
        let start = at + memchr::memchr(b'<', rest)?;
        let rest = html.get(start..gap.end)?;
        let length = tag::length(rest).unwrap_or(rest.len());
        at = start + length;
        Some((start, rest.get(..length)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks the place that is found by `|`.
    fn mark(html: &str) -> String {
        let charset = Charset::find(Some("utf-8")).unwrap();
        match quotation(html.as_bytes(), charset) {
            Some(place) => {
                let (before, after) = html.split_at(place);
                format!("{before}|{after}")
            }
            None => html.to_owned(),
        }
    }

    #[test]
    fn place_is_between_the_authors_text_and_the_header_lines() {
        for marked in [
            "<body><p>Ok</p>|<div><p><b><span lang=FR>De&nbsp;:</span></b> Anna<br><b>Envoy&eacute;&nbsp;:</b> lundi<br>\
             <b>&Agrave;&nbsp;:</b> Jan<br><b>Objet&nbsp;:</b> x</p></div><p>Q</p></body>",
            "<div>Ok<br><br>|<b>FROM:</b> Anna<br><b>SENT:</b> Monday<br><b>SUBJECT:</b> x<br><br>Q</div>",
            "<div>Ok</div><br>|Von: Anna<br>Gesendet: Montag<br>An: Jan<br>Betreff: x<br>Q",
            "<p>Ok</p>|<table><tr><td>Od:</td><td>Anna</td></tr><tr><td>Wysłano:</td><td>x</td></tr>\
             <tr><td>Temat:</td><td>y</td></tr></table>Q",
            "<p>Ok</p>|<p>-----Original Message-----</p><p>From: A</p><p>Date: B</p><p>Subject: C</p>Q",
            "<html><head><title>x</title></head><body>|<div><b>From:</b> A<br>Date: B<br>Subject: C</div></body></html>",
        ] {
            assert_eq!(mark(&marked.replace('|', "")), marked);
        }
    }

    #[test]
    fn words_that_are_not_shown_begin_nothing() {
        for html in [
            "<p>Ok</p><!-- From: A<br>Date: B<br>Subject: C -->",
            "<p>Ok</p><template><p>From: A</p><p>Date: B</p><p>Subject: C</p></template>",
            "<p>From: A</p><p>Subject: C</p>",
            "<p>From: A Date: B Subject: C</p>",
        ] {
            assert_eq!(mark(html), html);
        }
    }
}
