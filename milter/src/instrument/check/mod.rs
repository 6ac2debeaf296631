// SPDX-License-Identifier: GPL-3.0-or-later
//! The self-check: the edited message is read again from its bytes before it may replace the original.
//!
//! Bytes outside edited parts must be equal; edited parts must decode to the original text with the planned edits and no
//! other difference, and each edit must be one of a kind that is meant: a tracked link, the mark of an opt-out, the
//! disclosure. The new HTML is read by a second parser: every link must be seen where it was and no other, every tracked
//! one verify and resolve to the destination that was read from the original, which is no artefact of any controller,
//! every other one keep its bytes; the disclosure must stand once where it belongs and lead to the recipient's page, the
//! pixel once in it. No line may have grown past what mail can carry.
//!
//! A flaw is told in a word or two, for the record: it is a bug of ours.

mod html;
mod unwrapped;
mod walk;

use std::ops::Range;

use common::tracking_url::{self, Artefact};

pub(crate) use self::unwrapped::check_unwrapped;
use super::{
    Artefacts,
    session::Session,
    splice::Edits,
    structure::{Part, Structure, Transfer},
    text::OPT_OUT_MARK,
    transfer::{LONGEST_LINE, read},
    work::{Planned, Work, recoding},
};
use crate::message::Message;

/// What is wrong with an edited message.
pub(crate) type Flaw = &'static str;

/// What was to become of the message.
pub(crate) struct Intended<'a> {
    pub(crate) old: &'a Message,
    pub(crate) structure: &'a Structure,
    pub(crate) works: &'a [Work<'a>],
    pub(crate) session: &'a Session<'a>,
    pub(crate) artefacts: &'a Artefacts,
}

/// Compares the edited message with what was intended.
///
/// # Errors
///
/// Returns the first difference.
pub(crate) fn check(intended: &Intended<'_>, new: &Message) -> Result<(), Flaw> {
    let mut pixels = 0;
    let (old, structure) = (intended.old, intended.structure);
    compare(
        old,
        structure,
        intended.works,
        new,
        |work, encoded, text| {
            demand(
                !has_long_line(encoded) || longest_line(encoded) <= longest_line(work.encoded),
                "line length",
            )?;
            match &work.planned {
                Some(Planned::Html(edit)) => pixels += html::check(intended, work, edit, text)?,
                Some(Planned::Plain(_)) => check_plain(intended, work, text)?,
                None => return Err("part that was not to be edited"),
            }
            Ok(())
        },
    )?;
    let is_meant = |work: &Work<'_>| work.planned.is_some() != work.edits.is_empty();
    demand(intended.works.iter().all(is_meant), "number of edits")?;
    let expected = usize::from(intended.works.iter().any(|work| work.record.pixel));
    demand(pixels == expected, "number of pixels")
}

/// Compares a message with what it was before some of its parts were edited, and lets the new content of each of
/// these be looked at, encoded and as a text.
fn compare<'a>(
    old: &Message,
    structure: &Structure,
    works: &'a [Work<'a>],
    new: &Message,
    mut look: impl FnMut(&'a Work<'a>, &[u8], &[u8]) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    let after = Structure::of(new).map_err(|_reason| "structure")?;
    demand(after.line_end == structure.line_end, "line ends")?;
    demand(
        after.parts.len() == structure.parts.len(),
        "number of parts",
    )?;
    let mut kept = Kept {
        old: &old.body,
        new: &new.body,
        old_at: 0,
        new_at: 0,
    };
    let mut edited = works
        .iter()
        .filter(|work| !work.edits.is_empty())
        .peekable();
    for (before, after) in structure.parts.iter().zip(&after.parts) {
        let work = edited.next_if(|work| std::ptr::eq(work.part, before));
        check_description(before, after, work)?;
        match work {
            Some(work) => {
                check_header(structure, before, after, work, &mut kept)?;
                kept.pass(before.body.clone(), after.body.clone())?;
                let encoded = new.body.get(after.body.clone()).ok_or("range of a part")?;
                let text = read(encoded, after.transfer).map_err(|_reason| "encoding")?;
                check_content(work, encoded, &text)?;
                look(work, encoded, &text)?;
            }
            // All bytes between edited parts are compared; that these are the same part is seen by its place.
            None => demand(
                before.is_multipart() || kept.is_same_place(&before.body, &after.body),
                "part that was not edited",
            )?,
        }
    }
    demand(edited.next().is_none(), "order of parts")?;
    kept.finish()
}

