// SPDX-License-Identifier: GPL-3.0-or-later
//! The edit of an HTML part: links get tracked URLs, and the disclosure, with the pixel in it, a place before quoted
//! text, else before the last end tag of `body`, else at the end.

pub(crate) mod locate;
mod opt_out;
mod quotes;

use std::{borrow::Cow, ops::Range};

use self::locate::{Anchor, Located, Wish, locate};
use super::{
    charset::Charset,
    disclosure::FIRST_LINE,
    record::{LinkReason, LinkRecord, PartReason},
    rules,
    session::{Session, left_alone},
    splice::Edits,
    transfer::{Decoded, LineWatch},
};

/// What is to be done with an HTML part.
pub(crate) struct HtmlEdit {
    /// Edits of links; the disclosure is not among them.
    pub(crate) edits: Edits,
    /// Where the disclosure goes.
    pub(crate) place: usize,
    /// What stands there goes on in a line of its own.
    pub(crate) ends_line: bool,
    pub(crate) links: Vec<LinkRecord>,
    /// Whether a link was left alone because its line would have grown too long.
    pub(crate) is_cramped: bool,
}

/// Works out the edit of a part.
///
/// # Errors
///
/// Returns the reason for which the part must be left alone.
pub(crate) fn plan(
    session: &mut Session<'_>,
    part: &Decoded<'_>,
    encoded: &[u8],
    charset: Charset,
    mut lines: LineWatch<'_>,
) -> Result<HtmlEdit, PartReason> {
    let html: &[u8] = &part.text;
    let located = locate(html, charset.encoding, Wish::Edit).ok_or(PartReason::Markup)?;
    let place = place_of(&located, html).ok_or(PartReason::Markup)?;
    let ends_line = place < html.len() || html.ends_with(b"\n");
    let mut edit = HtmlEdit {
        edits: Edits::default(),
        place,
        ends_line,
        links: Vec::new(),
        is_cramped: false,
    };
    if session.plan.links.in_html() {
        let mut is_placed = false;
        for anchor in &located.anchors {
            if !is_placed && anchor.href.start >= place {
                is_placed = true;
                admit_disclosure(&mut lines, place, ends_line)?;
            }
            let record = edit.take(session, part, encoded, charset, anchor, &mut lines);
            edit.links.push(record);
        }
        if !is_placed {
            admit_disclosure(&mut lines, place, ends_line)?;
        }
    } else {
        admit_disclosure(&mut lines, place, ends_line)?;
        for anchor in &located.anchors {
            // The twin in plain text may still be rewritten, and must know.
            if !anchor.opt_outs.is_empty() && !anchor.is_quoted {
                session.opt_out(&destination_of(&anchor.raw));
            }
        }
    }
    Ok(edit)
}

/// The last line of the disclosure block is no longer than this.
const LAST_LINE: usize = 120;

fn admit_disclosure(
    lines: &mut LineWatch<'_>,
    place: usize,
    ends_line: bool,
) -> Result<(), PartReason> {
    let last = if ends_line { 0 } else { LAST_LINE };
    lines
        .admit(place..place, FIRST_LINE, Some(last))
        .then_some(())
        .ok_or(PartReason::Markup)
}

fn place_of(located: &Located, html: &[u8]) -> Option<usize> {
    if !located.is_open_ended {
        // The text ends in the midst of a comment, a tag or the like; programs differ in what they make of it.
        return None;
    }
    located.quote.or(located.body_end).or(Some(html.len()))
}

impl HtmlEdit {
    fn take(
        &mut self,
        session: &mut Session<'_>,
        part: &Decoded<'_>,
        encoded: &[u8],
        charset: Charset,
        anchor: &Anchor,
        lines: &mut LineWatch<'_>,
    ) -> LinkRecord {
        let destination = destination_of(&anchor.raw);
        let text = visible_text(&part.text, anchor, charset);
        let target = match session.rules.judge(&destination, &text) {
            Ok(target) => target,
            Err(LinkReason::OptedOut) if !anchor.is_quoted => {
                self.restore_scheme(&part.text, anchor, lines);
                return left_alone("", &text, LinkReason::OptedOut);
            }
            Err(reason) => {
                if !anchor.opt_outs.is_empty() && !anchor.is_quoted {
                    self.remove_opt_outs(session, anchor, &destination, lines);
                }
                return left_alone("", &text, reason);
            }
        };
        let host = target.host;
        let refuse = |reason| left_alone(&host, &text, reason);
        if anchor.is_quoted {
            return refuse(LinkReason::Quoted);
        }
        if !anchor.is_content {
            return refuse(LinkReason::NotContent);
        }
        if !anchor.opt_outs.is_empty() {
            self.remove_opt_outs(session, anchor, &destination, lines);
            return refuse(LinkReason::OptedOut);
        }
        if !charset.is_certain(&destination) || !part.is_editable(encoded, anchor.href.clone()) {
            return refuse(LinkReason::Ambiguous);
        }
        let Some(ordinal) = session.next() else {
            return refuse(LinkReason::TooMany);
        };
        let url = session.url(ordinal, &destination);
        let url = attribute_value(&url, &part.text, &anchor.href);
        if !lines.admit(anchor.href.clone(), url.len(), None) {
            self.is_cramped = true;
            return refuse(LinkReason::LineLength);
        }
        self.edits.push(anchor.href.clone(), url.as_bytes());
        session.take(ordinal, destination.into_owned(), host, &text)
    }

