// SPDX-License-Identifier: GPL-3.0-or-later
//! What hides all that stands in it, and when such an element has ended for certain.
//!
//! Browsers end elements by rules of their own (HTML standard, section 13.2.6): an end tag may be disregarded, or a
//! forgotten one made up for. Where it is not plain that an element has ended, it counts as open, and something visible
//! is put before it or nowhere. Style sheets are not read: what they hide, their author hides.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;

/// Pieces of what hides an element; few messages hold one. Letters of a tag are written alike.
const HINTS: [&str; 10] = [
    "hidden", "HIDDEN", "isplay", "ISPLAY", "o-hide", "O-HIDE", "pacity", "PACITY", "popover",
    "POPOVER",
];

static SEARCHER: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(HINTS));

/// Tells whether an element may be hidden by its own attributes; `true` in doubt.
pub(crate) fn may_be_in(html: &[u8]) -> bool {
    let Some(searcher) = &*SEARCHER else {
        return true;
    };
    searcher.find_iter(html).any(|found| {
        let after = html.get(found.end()..).unwrap_or_default();
        let after = after.get(..24).unwrap_or(after);
        // A picture is made a block far more often than anything is hidden.
        let pattern = HINTS.get(found.pattern().as_usize());
        !pattern.is_some_and(|hint| hint.eq_ignore_ascii_case("isplay"))
            || after
                .windows(4)
                .any(|word| word.eq_ignore_ascii_case(b"none"))
    })
}

/// Tells whether a `style` hides its element and all in it. The size of letters is not asked: the disclosure has its own.
pub(crate) fn is_hiding(style: &str) -> bool {
    let style = htmlize::unescape_attribute(style).to_ascii_lowercase();
    let mut is_flat = false;
    let mut is_cut_off = false;
    for declaration in without_comments(&style).split(';') {
        let Some((name, value)) = declaration.split_once(':') else {
            continue;
        };
        let value = value.split('!').next().unwrap_or_default().trim();
        let is_zero = || {
            let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
            number.parse() == Ok(0.0_f32)
        };
        match name.trim() {
            "display" if value == "none" => return true,
            "visibility" if matches!(value, "hidden" | "collapse") => return true,
            "mso-hide" if matches!(value, "all" | "screen") => return true,
            "opacity" if is_zero() => return true,
            "height" | "max-height" | "width" | "max-width" => is_flat |= is_zero(),
            "overflow" | "overflow-x" | "overflow-y" => {
                is_cut_off |= value
                    .split_ascii_whitespace()
                    .any(|value| matches!(value, "clip" | "hidden"));
            }
            _ => {}
        }
    }
    is_flat && is_cut_off
}

fn without_comments(style: &str) -> String {
    let mut pieces = style.split("/*");
    let mut rest = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        rest.push_str(piece.split_once("*/").map_or("", |(_, after)| after));
    }
    rest
}

/// Follows the elements in one that hides, up to its end.
#[derive(Debug, Default)]
pub(crate) struct Hiding {
    /// The open elements, itself the first.
    open: Vec<Open>,
    /// The end tag that is being read, and the outermost element that it ends.
    end: Option<(usize, String, usize)>,
    pub(crate) state: State,
}

#[derive(Debug)]
struct Open {
    name: String,
    is_hiding: bool,
}

/// How an element stands that hides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum State {
    /// It ended before this place.
    Ended(usize),
    #[default]
    Open,
    /// It may be open to the end of the text.
    Unclear,
}

impl Hiding {
    /// Takes note of an element and returns its number.
    pub(crate) fn begin(&mut self, name: String, is_hiding: bool) -> usize {
        self.settle();
        self.open.push(Open { name, is_hiding });
        self.open.len() - 1
    }

