// SPDX-License-Identifier: GPL-3.0-or-later
//! The part tree of a message as ranges of its body, found by a strict scan for boundaries.
//!
//! A boundary is a whole line and nothing less (RFC 2046, section 5.1.1). Whatever leaves a doubt about where a part
//! begins or ends makes the whole message `malformed`; nothing here guesses. Attached messages are opaque. One pass,
//! linear in the size of the body.

use std::ops::Range;

use common::reason::SkipReason;
use memchr::memmem;

use super::part::MimeFields;
pub use super::part::{DelSp, Disposition, Part, Transfer};
use crate::message::{Message, split_end, split_field, split_line};

/// The most parts a message may have.
const MAX_PARTS: usize = 1000;
/// The deepest nesting of multiparts.
const MAX_DEPTH: usize = 30;
/// The longest header section of a part, in octets: the limit of Postfix.
const MAX_HEADER: usize = 102_400;

/// The part tree.
#[derive(Clone, Debug)]
pub struct Structure {
    /// In the order in which they stand.
    pub parts: Vec<Part>,
    /// CRLF or LF, the same all over.
    pub line_end: &'static [u8],
}

impl Structure {
    /// Finds the parts of a message.
    ///
    /// # Errors
    ///
    /// Returns `malformed` if the structure leaves any doubt.
    pub fn of(message: &Message) -> Result<Self, SkipReason> {
        let line_end = line_end_of(message)?;
        let root = MimeFields::of_message(message)?;
        let mut scan = Scan {
            body: &message.body,
            parts: Vec::new(),
            open: Vec::new(),
        };
        scan.add(root, 0..0, None)?;
        scan.run()?;
        Ok(Self {
            parts: scan.parts,
            line_end,
        })
    }

    /// Returns the message itself.
    pub fn root(&self) -> Option<&Part> {
        self.parts.first()
    }

    /// Returns the children of a part.
    pub fn children<'a>(&'a self, part: &'a Part) -> impl DoubleEndedIterator<Item = &'a Part> {
        part.children
            .iter()
            .filter_map(|child| self.parts.get(*child))
    }

    /// Returns the child that stands for a `multipart/related`: the one that `start` names, else the first.
    pub fn related_root<'a>(&'a self, part: &'a Part) -> Option<&'a Part> {
        match &part.start {
            Some(start) => self
                .children(part)
                .find(|child| child.content_id.as_deref() == Some(start)),
            None => self.children(part).next(),
        }
    }
}

/// Determines the line end of the body; a mixture, a bare CR or a NUL is a defect.
fn line_end_of(message: &Message) -> Result<&'static [u8], SkipReason> {
    let body = &message.body;
    let has = |octet| memchr::memchr(octet, body).is_some();
    if has(b'\0') {
        Err(SkipReason::Malformed)
    } else if pairs_up(body) {
        Ok(b"\r\n")
    } else if !has(b'\r') {
        Ok(b"\n")
    } else {
        Err(SkipReason::Malformed)
    }
}

/// Tells whether CR and LF stand in pairs only. Without a branch, so that many octets are looked at in one.
fn pairs_up(body: &[u8]) -> bool {
    let next = body.get(1..).unwrap_or_default();
    let odd = body.iter().zip(next).fold(0, |odd, (octet, next)| {
        odd | (u8::from(*octet == b'\r') ^ u8::from(*next == b'\n'))
    });
    odd == 0 && body.first() != Some(&b'\n') && body.last() != Some(&b'\r')
}

struct Open {
    part: usize,
    delimiter: Vec<u8>,
    closed: bool,
    seen: usize,
}