fn demand(is_so: bool, flaw: Flaw) -> Result<(), Flaw> {
    if is_so { Ok(()) } else { Err(flaw) }
}

/// Everything outside edited parts, compared on the way from the first to the last.
struct Kept<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// How far both have been compared or passed.
    old_at: usize,
    new_at: usize,
}

impl Kept<'_> {
    /// Compares what stands before a pair of ranges, and passes these.
    fn pass(&mut self, old: Range<usize>, new: Range<usize>) -> Result<(), Flaw> {
        let before = self.old.get(self.old_at..old.start);
        demand(
            before.is_some() && before == self.new.get(self.new_at..new.start),
            "bytes outside edited parts",
        )?;
        self.old_at = old.end;
        self.new_at = new.end;
        Ok(())
    }

    fn finish(self) -> Result<(), Flaw> {
        let (old, new) = (self.old.len(), self.new.len());
        let mut rest = self;
        rest.pass(old..old, new..new)
    }

    fn is_same_place(&self, old: &Range<usize>, new: &Range<usize>) -> bool {
        old.len() == new.len() && old.start + self.new_at == new.start + self.old_at
    }
}

/// Compares what a part says about itself.
fn check_description(before: &Part, after: &Part, work: Option<&Work<'_>>) -> Result<(), Flaw> {
    let is_recoded = work.is_some_and(|work| work.record.recoded);
    let transfer = if is_recoded {
        Transfer::QuotedPrintable
    } else {
        before.transfer
    };
    demand(
        before.path == after.path
            && before.media == after.media
            && before.charset == after.charset
            && before.boundary() == after.boundary()
            && before.disposition == after.disposition
            && after.transfer == transfer,
        "description of a part",
    )
}

/// Compares the header section of an edited part. If its encoding changed, that is the only difference.
fn check_header(
    structure: &Structure,
    before: &Part,
    after: &Part,
    work: &Work<'_>,
    kept: &mut Kept<'_>,
) -> Result<(), Flaw> {
    if !work.record.recoded || before.header.is_empty() {
        return Ok(());
    }
    kept.pass(before.header.clone(), after.header.clone())?;
    let flaw = "header section of a part";
    let old = kept.old.get(before.header.clone()).ok_or(flaw)?;
    let new = kept.new.get(after.header.clone()).ok_or(flaw)?;
    let (range, field) = recoding(before, structure.line_end);
    let start = range.start.checked_sub(before.header.start).ok_or(flaw)?;
    let end = range.end.checked_sub(before.header.start).ok_or(flaw)?;
    let mut edits = Edits::default();
    demand(edits.push(start..end, &field), flaw)?;
    demand(edits.explain(old, new), flaw)
}

/// Compares the content of an edited part with its original.
fn check_content(work: &Work<'_>, encoded: &[u8], text: &[u8]) -> Result<(), Flaw> {
    demand(work.edits.explain(work.text(), text), "text")?;
    demand(
        encoded.is_ascii() || !work.encoded.is_ascii(),
        "octets beyond ASCII",
    )
}

/// Checks the edits of a plain-text part: that nothing else changed has been seen by comparing the texts.
fn check_plain(intended: &Intended<'_>, work: &Work<'_>, text: &[u8]) -> Result<(), Flaw> {
    let mut tracked = work.record.links.iter().filter_map(|link| link.ordinal);
    for (range, new) in work.edits.iter() {
        let old = work.text().get(range.clone()).ok_or("place of an edit")?;
        if work.is_disclosure(&range, new) {
            continue;
        }
        if new.is_empty() {
            let is_mark = old == OPT_OUT_MARK.as_bytes() || old.eq_ignore_ascii_case(b"+notrack");
            demand(is_mark, "kind of an edit")?;
            continue;
        }
        let (Ok(new), Ok(old)) = (std::str::from_utf8(new), std::str::from_utf8(old)) else {
            return Err("link in plain text");
        };
        let ordinal = tracked.next().ok_or("number of links in plain text")?;
        check_link(intended.session, new, ordinal, old)?;
    }
    demand(tracked.next().is_none(), "number of links in plain text")?;
    let choices = intended.artefacts.choices.as_bytes();
    demand(
        work.disclosed.start == work.text().len()
            && text.trim_ascii_end().ends_with(choices)
            && memchr::memmem::find_iter(text, choices).count() == 1,
        "disclosure",
    )
}

