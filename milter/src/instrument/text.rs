// SPDX-License-Identifier: GPL-3.0-or-later
//! The edit of a plain-text part. Changing text that people see and copy is the most noticed of all edits, so a URL is
//! rewritten only where every reader would find the same beginning and the same end; when in doubt, not.
//!
//! Looked for by linkify, line by line; delimiters follow RFC 3986, appendix C. Quoted lines, what follows a mark of
//! quotation, and signatures are left alone.

use std::ops::Range;

use linkify::{LinkFinder, LinkKind};

use super::{
    charset::Charset,
    quotation,
    record::{LinkReason, LinkRecord},
    rules,
    session::{Session, left_alone},
    splice::Edits,
    structure::DelSp,
    transfer::{Decoded, LineWatch},
};

/// Longer lines are not looked at.
const MAX_LINE: usize = 20_000;

/// A line that ends here or later may have been wrapped in the midst of a URL.
const WRAPPED: usize = 65;

/// What is to be done with a plain-text part; nothing but the disclosure, by default.
#[derive(Default)]
pub(crate) struct PlainEdit {
    /// Edits of links; the disclosure is not among them.
    pub(crate) edits: Edits,
    pub(crate) links: Vec<LinkRecord>,
    /// Whether a link was left alone because its line would have grown too long.
    pub(crate) is_cramped: bool,
}

/// Works out the edit of a part.
pub(crate) fn plan(
    session: &mut Session<'_>,
    part: &Decoded<'_>,
    encoded: &[u8],
    charset: Charset,
    flowed: Option<DelSp>,
    mut watch: LineWatch<'_>,
) -> PlainEdit {
    let mut edit = PlainEdit::default();
    let finder = {
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]);
        finder
    };
    let wants_links = session.plan.links.in_text();
    let has_shifting_trails = has_ascii_trails(charset);
    let is_patch = is_patch(&part.text);
    let mut before: &[u8] = b"";
    let mut ground = Ground::Text;
    for line in Lines::new(&part.text) {
        let content = line.content;
        let before = std::mem::replace(&mut before, content);
        ground = ground.after(&line, &part.text, charset);
        let reason = match ground {
            Ground::Quoted | Ground::Rest => Some(LinkReason::Quoted),
            Ground::Signature => Some(LinkReason::Signature),
            Ground::Text if has_shifting_trails && !content.is_ascii() => {
                Some(LinkReason::Ambiguous)
            }
            Ground::Text if is_patch => Some(LinkReason::NotContent),
            Ground::Text => None,
        };
        if content.len() > MAX_LINE || memchr::memmem::find(content, b"://").is_none() {
            continue;
        }
        let masked = mask(content);
        let mut marked = 0;
        for found in finder.links(&masked) {
            if found.start() < marked {
                // Within a URL that is done with.
                continue;
            }
            if reason.is_none()
                && let Some(mark) = opt_out_after(&masked, found.start())
            {
                marked = mark.end;
                let mark = line.start + mark.start..line.start + mark.end;
                watch.admit(mark.clone(), 0, None);
                edit.edits.push(mark, b"");
                edit.links.push(left_alone("", "", LinkReason::OptedOut));
                continue;
            }
            let verdict = match reason {
                Some(reason) => Err(reason),
                None => delimit(&masked, found.start()..found.end(), &line, flowed),
            };
            let range = match verdict {
                Ok(range) => line.start + range.start..line.start + range.end,
                Err(reason) => {
                    edit.links.push(left_alone("", "", reason));
                    continue;
                }
            };
            let url = part.text.get(range.clone()).unwrap_or_default();
            let Ok(url) = std::str::from_utf8(url) else {
                continue;
            };
            if !wants_links {
                edit.restore_scheme(url, range.start, &mut watch);
                continue;
            }
            let place = range.start - line.start..range.end - line.start;
            let words = words_for(content, place, before);
            let record = if session.rules.may_lead_out(words) && leads_out(words, charset) {
                edit.restore_scheme(url, range.start, &mut watch);
                left_alone("", "", LinkReason::Unsubscribe)
            } else {
                edit.take(session, part, encoded, url, range, &mut watch)
            };
            edit.links.push(record);
        }
    }
    edit
}

