// SPDX-License-Identifier: GPL-3.0-or-later
//! A second parser for the second reading of HTML, of the rules by which programs find tags in it (HTML standard, section
//! 13.2.5), written for nothing else: a mistake of the first parser is not made twice, and it takes a fraction of its time.
//!
//! For drawings, formulas and scripts other rules hold. These are read where they are in good order, so that any program
//! finds their end where this one does; what is not is a flaw.

mod drawing;

use std::ops::Range;

use super::Flaw;

/// What is looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    /// An `img`: where its start tag begins, and the value of its first `src`.
    Image { start: usize, source: Range<usize> },
    /// An `a` or `area`: the value of its first `href`, or the name where there is none, and where its start tag ends.
    Link {
        address: Range<usize>,
        inside: usize,
    },
}

/// Shows what there is to see in a text, from first to last.
///
/// # Errors
///
/// Returns what is wrong with something that was shown, or that the text ends in the midst of markup, or what it holds that
/// programs may read in several ways.
pub(super) fn walk(
    html: &[u8],
    mut show: impl FnMut(Sight) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    let mut at = 0;
    while let Some(start) = find(b'<', html, at) {
        let after = html.get(start + 1..).unwrap_or_default();
        let end = match after {
            [first, ..] if first.is_ascii_alphabetic() => {
                let name = name_at(html, start + 1);
                let kind = Kind::of(html.get(name.clone()).unwrap_or_default());
                let tag = attributes(html, name.end, kind.address()).ok_or(UNFINISHED)?;
                let (address, end) = (tag.wanted, tag.end);
                match kind {
                    Kind::Image => {
                        if let Some(source) = address.and_then(|address| address.value) {
                            show(Sight::Image { start, source })?;
                        }
                    }
                    Kind::Link => {
                        if let Some(Attribute { name, value }) = address {
                            let address = value.unwrap_or(name);
                            show(Sight::Link {
                                address,
                                inside: end,
                            })?;
                        }
                    }
                    Kind::Drawing | Kind::Other | Kind::Script | Kind::Text => {}
                }
                match kind {
                    Kind::Drawing if !tag.is_self_closing => {
                        Some(drawing::walk(html, name, end, &mut show)?)
                    }
                    Kind::Script => end_of_script(html, name, end)?,
                    Kind::Text => end_of_text(html, name, end),
                    _ => Some(end),
                }
            }
            [b'/', first, ..] if first.is_ascii_alphabetic() => {
                let name = name_at(html, start + 2);
                attributes(html, name.end, b"").map(|tag| tag.end)
            }
            [b'!', b'-', b'-', ..] => end_of_comment(html, start + 4),
            [b'!' | b'/' | b'?', ..] => find(b'>', html, start + 2).map(|end| end + 1),
            _ => Some(start + 1),
        };
        at = end.ok_or(UNFINISHED)?;
    }
    Ok(())
}

pub(super) const UNFINISHED: Flaw = "end of the markup";

/// What an element is to this parser.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A drawing or a formula.
    Drawing,
    Image,
    Link,
    Other,
    Script,
    /// Its content is text, whatever it looks like, up to its end tag.
    Text,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        let mut room = [0; LONGEST_NAME];
        let Some(lower) = room.get_mut(..name.len()) else {
            return Self::Other;
        };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match &*lower {
            b"a" | b"area" => Self::Link,
            b"img" => Self::Image,
            b"math" | b"svg" => Self::Drawing,
            b"script" => Self::Script,
            // Of these, `plaintext` has no end tag; that it needs one here makes the text unfinished.
            b"iframe" | b"noembed" | b"noframes" | b"noscript" | b"plaintext" | b"style"
            | b"textarea" | b"title" | b"xmp" => Self::Text,
            _ => Self::Other,
        }
    }

    /// Returns the name of the attribute that leads somewhere.
    fn address(self) -> &'static [u8] {
        match self {
            Self::Image => b"src",
            Self::Link => b"href",
            Self::Drawing | Self::Other | Self::Script | Self::Text => b"",
        }
    }
}

/// The length of `plaintext`.
const LONGEST_NAME: usize = 9;

fn find(octet: u8, html: &[u8], from: usize) -> Option<usize> {
    memchr::memchr(octet, html.get(from..)?).map(|place| from + place)
}

