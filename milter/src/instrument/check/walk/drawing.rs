// SPDX-License-Identifier: GPL-3.0-or-later
//! Drawings and formulas, in which tags follow rules of their own, and which some tags of HTML end unasked (HTML standard,
//! section 13.2.6.5). Only what is in good order is read; programs differ in what they make of the rest.

use std::ops::Range;

use super::{Attribute, Flaw, Sight, UNFINISHED, attributes, end_of_comment, find, name_at};

/// Shows the links in a drawing whose content begins at `from`, and returns where its end tag ends.
///
/// # Errors
///
/// Returns what is wrong with a link that was shown, or that the drawing is not in good order.
pub(super) fn walk(
    html: &[u8],
    name: Range<usize>,
    from: usize,
    show: &mut impl FnMut(Sight) -> Result<(), Flaw>,
) -> Result<usize, Flaw> {
    let mut open = vec![name];
    let mut at = from;
    loop {
        let start = find(b'<', html, at).ok_or(UNFINISHED)?;
        let after = html.get(start + 1..).unwrap_or_default();
        at = match after {
            [first, ..] if first.is_ascii_alphabetic() => {
                let name = name_at(html, start + 1);
                let role = Role::of(html.get(name.clone()).unwrap_or_default())?;
                let tag = attributes(html, name.end, b"href").ok_or(UNFINISHED)?;
                if let (Role::Link, Some(Attribute { name, value })) = (role, tag.wanted) {
                    let address = value.unwrap_or(name);
                    let inside = tag.end;
                    show(Sight::Link { address, inside })?;
                }
                if !tag.is_self_closing {
                    if role == Role::Words && find(b'<', html, tag.end) != end_tag(html, tag.end) {
                        return Err(DISORDER);
                    }
                    open.push(name);
                }
                if open.len() > DEEPEST {
                    return Err(DISORDER);
                }
                tag.end
            }
            [b'/', first, ..] if first.is_ascii_alphabetic() => {
                let name = html.get(name_at(html, start + 2)).unwrap_or_default();
                let inner = open.pop().and_then(|inner| html.get(inner));
                if !inner.is_some_and(|inner| inner.eq_ignore_ascii_case(name)) {
                    return Err(DISORDER);
                }
                let end = attributes(html, start + 2 + name.len(), b"")
                    .ok_or(UNFINISHED)?
                    .end;
                if open.is_empty() {
                    return Ok(end);
                }
                end
            }
            [b'!', b'-', b'-', ..] => end_of_comment(html, start + 4).ok_or(UNFINISHED)?,
            // A section of characters, or what nobody means.
            [b'!' | b'/' | b'?', ..] => return Err(DISORDER),
            _ => start + 1,
        };
    }
}

const DISORDER: Flaw = "drawing";

/// As many open elements as browsers keep.
const DEEPEST: usize = 512;

/// Finds the next end tag.
fn end_tag(html: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(html.get(from..)?, b"</").map(|place| from + place)
}

/// What an element is in a drawing.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    Link,
    Other,
    /// HTML may stand in it; here, only words may.
    Words,
}

impl Role {
    fn of(name: &[u8]) -> Result<Self, Flaw> {
        let lower = name.to_ascii_lowercase();
        match &*lower {
            b"a" | b"area" => Ok(Self::Link),
            b"desc" | b"mi" | b"mn" | b"mo" | b"ms" | b"mtext" | b"title" => Ok(Self::Words),
            _ if ENDING.contains(&&*lower) => Err(DISORDER),
            _ => Ok(Self::Other),
        }
    }
}

/// What ends a drawing unasked, or has rules of HTML hold in it.
const ENDING: [&[u8]; 50] = [
    b"annotation-xml",
    b"b",
    b"big",
    b"blockquote",
    b"body",
    b"br",
    b"center",
    b"code",
    b"dd",
    b"div",
    b"dl",
    b"dt",
    b"em",
    b"embed",
    b"font",
    b"foreignobject",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"head",
    b"hr",
    b"i",
    b"img",
    b"li",
    b"listing",
    b"math",
    b"menu",
    b"meta",
    b"nobr",
    b"ol",
    b"p",
    b"pre",
    b"ruby",
    b"s",
    b"script",
    b"small",
    b"span",
    b"strike",
    b"strong",
    b"sub",
    b"sup",
    b"svg",
    b"table",
    b"tt",
    b"u",
    b"ul",
    b"var",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn links_in(html: &str) -> Result<usize, Flaw> {
        let mut links = 0;
        super::super::walk(html.as_bytes(), |_| {
            links += 1;
            Ok(())
        })?;
        Ok(links)
    }

    #[test]
    fn drawings_in_good_order_are_read() {
        for (html, links) in [
            ("<svg/><a href=x>", 1),
            ("<SVG a=/><A href=x><g/></A></SVG>", 1),
            (
                "<svg><style><a href=x></a></style><title>x</title></svg><a href=x>",
                2,
            ),
            ("<svg><a xlink:href=x /><!-- </svg> --></svg>", 0),
            ("<math><mi>x</mi> < <mo/></math>", 0),
        ] {
            assert_eq!(links_in(html), Ok(links), "{html}");
        }
    }

    #[test]
    fn drawings_that_programs_read_in_several_ways_are_a_flaw() {
        for html in [
            "<svg><p></svg>",
            "<svg><svg></svg></svg>",
            "<svg><g></svg></g>",
            "<svg></p></svg>",
            "<svg><desc><b></desc></svg>",
            "<svg><title></desc></title></svg>",
            "<svg><foreignObject></title></foreignObject></svg>",
            "<svg><![CDATA[<p>]]></svg>",
            "<math><annotation-xml></annotation-xml></math>",
        ] {
            assert_eq!(links_in(html), Err(DISORDER), "{html}");
        }
    }
}