impl PlainEdit {
    fn take(
        &mut self,
        session: &mut Session<'_>,
        part: &Decoded<'_>,
        encoded: &[u8],
        url: &str,
        range: Range<usize>,
        watch: &mut LineWatch<'_>,
    ) -> LinkRecord {
        let target = match session.rules.judge(url, "") {
            Ok(target) => target,
            Err(reason) => {
                self.restore_scheme(url, range.start, watch);
                return left_alone("", "", reason);
            }
        };
        let refuse = |reason| left_alone(&target.host, "", reason);
        if let Some(reason) = session.spared(url) {
            return refuse(reason);
        }
        if !part.is_editable(encoded, range.clone()) {
            return refuse(LinkReason::Ambiguous);
        }
        let Some(ordinal) = session.twin(url).or_else(|| session.next()) else {
            return left_alone("", "", LinkReason::TooMany);
        };
        let tracked = session.url(ordinal, url);
        if !watch.admit(range.clone(), tracked.len(), None) {
            self.is_cramped = true;
            return refuse(LinkReason::LineLength);
        }
        self.edits.push(range, tracked);
        session.take(ordinal, url, target.host, "")
    }

    /// Takes the mark of an opt-out out of the scheme of a URL that stands at a place.
    fn restore_scheme(&mut self, url: &str, place: usize, watch: &mut LineWatch<'_>) {
        if let Some(mark) = rules::opt_out_in_scheme(url) {
            let mark = place + mark.start..place + mark.end;
            watch.admit(mark.clone(), 0, None);
            self.edits.push(mark, b"");
        }
    }
}

/// Tells whether an author may have opted a URL out.
pub(crate) fn may_hold_opt_outs(text: &[u8]) -> bool {
    memchr::memmem::find(text, OPT_OUT_MARK.as_bytes()).is_some()
        || memchr::memmem::find_iter(text, b"://").any(|end| {
            let scheme = text.get(..end).unwrap_or_default();
            scheme
                .get(scheme.len().saturating_sub(b"+notrack".len())..)
                .is_some_and(|mark| mark.eq_ignore_ascii_case(b"+notrack"))
        })
}

/// Tells whether a text holds a patch, which must stay as it is to be applied: a line that begins with `diff --git `, or
/// the lines that name the two files and the place in them.
fn is_patch(text: &[u8]) -> bool {
    let begins_line = |at: &usize| *at == 0 || text.get(at - 1) == Some(&b'\n');
    if memchr::memmem::find_iter(text, b"diff --git ").any(|at| begins_line(&at)) {
        return true;
    }
    memchr::memmem::find_iter(text, b"--- ")
        .filter(begins_line)
        .any(|start| {
            let mut lines = Lines { text, at: start }.skip(1).map(|line| line.content);
            lines.next().is_some_and(|line| line.starts_with(b"+++ "))
                && lines.next().is_some_and(|line| line.starts_with(b"@@"))
        })
}

/// Returns the words that tell what a URL in a line is for: those before it in the line, or those of the line above, if
/// that ends in a colon and the URL stands alone. Words before another URL belong to that.
fn words_for<'a>(line: &'a [u8], url: Range<usize>, above: &'a [u8]) -> &'a [u8] {
    let is_word = |octet: &u8| octet.is_ascii_alphanumeric() || !octet.is_ascii();
    let behind = line.get(url.end..).unwrap_or_default();
    let mut before = line.get(..url.start).unwrap_or_default();
    if before.eq_ignore_ascii_case(b"<url:") || !before.iter().any(is_word) {
        let above = above.trim_ascii_end();
        if behind.iter().any(is_word) || !above.ends_with(b":") {
            return b"";
        }
        before = above;
    }
    if let Some(other) = memchr::memmem::rfind(before, b"://") {
        let after = before.get(other..).unwrap_or_default();
        let end = after.iter().position(u8::is_ascii_whitespace);
        before = end.and_then(|end| after.get(end..)).unwrap_or_default();
    }
    before
        .get(before.len().saturating_sub(MAX_WORDS)..)
        .unwrap_or(before)
}