    /// Takes the attributes out that asked for the link to be left alone.
    fn remove_opt_outs(
        &mut self,
        session: &mut Session<'_>,
        anchor: &Anchor,
        destination: &str,
        lines: &mut LineWatch<'_>,
    ) {
        session.opt_out(destination);
        for (range, rest) in &anchor.opt_outs {
            lines.admit(range.clone(), rest.len(), None);
            self.edits.push(range.clone(), rest.as_bytes());
        }
    }

    /// Takes the mark out of a scheme that asked for the link to be left alone; without it no program knows the scheme.
    fn restore_scheme(&mut self, html: &[u8], anchor: &Anchor, lines: &mut LineWatch<'_>) {
        let value = html.get(anchor.href.clone()).unwrap_or_default();
        let lead = value.len() - value.trim_ascii_start().len();
        let mark = std::str::from_utf8(value.trim_ascii_start())
            .ok()
            .and_then(rules::opt_out_in_scheme);
        if let Some(mark) = mark {
            let start = anchor.href.start + lead;
            let range = start + mark.start..start + mark.end;
            lines.admit(range.clone(), 0, None);
            self.edits.push(range, b"");
        }
    }
}

/// Tells whether there is a picture or visible text; what cannot be read counts as something.
pub(crate) fn has_content(html: &[u8], charset: Charset) -> bool {
    locate(html, charset.encoding, Wish::Content).is_none_or(|located| located.has_content)
}

/// How much of a link is read for its text, in octets.
const MAX_TEXT: usize = 2000;

/// Reads what stands between the tags of a link, for the report and for rules about what the reader sees. A reading
/// aid: what stands in odd places of odd markup may be missing from it.
fn visible_text(html: &[u8], anchor: &Anchor, charset: Charset) -> String {
    let mut rest = html.get(anchor.inside..).unwrap_or_default();
    rest = rest.get(..MAX_TEXT).unwrap_or(rest);
    let mut octets = Vec::new();
    while let Some(tag) = memchr::memchr(b'<', rest) {
        octets.extend_from_slice(rest.get(..tag).unwrap_or_default());
        let after = rest.get(tag..).unwrap_or_default();
        let is_end = matches!(
            after,
            [
                _,
                b'/',
                b'a' | b'A',
                b'>' | b' ' | b'\t' | b'\r' | b'\n',
                ..
            ]
        );
        let Some(close) = memchr::memchr(b'>', after).filter(|_| !is_end) else {
            break;
        };
        rest = after.get(close + 1..).unwrap_or_default();
    }
    let (text, _) = charset.encoding.decode_without_bom_handling(&octets);
    htmlize::unescape(text.as_ref()).into_owned()
}

/// Reads a destination as browsers do: entities decoded once, blanks around it dropped.
pub(crate) fn destination_of(raw: &str) -> Cow<'_, str> {
    let is_blank = |c: char| c <= ' ';
    match htmlize::unescape_attribute(raw) {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(is_blank)),
        Cow::Owned(text) if text.starts_with(is_blank) || text.ends_with(is_blank) => {
            Cow::Owned(text.trim_matches(is_blank).to_owned())
        }
        Cow::Owned(text) => Cow::Owned(text),
    }
}

/// Writes a URL of ours as the value of an attribute. It needs no escaping, except that `=` is not allowed in a value
/// without quotes.
fn attribute_value<'a>(url: &'a str, html: &[u8], place: &Range<usize>) -> Cow<'a, str> {
    let before = place
        .start
        .checked_sub(1)
        .and_then(|before| html.get(before));
    match before {
        Some(b'"' | b'\'') => Cow::Borrowed(url),
        _ => Cow::Owned(url.replace('=', "&#61;")),
    }
}