    /// Takes note that the end tag of the name `by`, which ends at `place`, ends an element; it may end several.
    pub(crate) fn end(&mut self, number: usize, by: &str, place: usize) {
        match &mut self.end {
            Some((at, _, outermost)) if *at == place => *outermost = number.min(*outermost),
            _ => {
                self.settle();
                self.end = Some((place, by.to_owned(), number));
            }
        }
        if number == 0 {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let Some((place, by, outermost)) = self.end.take() else {
            return;
        };
        if self.state != State::Open || outermost >= self.open.len() {
            return;
        }
        let mut ended = self.open.drain(outermost..);
        let is_itself = ended.next().is_some_and(|open| open.name == by);
        let by_the_way: Vec<Open> = ended.collect();
        let is_plain = by_the_way.is_empty()
            || ends_all(&by, by_the_way.iter().map(|open| open.name.as_str()));
        // Browsers begin these again behind the end of what they stood in.
        let mut again = by_the_way.iter().filter(|open| open.is_hiding);
        let is_begun_again = again.any(|open| FORMATTING.contains(&open.name.as_str()));
        if !is_itself || !is_plain || is_begun_again {
            self.state = State::Unclear;
        } else if self.open.is_empty() {
            self.state = State::Ended(place);
        }
    }
}

/// Tells whether an end tag also ends the open elements in the one that it names.
fn ends_all<'a>(by: &str, mut inner: impl Iterator<Item = &'a str>) -> bool {
    match by {
        "body" | "form" | "html" => false,
        "table" | "tbody" | "tfoot" | "thead" | "tr" | "td" | "th" | "caption" => {
            inner.all(|name| !matches!(name, "table" | "template"))
        }
        "p" => inner.all(|name| !is_special(name)),
        "li" => inner.all(|name| !is_barrier(name) && !matches!(name, "ol" | "ul")),
        _ if is_special(by) => inner.all(|name| !is_barrier(name)),
        _ => inner.all(|name| !is_special(name)),
    }
}

/// An end tag ends nothing beyond these.
fn is_barrier(name: &str) -> bool {
    matches!(
        name,
        "applet"
            | "caption"
            | "foreignobject"
            | "marquee"
            | "math"
            | "object"
            | "select"
            | "svg"
            | "table"
            | "tbody"
            | "td"
            | "template"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
    )
}

/// Elements that an end tag of an element for mere words does not end.
fn is_special(name: &str) -> bool {
    is_barrier(name) || SPECIAL.contains(&name)
}

const SPECIAL: [&str; 54] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "button",
    "center",
    "colgroup",
    "dd",
    "desc",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "html",
    "iframe",
    "li",
    "listing",
    "main",
    "menu",
    "nav",
    "noembed",
    "noframes",
    "noscript",
    "ol",
    "p",
    "plaintext",
    "pre",
    "script",
    "search",
    "section",
    "style",
    "summary",
    "textarea",
    "title",
    "ul",
    "xmp",
];

const FORMATTING: [&str; 14] = [
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hiding_styles_are_told_from_others() {
        for style in [
            "display:none",
            "color:red; DISPLAY : None !important",
            "display&#58;none",
            "display/* x */:none",
            "visibility: hidden",
            "mso-hide:all",
            "opacity:0.0",
            "max-height:0px;overflow:hidden",
            "overflow:hidden;width:0",
        ] {
            assert!(is_hiding(style), "{style}");
            assert!(
                style.contains("height")
                    || style.contains("width")
                    || may_be_in(format!("<p style=\"{style}\">").as_bytes()),
                "{style}"
            );
        }
        for style in [
            "",
            "display:block",
            "font-size:0",
            "overflow:hidden",
            "max-height:0",
            "opacity:0.5",
            "text-decoration:none",
            "height:10px;overflow:hidden",
            "x-display:none",
        ] {
            assert!(!is_hiding(style), "{style}");
        }
        assert!(!may_be_in(
            b"<img style=\"display:block;border:0\"><a style=\"text-decoration:none\">"
        ));
    }
}