/// Tells whether the words before a URL say that it leads out of a mailing; those of an earlier sentence do not.
fn leads_out(words: &[u8], charset: Charset) -> bool {
    let (words, _) = charset.encoding.decode_without_bom_handling(words);
    rules::is_told_by(rules::last_sentence(&words))
}

/// How much is read of the words before a URL, in octets.
const MAX_WORDS: usize = 120;

/// The mark by which SparkPost's authors opt a URL in plain text out.
pub(crate) const OPT_OUT_MARK: &str = "[[data-msys-clicktrack=\"0\"]]";

/// Finds the mark of an opt-out, if it stands directly behind the URL that begins here.
fn opt_out_after(line: &str, start: usize) -> Option<Range<usize>> {
    let rest = line.get(start..)?;
    let place = rest.find(OPT_OUT_MARK)?;
    let url = rest.get(..place)?;
    let is_one_url = !url.contains(|c: char| c.is_ascii_whitespace() || c == MASKED);
    is_one_url.then_some(start + place..start + place + OPT_OUT_MARK.len())
}

/// Where in a message a line stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ground {
    /// A quoted line.
    Quoted,
    /// After a mark of quotation: quoted to the end.
    Rest,
    Signature,
    Text,
}

impl Ground {
    /// Tells what a line is, given the one before it.
    fn after(self, line: &Line<'_>, text: &[u8], charset: Charset) -> Self {
        if matches!(self, Self::Rest | Self::Signature) {
            return self;
        }
        let content = line.content;
        let bare = content.trim_ascii();
        if bare.first() == Some(&b'>') {
            Self::Quoted
        } else if content == b"-- " || content == b"--" {
            Self::Signature
        } else if quotation::is_rule(bare) || begins_header_lines(line, text, charset) {
            Self::Rest
        } else {
            Self::Text
        }
    }
}

/// Tells whether header lines of a quoted message begin with a line.
fn begins_header_lines(line: &Line<'_>, text: &[u8], charset: Charset) -> bool {
    if memchr::memchr(b':', line.content).is_none() {
        return false;
    }
    let from_here = Lines {
        text,
        at: line.start,
    };
    quotation::begins(from_here.map(|line| {
        let start = line.content.get(..MAX_LABEL).unwrap_or(line.content);
        charset.encoding.decode_without_bom_handling(start).0
    }))
}

/// How much of a line is read for the label before its colon, in octets.
const MAX_LABEL: usize = 80;

/// Replaces what lies beyond ASCII, octet by octet, by something that no URL holds.
fn mask(line: &[u8]) -> String {
    line.iter()
        .map(|octet| {
            if octet.is_ascii() {
                char::from(*octet)
            } else {
                MASKED
            }
        })
        .collect()
}

const MASKED: char = '\u{1}';

/// Tells whether octets of ASCII may be the second half of a character.
fn has_ascii_trails(charset: Charset) -> bool {
    let encoding = charset.encoding;
    encoding == encoding_rs::SHIFT_JIS
        || encoding == encoding_rs::BIG5
        || encoding == encoding_rs::GBK
        || encoding == encoding_rs::GB18030
        || encoding == encoding_rs::EUC_KR
}