/// Checks that a link is tracked as the `ordinal`-th of this message and leads to a destination.
fn check_link(
    session: &Session<'_>,
    url: &str,
    ordinal: u16,
    destination: &str,
) -> Result<(), Flaw> {
    let artefact = tracking_url::recognise(session.base, url).ok_or("tracked link")?;
    let opened = tracking_url::verify(session.plan.keys, &artefact).ok_or("signature")?;
    demand(
        opened.message == session.plan.message && opened.ordinal == ordinal,
        "number of a link",
    )?;
    demand(
        matches!(artefact, Artefact::Link { destination: found, .. } if found == destination),
        "destination",
    )?;
    let mut controllers = session.plan.controllers.iter();
    let is_ours = |base| tracking_url::recognise(base, destination).is_some();
    demand(
        !controllers.any(|controller| is_ours(controller.base_url())),
        "artefact behind a link",
    )
}

/// Tells whether a line is longer than mail can carry. Looks at one octet in a thousand, where lines are not.
fn has_long_line(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        let window = rest.get(..LONGEST_LINE + 1).unwrap_or(rest);
        let end = match memchr::memrchr(b'\n', window) {
            Some(end) => end,
            None if rest.len() <= LONGEST_LINE => return false,
            // The longest line with a CR before its end, or one that is too long.
            None if rest.get(LONGEST_LINE..LONGEST_LINE + 2) == Some(b"\r\n") => LONGEST_LINE + 1,
            None => return true,
        };
        rest = rest.get(end + 1..).unwrap_or_default();
    }
}