fn name_at(html: &[u8], start: usize) -> Range<usize> {
    let rest = html.get(start..).unwrap_or_default();
    let length = rest.iter().position(ends_name);
    start..start + length.unwrap_or(rest.len())
}

fn ends_name(octet: &u8) -> bool {
    octet.is_ascii_whitespace() || matches!(octet, b'/' | b'>')
}

/// An attribute, as places in the text.
struct Attribute {
    name: Range<usize>,
    value: Option<Range<usize>>,
}

/// What follows the name in a tag.
struct Rest {
    /// The first attribute of the name that was asked for.
    wanted: Option<Attribute>,
    is_self_closing: bool,
    end: usize,
}

/// Reads the attributes of a tag; returns `None` if it does not end.
fn attributes(html: &[u8], from: usize, name: &[u8]) -> Option<Rest> {
    let wanted = name;
    let skip = |at: usize, is_end: fn(&u8) -> bool| {
        let rest = html.get(at..)?;
        Some(at + rest.iter().position(is_end)?)
    };
    let skip_blanks = |at| skip(at, |octet| !octet.is_ascii_whitespace());
    let mut found = None;
    let mut is_self_closing = false;
    let mut at = from;
    loop {
        at = skip_blanks(at)?;
        match html.get(at)? {
            b'>' => {
                return Some(Rest {
                    wanted: found,
                    is_self_closing,
                    end: at + 1,
                });
            }
            b'/' => {
                at += 1;
                is_self_closing = html.get(at) == Some(&b'>');
                continue;
            }
            _ => {}
        }
        let start = at;
        // A name may begin with an equals sign.
        at = skip(at + 1, |octet| ends_name(octet) || *octet == b'=')?;
        let name = start..at;
        let mut value = None;
        let equals = skip_blanks(at)?;
        if html.get(equals) == Some(&b'=') {
            let first = skip_blanks(equals + 1)?;
            (value, at) = match html.get(first)? {
                quote @ (b'"' | b'\'') => {
                    let end = find(*quote, html, first + 1)?;
                    (Some(first + 1..end), end + 1)
                }
                b'>' => (None, first),
                _ => {
                    let end = skip(first, |octet| octet.is_ascii_whitespace() || *octet == b'>')?;
                    (Some(first..end), end)
                }
            };
        }
        if found.is_none() && html.get(name.clone())?.eq_ignore_ascii_case(wanted) {
            found = Some(Attribute { name, value });
        }
    }
}

/// Finds the end of the end tag of a script. After a comment begins in it, other end tags may count.
fn end_of_script(html: &[u8], name: Range<usize>, start: usize) -> Result<Option<usize>, Flaw> {
    let end = end_of_text(html, name, start);
    let content = html.get(start..end.unwrap_or(start)).unwrap_or_default();
    match memchr::memmem::find(content, b"<!--") {
        Some(_) => Err("script"),
        None => Ok(end),
    }
}

/// Finds the end of a comment whose content begins here.
fn end_of_comment(html: &[u8], start: usize) -> Option<usize> {
    let content = html.get(start..)?;
    let mut ends = memchr::memchr_iter(b'>', content);
    let end = ends.find(|end| {
        let inside = content.get(..*end).unwrap_or_default();
        matches!(inside, b"" | b"-") || inside.ends_with(b"--") || inside.ends_with(b"--!")
    });
    Some(start + end? + 1)
}