/// Finds where a URL begins and ends for sure.
fn delimit(
    line: &str,
    found: Range<usize>,
    whole: &Line<'_>,
    flowed: Option<DelSp>,
) -> Result<Range<usize>, LinkReason> {
    let octets = line.as_bytes();
    let before = octets.get(..found.start).unwrap_or_default();
    if is_bracketed(before) {
        return delimit_bracketed(line, found.start);
    }
    let opener = before.last().copied();
    let is_opened = opener.is_none_or(|octet| {
        octet.is_ascii_whitespace() || matches!(octet, b'(' | b'[' | b'{' | b'"' | b'\'')
    });
    let url = line.get(found.clone()).ok_or(LinkReason::Ambiguous)?;
    let after = octets.get(found.end..).unwrap_or_default();
    let stop = after
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(after.len());
    let (trail, rest) = after.split_at_checked(stop).unwrap_or((after, b""));
    let is_closed = match opener {
        Some(quote @ (b'"' | b'\'')) => trail.first() == Some(&quote),
        Some(b'(') => trail.first() == Some(&b')'),
        Some(b'[') => trail.first() == Some(&b']'),
        Some(b'{') => trail.first() == Some(&b'}'),
        _ => true,
    };
    if !is_opened || !is_closed || !is_plain_trail(trail) || is_doubtful(url) {
        return Err(LinkReason::Ambiguous);
    }
    // What follows may be of the URL too, if it goes on: `…/page?` and in the next line `id=5`.
    if is_perhaps_wrapped(whole, rest, flowed) {
        return Err(LinkReason::Ambiguous);
    }
    Ok(found)
}

/// Tells whether `<` or `<URL:` stands directly before.
fn is_bracketed(before: &[u8]) -> bool {
    let before = match before
        .len()
        .checked_sub(4)
        .and_then(|at| before.split_at_checked(at))
    {
        Some((head, label)) if label.eq_ignore_ascii_case(b"url:") => head,
        _ => before,
    };
    before.ends_with(b"<")
}

/// In angle brackets a URL reaches to the closing one (RFC 3986, appendix C).
fn delimit_bracketed(line: &str, start: usize) -> Result<Range<usize>, LinkReason> {
    let rest = line.get(start..).unwrap_or_default();
    let end = rest.find('>').ok_or(LinkReason::Ambiguous)?;
    let url = rest.get(..end).unwrap_or_default();
    let is_url = url
        .bytes()
        .all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'"'));
    is_url
        .then_some(start..start + end)
        .ok_or(LinkReason::Ambiguous)
}

/// Tells whether what follows a URL, up to a blank, is punctuation of the sentence and no part of the URL.
fn is_plain_trail(trail: &[u8]) -> bool {
    let is_punctuation = trail.iter().all(|octet| {
        matches!(
            octet,
            b'.' | b',' | b':' | b';' | b'!' | b'?' | b')' | b']' | b'}' | b'"' | b'\''
        )
    });
    let is_ellipsis = trail.starts_with(b"..");
    is_punctuation && !is_ellipsis && trail.len() <= 4
}

/// Tells whether the end of a URL could be meant otherwise: emphasis, an entity, a hyphen that wraps a word, a bracket
/// that is opened or closed only once.
fn is_doubtful(url: &str) -> bool {
    let is_balanced = |open, close| url.matches(open).count() == url.matches(close).count();
    url.ends_with(['*', '_', '~', '-', '\'', '&', '%', '\\', '^', '|'])
        || url.contains(MASKED)
        || url.contains("&amp;")
        || url.contains("&lt;")
        || url.contains("&gt;")
        || url.contains("&quot;")
        || url.contains("&#")
        || url.contains("...")
        || holds_two(url)
        || !(is_balanced('(', ')') && is_balanced('[', ']') && is_balanced('{', '}'))
}

/// Tells whether a URL may be two with a comma or a semicolon between them.
fn holds_two(url: &str) -> bool {
    let mut parts = url.split([',', ';']).skip(1);
    parts.any(|part| {
        let part = part.to_ascii_lowercase();
        part.starts_with("https://") || part.starts_with("http://")
    })
}