/// Returns the length of the longest line, its end apart.
fn longest_line(text: &[u8]) -> usize {
    let lines = text.split(|octet| *octet == b'\n');
    let lengths = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).len());
    lengths.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use common::{
        config::Config, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
        token,
    };
    use uuid::Uuid;

    use super::{
        super::{Plan, put_together, rules::Rules, select::select, work_through},
        *,
    };
    use crate::control::Links;

    const HTML: &str = "Content-Type: text/html; charset=utf-8\r\n\r\n<body><p>Hello <a href=\"https://a.example/\">a</a> \
        <a href=\"mailto:b@b.example\">b</a></p></body>\r\n";
    const PLAIN: &str =
        "Content-Type: text/plain; charset=utf-8\r\n\r\nSee https://a.example/ there\r\n";

    /// What a bug of ours might do.
    #[derive(Clone, Copy)]
    enum Bug {
        /// The result is not what the edits say.
        Body(&'static str, &'static str),
        /// A text of the original is replaced, and the edits say so.
        Edit(&'static str, &'static str),
        /// The disclosure goes before this.
        Place(&'static str),
        None,
        /// Links to what was put in for any controller are taken for others.
        Rules,
        /// Another page is that of the recipient.
        Url,
    }

    fn flaw(raw: &str, bug: Bug) -> Result<(), Flaw> {
        let config = Config::for_testing();
        let keys = KeyRing::for_testing();
        let plan = Plan {
            controller: config.controllers.first().unwrap(),
            controllers: &config.controllers,
            keys: &keys,
            language: Language::En,
            message: MessageId(Uuid::from_u128(5)),
            opens: true,
            links: Links::Both,
        };
        let old = Message::parse(raw.as_bytes());
        let structure = Structure::of(&old).unwrap();
        let selection = select(&structure);
        let bodies = selection.bodies.iter();
        let mut works: Vec<Work<'_>> = bodies.map(|body| Work::begin(&old, body)).collect();
        let mut session = Session::new(&old, &plan);
        if matches!(bug, Bug::Rules) {
            session.rules = Rules::new(plan.controller, &[], &old);
        }
        let purposes = work_through(&mut works, &mut session).unwrap_or_else(|reason| {
            assert_ne!(reason, SkipReason::Malformed);
            panic!("{reason:?}")
        });
        let mut artefacts = Artefacts::of(&plan, purposes);
        let work = works.first_mut().unwrap();
        let place = |what: &str| memchr::memmem::find(&old.body, what.as_bytes()).unwrap();
        match (bug, &mut work.planned) {
            (Bug::Edit(what, new), Some(planned)) => {
                let start = place(what);
                let wrong = (start..start + what.len(), new.as_bytes());
                let mut all: Vec<_> = planned.edits().iter().chain([wrong]).collect();
                all.sort_by_key(|(range, _)| range.start);
                let mut edits = Edits::default();
                for (range, text) in all {
                    assert!(edits.push(range, text));
                }
                *planned.edits() = edits;
            }
            (Bug::Place(what), Some(Planned::Html(edit))) => edit.place = place(what),
            _ => {}
        }
        let mut made = put_together(&old, &structure, &mut works, &plan, &artefacts).message;
        match bug {
            Bug::Body(what, new) => {
                let body = String::from_utf8(made.body).unwrap();
                assert!(body.contains(what));
                made.body = body.replacen(what, new, 1).into_bytes();
            }
            Bug::Url => artefacts.choices.push('x'),
            Bug::Edit(..) | Bug::None | Bug::Place(_) | Bug::Rules => {}
        }
        let intended = Intended {
            old: &old,
            structure: &structure,
            works: &works,
            session: &session,
            artefacts: &artefacts,
        };
        check(&intended, &made)
    }

    #[test]
    fn every_bug_in_html_is_found() {
        for (bug, expected) in [
            (Bug::None, Ok(())),
            (Bug::Body("Hello", "Hullo"), Err("text")),
            (Bug::Body("mailto:b", "mailto:c"), Err("text")),
            (Bug::Edit("Hello", "Hullo"), Err("kind of an edit")),
            (Bug::Edit("mailto:b", "mailto:c"), Err("kind of an edit")),
            (Bug::Edit("</p>", ""), Err("kind of an edit")),
            (Bug::Place("<p>"), Err("place of the disclosure")),
            (Bug::Place("Hello"), Err("place of the disclosure")),
            (Bug::Url, Err("disclosure")),
        ] {
            assert_eq!(flaw(HTML, bug), expected);
        }
    }

    #[test]
    fn no_tracked_link_leads_to_an_artefact() {
        let config = Config::for_testing();
        let base = config.controllers.first().unwrap().base_url();
        let own = format!(
            "{base}/l/{}?u=https%3A//a.example/",
            "A".repeat(token::LENGTH)
        );
        for raw in [HTML, PLAIN] {
            let raw = raw.replacen("https://a.example/", &own, 1);
            let raw = raw.replace("</body>", "<a href=\"https://b.example/\">b</a></body>");
            let raw = raw.replace(" there", " there https://b.example/");

            assert_eq!(flaw(&raw, Bug::None), Ok(()));
            assert_eq!(flaw(&raw, Bug::Rules), Err("artefact behind a link"));
        }
    }

    #[test]
    fn every_bug_in_plain_text_is_found() {
        for (bug, expected) in [
            (Bug::None, Ok(())),
            (Bug::Body("See", "Sea"), Err("text")),
            (Bug::Edit("See", ""), Err("kind of an edit")),
            (
                Bug::Edit("there", "here"),
                Err("number of links in plain text"),
            ),
            (Bug::Url, Err("disclosure")),
        ] {
            assert_eq!(flaw(PLAIN, bug), expected);
        }
    }

    #[test]
    fn long_lines_are_found_wherever_they_are() {
        for (lengths, expected) in [
            (&[0, 998, 998][..], false),
            (&[1, 997, 3], false),
            (&[998, 999], true),
            (&[999, 2], true),
            (&[3, 2000, 1], true),
            (&[500, 500, 998], false),
        ] {
            for end in ["\n", "\r\n"] {
                let lines: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
                for text in [lines.join(end), lines.join(end) + end] {
                    assert_eq!(has_long_line(text.as_bytes()), expected, "{lengths:?}");
                    assert_eq!(longest_line(text.as_bytes()) > LONGEST_LINE, expected);
                }
            }
        }
    }
}