/// Finds the end of the end tag of an element with such a name, whose content begins here and is text.
fn end_of_text(html: &[u8], name: Range<usize>, start: usize) -> Option<usize> {
    let name = html.get(name)?;
    let mut at = start;
    loop {
        at = find(b'<', html, at)? + 1;
        let rest = html.get(at..)?.strip_prefix(b"/");
        let Some(end) = rest.and_then(|rest| rest.split_at_checked(name.len())) else {
            continue;
        };
        if end.0.eq_ignore_ascii_case(name) && end.1.first().is_some_and(ends_name) {
            return attributes(html, at + 1 + name.len(), b"").map(|tag| tag.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::UTF_8;
    use proptest::prelude::*;

    use super::{
        super::super::html::locate::{BlockKind, Located, Wish, locate},
        *,
    };

    fn sights(html: &str) -> Result<Vec<Sight>, Flaw> {
        let mut sights = Vec::new();
        walk(html.as_bytes(), |sight| {
            sights.push(sight);
            Ok(())
        })?;
        Ok(sights)
    }

    /// Returns the same out of what the first parser found: first the links, then the images.
    fn sights_of(located: &Located) -> impl Iterator<Item = Sight> {
        let links = located.anchors.iter().map(|anchor| Sight::Link {
            address: anchor.href.place.clone(),
            inside: anchor.inside,
        });
        let images = located
            .blocks
            .iter()
            .filter(|block| block.kind == BlockKind::Image);
        let images = images.filter_map(|image| {
            Some(Sight::Image {
                start: image.start.start,
                source: image.address.as_ref()?.place.clone(),
            })
        });
        links.chain(images)
    }

    /// What the first parser sees.
    fn located(html: &str) -> Option<Vec<Sight>> {
        let located = locate(html.as_bytes(), UTF_8, Wish::Artefacts)?;
        let mut all: Vec<Sight> = sights_of(&located).collect();
        all.sort_by_key(|sight| match sight {
            Sight::Image { source, .. } => source.start,
            Sight::Link { address, .. } => address.start,
        });
        located.is_open_ended.then_some(all)
    }

    #[test]
    fn links_and_pictures_are_seen_with_their_addresses() {
        let html = "<!DOCTYPE html><A\nHREF = 'x>\"y' href=z>t</A><img alt=\"<a href=b>\" src=c/><area/href=d >";

        let sights = sights(html).unwrap();

        let seen = sights.iter().map(|sight| match sight {
            Sight::Image { source, .. } => html.get(source.clone()).unwrap(),
            Sight::Link { address, .. } => html.get(address.clone()).unwrap(),
        });
        assert_eq!(seen.collect::<Vec<_>>(), ["x>\"y", "c/", "d"]);
    }

    #[test]
    fn what_only_looks_like_markup_is_none() {
        for html in [
            "<!-- <a href=x> --!> -->",
            "<!--><!---><!-- > -- <a href=x> ->-->",
            "<!x <a href=x>",
            "<?x <a href=x>",
            "</ <a href=x>",
            "</b <a href=x>",
            "<style><a href=x></styles></style ></STYLE/x>",
            "<title><a href=x><!--</title>",
            "<noscript><img src=x></noscript>",
            "< a href=x><1><>",
            "<b title=\"<a href=x>\" <a href=y>",
            "<a><a name=x href2=y><image src=x><abbr href=z><img>",
        ] {
            assert_eq!(sights(html), Ok(Vec::new()), "{html}");
        }
    }

    #[test]
    fn unfinished_markup_is_told() {
        for html in [
            "<b",
            "<b x",
            "<b x=",
            "<b x='>",
            "</",
            "</b",
            "<!--",
            "<!-- >",
            "<!x",
            "<title>x</titl",
            "<a href=\"x>",
            "<script>x",
            "<plaintext></x>",
            "<svg><g>",
            "<svg><title>x",
        ] {
            assert_eq!(sights(html), Err(UNFINISHED), "{html}");
        }
    }

    #[test]
    fn scripts_are_text_and_comments_in_them_a_flaw() {
        let link = "<a href=x>";

        assert_eq!(sights(&format!("<script>{link}</script >")), Ok(Vec::new()));
        assert_eq!(
            sights(&format!("<script><!--{link}</script>")),
            Err("script")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn both_parsers_see_the_same(
            pieces in proptest::collection::vec(
                prop_oneof![
                    "</?(a|A|area|img|b|style|title|textarea|noscript|xmp|iframe|!doctype|!--|!|/|\\?)",
                    "[ \n\t/]?(href|HREF|src|x|=)(=|= |=\"|='|)",
                    "[-<>\"'/=!? a\u{e9}]{1,3}",
                    "-->|--!>|>|\">|'>|]]>|<!\\[CDATA\\[",
                ],
                0..14,
            )
        ) {
            let html = pieces.concat();

            let seen = sights(&html).ok();

            // Where a tag ends after an equals sign, the first parser takes what follows for markup even in a style sheet.
            let is_empty = html.split_ascii_whitespace().collect::<String>().contains("=>");
            let holds_text = ["style", "ti", "te", "no", "x", "if"].iter().any(|name| html.contains(&format!("<{name}")));
            if !is_empty || !holds_text {
                prop_assert_eq!(seen, located(&html));
            }
        }
    }
}