/// Tells whether a URL at the end of a line may go on in the next one.
fn is_perhaps_wrapped(line: &Line<'_>, rest: &[u8], flowed: Option<DelSp>) -> bool {
    if !rest.trim_ascii().is_empty() {
        return false;
    }
    let is_soft = flowed.is_some() && rest.ends_with(b" ");
    let next = line.next.unwrap_or_default();
    let continues = next
        .first()
        .is_some_and(|octet| !octet.is_ascii_whitespace() && *octet != b'>');
    (is_soft && continues) || (rest.is_empty() && line.content.len() >= WRAPPED && continues)
}

/// A line and the one after it, without their ends.
struct Line<'a> {
    start: usize,
    content: &'a [u8],
    next: Option<&'a [u8]>,
}

struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    fn line_at(&self, at: usize) -> Option<(&'a [u8], usize)> {
        let rest = self.text.get(at..).filter(|rest| !rest.is_empty())?;
        let (whole, length) = match memchr::memchr(b'\n', rest) {
            Some(end) => (rest.get(..end)?, end + 1),
            None => (rest, rest.len()),
        };
        Some((whole.strip_suffix(b"\r").unwrap_or(whole), length))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.at;
        let (content, length) = self.line_at(start)?;
        self.at += length;
        Some(Line {
            start,
            content,
            next: self.line_at(self.at).map(|(content, _)| content),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks what would be rewritten with double brackets.
    fn mark(text: &str, flowed: Option<DelSp>) -> String {
        let mut out = String::new();
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]);
        let charset = Charset::find(Some("utf-8")).unwrap();
        let mut ground = Ground::Text;
        let mut from = 0;
        for line in Lines::new(text.as_bytes()) {
            ground = ground.after(&line, text.as_bytes(), charset);
            let masked = mask(line.content);
            for found in finder.links(&masked) {
                if ground != Ground::Text {
                    continue;
                }
                if let Ok(range) = delimit(&masked, found.start()..found.end(), &line, flowed) {
                    let (start, end) = (line.start + range.start, line.start + range.end);
                    for piece in [
                        text.get(from..start),
                        Some("<<"),
                        text.get(start..end),
                        Some(">>"),
                    ] {
                        out.push_str(piece.unwrap());
                    }
                    from = end;
                }
            }
        }
        out.push_str(text.get(from..).unwrap());
        out
    }

    #[test]
    fn the_ten_strings_keep_what_is_theirs() {
        for (text, expected) in [
            (
                "See https://example.com/foo. Bye",
                "See <<https://example.com/foo>>. Bye",
            ),
            ("https://example.com/", "<<https://example.com/>>"),
            ("https://x.io/v?t=YWJj==", "<<https://x.io/v?t=YWJj==>>"),
            ("(https://x.io/a)", "(<<https://x.io/a>>)"),
            ("<https://x.io/a>", "<<<https://x.io/a>>>"),
            ("https://x.io?a=1", "<<https://x.io?a=1>>"),
            ("https://x.io/a,b", "<<https://x.io/a,b>>"),
            ("https://x.io/Jack's", "<<https://x.io/Jack's>>"),
            ("HTTPS://X.IO/a!b@c", "<<HTTPS://X.IO/a!b@c>>"),
            ("https://x.io/a-b-c x", "<<https://x.io/a-b-c>> x"),
        ] {
            assert_eq!(mark(text, None), expected);
        }
    }

    #[test]
    fn delimiters_of_rfc_3986_are_known() {
        for (text, expected) in [
            ("<URL:https://x.io/a(b,>", "<URL:<<https://x.io/a(b,>>>"),
            ("\"https://x.io/a\".", "\"<<https://x.io/a>>\"."),
            ("(see https://x.io/a_(b)).", "(see <<https://x.io/a_(b)>>)."),
            ("[https://x.io/a], x", "[<<https://x.io/a>>], x"),
            ("https://x.io/a?", "<<https://x.io/a>>?"),
            ("https://x.io/#a x", "<<https://x.io/#a>> x"),
        ] {
            assert_eq!(mark(text, None), expected);
        }
    }

    #[test]
    fn doubtful_urls_are_left_alone() {
        for text in [
            "*https://x.io/a*",
            "_https://x.io/a_",
            "https://x.io/a...",
            "https://x.io/a…",
            "https://x.io/łąka",
            "https://x.io/a&amp;b",
            "https://x.io/a[[x=\"0\"]]",
            "xhttps|https://x.io/a",
            "<https://x.io/a",
            "\"https://x.io/a b",
            "(https://x.io/a",
            "> https://x.io/a",
            " > https://x.io/a",
            "-- \nhttps://x.io/a",
            "-----Original Message-----\nhttps://x.io/a",
            "---------- Forwarded message ---------\nhttps://x.io/a",
            "________________________________\nFrom: x\nhttps://x.io/a",
            "https://x.io/a-\nb",
            "De : Anna\nEnvoyé : lundi\nÀ : Jan\nObjet : x\n\nhttps://x.io/a",
            "OD: ANNA\nWYSŁANO: DZIŚ\nTEMAT: X\n\nhttps://x.io/a",
        ] {
            assert_eq!(mark(text, None), text);
        }
    }

    #[test]
    fn urls_that_may_go_on_in_the_next_line_are_left_alone() {
        let long = format!("https://x.io/{}", "a".repeat(60));
        let wrapped = format!("{long}\nbcd");
        let ended = format!("{long}\n\nbcd");

        assert_eq!(mark(&wrapped, None), wrapped);
        assert_eq!(mark(&ended, None), format!("<<{long}>>\n\nbcd"));
        for delsp in [DelSp::No, DelSp::Yes] {
            assert_eq!(
                mark("https://x.io/a \nb", Some(delsp)),
                "https://x.io/a \nb"
            );
        }
        assert_eq!(mark("https://x.io/a \nb", None), "<<https://x.io/a>> \nb");
    }

    #[test]
    fn punctuation_behind_a_url_may_be_of_it_where_lines_are_wrapped() {
        for trail in ["?", ")", ".", ",", "\")."] {
            let flowed = format!("See https://x.io/a{trail} \nb=1 end");
            assert_eq!(mark(&flowed, Some(DelSp::Yes)), flowed);
            let long = format!("https://x.io/{}{trail}\nid=5", "a".repeat(60));
            assert_eq!(mark(&long, None), long);
        }
        assert_eq!(
            mark("See https://x.io/a. \nb=1", None),
            "See <<https://x.io/a>>. \nb=1"
        );
    }

    #[test]
    fn two_urls_with_a_comma_between_are_left_alone() {
        for text in [
            "https://x.io/aaa,https://x.io/bbb",
            "https://x.io/aaa;HTTP://x.io/bbb",
        ] {
            assert_eq!(mark(text, None), text);
        }
        let nested = "https://x.io/a?u=https://y.io/";
        assert_eq!(mark(nested, None), format!("<<{nested}>>"));
    }

    #[test]
    fn patches_are_told_from_prose() {
        for text in [
            "diff --git a/x b/x\n",
            "Hello\r\n\r\n--- a/x\r\n+++ b/x\r\n@@ -1 +1 @@\r\n",
        ] {
            assert!(is_patch(text.as_bytes()), "{text}");
        }
        for text in [
            "Run diff --git a/x b/x\n",
            "--- a\n+++ b\n",
            "--- \nBye\n@@\n",
            "",
        ] {
            assert!(!is_patch(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn words_of_a_url_are_those_before_it() {
        for (line, above, expected) in [
            ("Unsubscribe: URL", "Above:", "Unsubscribe: "),
            ("<URL>", "Unsubscribe here:", "Unsubscribe here:"),
            ("URL to see", "Unsubscribe here:", ""),
            ("URL", "Unsubscribe here", ""),
            ("Unsubscribe: https://x.io/ Shop: URL", "", " Shop: "),
            ("* URL", "Wypisz:", "Wypisz:"),
        ] {
            let start = line.find("URL").unwrap();

            let words = words_for(line.as_bytes(), start..start + 3, above.as_bytes());

            assert_eq!(words, expected.as_bytes(), "{line}");
        }
    }
}