struct Scan<'a> {
    body: &'a [u8],
    parts: Vec<Part>,
    open: Vec<Open>,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), SkipReason> {
        let finder = memmem::Finder::new(b"\n--");
        let mut from = 0;
        while !self.open.is_empty() {
            let rest = self.body.get(from..).unwrap_or_default();
            let at_start = from == 0 || self.body.get(from - 1) == Some(&b'\n');
            let at = if at_start && rest.starts_with(b"--") {
                from
            } else {
                match finder.find(rest) {
                    Some(place) => from + place + 1,
                    None => break,
                }
            };
            let (line, _) = split_line(self.body.get(at..).unwrap_or_default());
            let after = at + line.len();
            from = match self.delimiter(line) {
                Some((depth, is_close)) => self.cross(at, after, depth, is_close)?,
                None => after,
            };
        }
        let end = self.body.len();
        if self.open.iter().any(|open| !open.closed) {
            return Err(SkipReason::Malformed);
        }
        self.close_down_to(0, end)?;
        if let Some(root) = self.parts.first_mut() {
            root.body.end = end;
        }
        Ok(())
    }

    /// Finds the open multipart whose boundary this line is, the innermost first.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let (content, _) = split_end(line);
        let content = content.trim_ascii_end();
        self.open
            .iter()
            .enumerate()
            .rev()
            .find_map(
                |(depth, open)| match content.strip_prefix(&open.delimiter[..]) {
                    Some(b"") => Some((depth, false)),
                    Some(b"--") => Some((depth, true)),
                    _ => None,
                },
            )
    }

    /// Ends the part before a boundary and begins the one after it; returns where to go on.
    fn cross(
        &mut self,
        at: usize,
        after: usize,
        depth: usize,
        is_close: bool,
    ) -> Result<usize, SkipReason> {
        let end = match self.body.get(..at).unwrap_or_default() {
            before if before.ends_with(b"\r\n") => at - 2,
            before if before.ends_with(b"\n") => at - 1,
            _ => at,
        };
        self.close_down_to(depth + 1, end)?;
        let open = self.open.get_mut(depth).ok_or(SkipReason::Malformed)?;
        if open.closed {
            return Err(SkipReason::Malformed);
        }
        open.seen += 1;
        let parent = open.part;
        let last = self
            .parts
            .get(parent)
            .and_then(|part| part.children.last().copied());
        if let Some(child) = last.and_then(|last| self.parts.get_mut(last)) {
            child.body.end = end.max(child.body.start);
        }
        if is_close {
            let open = self.open.get_mut(depth).ok_or(SkipReason::Malformed)?;
            open.closed = true;
            let empty = self
                .parts
                .get(parent)
                .is_none_or(|part| part.children.is_empty());
            return if empty {
                Err(SkipReason::Malformed)
            } else {
                Ok(after)
            };
        }
        self.begin(after, parent)
    }

    /// Reads the header section of a part that begins here.
    fn begin(&mut self, start: usize, parent: usize) -> Result<usize, SkipReason> {
        let mut fields = MimeFields::default();
        let mut at = start;
        let mut current: Option<(Range<usize>, Range<usize>)> = None;
        loop {
            let (line, _) = split_line(self.body.get(at..).unwrap_or_default());
            let (content, end) = split_end(line);
            if end.is_empty() || at - start > MAX_HEADER {
                return Err(SkipReason::Malformed);
            }
            let line_end = at + content.len();
            let is_fold = matches!(content.first(), Some(b' ' | b'\t'));
            if is_fold {
                let (_, value) = current.as_mut().ok_or(SkipReason::Malformed)?;
                value.end = line_end;
            } else {
                if let Some((name, value)) = current.take() {
                    let text = self.body.get(value.clone()).unwrap_or_default();
                    let name = self.body.get(name).unwrap_or_default();
                    fields.take(name, text, Some(value))?;
                }
                if content.is_empty() {
                    at += line.len();
                    break;
                }
                let (name, _) = split_field(content).ok_or(SkipReason::Malformed)?;
                if name.starts_with(b"--") {
                    return Err(SkipReason::Malformed);
                }
                current = Some((at..at + name.len(), at + name.len() + 1..line_end));
            }
            at += line.len();
        }
        self.add(fields, start..at, Some(parent))?;
        Ok(at)
    }

    /// Adds a part, and opens it if it is a multipart.
    fn add(
        &mut self,
        fields: MimeFields<'_>,
        header: Range<usize>,
        parent: Option<usize>,
    ) -> Result<(), SkipReason> {
        let number = self.parts.len();
        if number >= MAX_PARTS {
            return Err(SkipReason::Malformed);
        }
        let above = parent.and_then(|parent| self.parts.get(parent));
        let path = match above {
            Some(above) => format!("{}.{}", above.path, above.children.len() + 1),
            None => "1".to_owned(),
        };
        let is_digest = above.is_some_and(|above| above.media == "multipart/digest");
        let part = Part::new(
            fields,
            path,
            header.clone(),
            header.end..self.body.len(),
            is_digest,
        )?;
        if let Some(boundary) = part.boundary() {
            if self.open.len() >= MAX_DEPTH {
                return Err(SkipReason::Malformed);
            }
            self.open.push(Open {
                part: number,
                delimiter: [b"--", boundary.as_bytes()].concat(),
                closed: false,
                seen: 0,
            });
        }
        if let Some(parent) = parent.and_then(|parent| self.parts.get_mut(parent)) {
            parent.children.push(number);
        }
        self.parts.push(part);
        Ok(())
    }

    /// Ends the multiparts below a depth. Each must have been closed, and its boundary must occur nowhere else in it:
    /// not in mid-line and not as the beginning of another line, where lenient readers would see it.
    fn close_down_to(&mut self, depth: usize, end: usize) -> Result<(), SkipReason> {
        while self.open.len() > depth {
            let Some(open) = self.open.pop() else { break };
            if !open.closed {
                return Err(SkipReason::Malformed);
            }
            let part = self.parts.get_mut(open.part).ok_or(SkipReason::Malformed)?;
            part.body.end = end.max(part.body.start);
            let content = self.body.get(part.body.clone()).unwrap_or_default();
            if memmem::find_iter(content, &open.delimiter).count() != open.seen {
                return Err(SkipReason::Malformed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(raw: &str) -> Result<Structure, SkipReason> {
        Structure::of(&Message::parse(raw.as_bytes()))
    }

    fn layout(raw: &str) -> Vec<(String, String, String)> {
        let message = Message::parse(raw.as_bytes());
        let parts = Structure::of(&message).unwrap().parts;
        parts
            .into_iter()
            .map(|part| {
                let body = message.body.get(part.body.clone()).unwrap();
                (
                    part.path,
                    part.media,
                    String::from_utf8(body.to_vec()).unwrap(),
                )
            })
            .collect()
    }

    const NESTED: &str = "Content-Type: multipart/mixed; boundary=out\r\n\r\npre --out\r\n\
        --out  \r\nContent-Type: multipart/alternative; boundary=\"in\"\r\n\r\n\
        --in\r\n\r\nplain\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>\r\n\r\n--in--\r\nepi\r\n\
        --out\r\nContent-Type: image/png\r\n\r\n\r\n--out--\r\nepilogue";

    #[test]
    fn nested_parts_have_exact_ranges() {
        let layout = layout(&NESTED.replace("pre --out", "preamble"));

        let leaf = |path: &str, media: &str, body: &str| {
            (path.to_owned(), media.to_owned(), body.to_owned())
        };
        assert_eq!(layout.len(), 5);
        assert_eq!(layout[2], leaf("1.1.1", "text/plain", "plain"));
        assert_eq!(layout[3], leaf("1.1.2", "text/html", "<p>\r\n"));
        assert_eq!(layout[4], leaf("1.2", "image/png", ""));
    }

    #[test]
    fn line_ends_are_told_wherever_they_stand() {
        for (body, expected) in [
            ("", Some("\r\n")),
            ("x", Some("\r\n")),
            ("x\r\n\r\ny", Some("\r\n")),
            ("\r\n", Some("\r\n")),
            ("\n", Some("\n")),
            ("x\n\ny\n", Some("\n")),
            ("\r", None),
            ("\n\r\n", None),
            ("x\r\ny\n", None),
            ("x\r\ny\r", None),
            ("x\r\r\n", None),
            ("x\0\r\n", None),
        ] {
            for filler in ["", "y", &"y".repeat(1000)] {
                let body = format!("{body}{filler}").replace("\ry", "\r");
                let message = Message::parse(format!("A: b\r\n\r\n{body}").as_bytes());

                let found = line_end_of(&message).ok();

                assert_eq!(found, expected.map(str::as_bytes), "{body:?}");
            }
        }
    }

    #[test]
    fn boundary_in_mid_line_is_a_defect() {
        assert_eq!(scan(NESTED).unwrap_err(), SkipReason::Malformed);
    }

    #[test]
    fn doubtful_structures_are_refused() {
        let part = "\r\n--b\r\n\r\nx";
        for (raw, what) in [
            (
                format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}"),
                "no end",
            ),
            (
                format!("Content-Type: multipart/mixed\r\n\r\n{part}\r\n--b--"),
                "no boundary",
            ),
            (
                format!(
                    "Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}\r\n--bc\r\n--b--\r\n"
                ),
                "prefix",
            ),
            (
                format!(
                    "Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}\r\n--b\r\nx\r\n--b--"
                ),
                "no empty line",
            ),
            (
                format!(
                    "Content-Type: text/plain\r\nContent-type: text/html\r\n\r\n{part}\r\n--b--"
                ),
                "doubled",
            ),
            ("A: b\r\n\r\nx\ny\r\n".to_owned(), "mixed line ends"),
            ("A: b\r\n\r\nx\ry\r\n".to_owned(), "bare CR"),
            ("A: b\r\n\r\nx\0\r\n".to_owned(), "NUL"),
        ] {
            assert!(scan(&raw).is_err(), "{what}");
        }
    }

    #[test]
    fn too_many_parts_and_levels_are_refused_in_linear_time() {
        let parts = "--b\r\n\r\n\r\n".repeat(50_000);
        let many = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
        let mut deep = String::from("Content-Type: multipart/mixed; boundary=b0\r\n\r\n");
        for level in 0..1000 {
            deep.push_str(&format!(
                "--b{level}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n",
                level + 1
            ));
        }

        assert!(scan(&many).is_err());
        assert!(scan(&deep).is_err());
    }
}
