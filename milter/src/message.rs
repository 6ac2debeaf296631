// SPDX-License-Identifier: GPL-3.0-or-later
//! A message as the MTA hands it over: header fields and body, bytes as they came.
//!
//! [`Eml`] is the same message as it lies in a file, with what is needed to write the identical bytes back.

use std::borrow::Cow;

/// One header field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderField {
    /// The name as written.
    pub name: Vec<u8>,
    /// What stands after the colon, as written: a leading blank and line folds (CRLF or LF) are kept, the final line
    /// end is not.
    pub value: Vec<u8>,
}

/// A message: its header section, taken apart, and its body.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Message {
    /// In the order in which they stand.
    pub fields: Vec<HeaderField>,
    /// What follows the empty line after the header section, bytes as they came. Through Postfix lines end in CRLF.
    pub body: Vec<u8>,
}

/// One change of the header section, as plain data that the milter protocol and [`Eml`] can both apply.
///
/// Edits are listed in the order in which they must be applied. Postfix counts the fields that are left after each
/// edit, Sendmail those that were there at first; so of fields of one name the last is edited first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderEdit {
    pub name: Vec<u8>,
    /// The number of the field among those of the same name, from 1; 0 adds a field at the end.
    pub index: u32,
    /// The new value; `None` removes the field.
    pub value: Option<Vec<u8>>,
}

/// A message as it lies in a file.
#[derive(Clone, Debug)]
pub struct Eml {
    /// The "From " line of a mailbox file, if there was one.
    envelope: Vec<u8>,
    message: Message,
    /// The line end of each field, beside `message.fields`.
    ends: Vec<&'static [u8]>,
    /// The empty line.
    separator: &'static [u8],
    regular: bool,
}

/// What an edit did to a list of fields.
enum Change {
    Added,
    Nothing,
    Removed(usize),
    Replaced,
}

impl HeaderEdit {
    /// Makes an edit that adds a field.
    pub fn add(name: &str, value: &str) -> Self {
        Self {
            name: name.into(),
            index: 0,
            value: Some(format!(" {value}").into_bytes()),
        }
    }

    fn carry_out(&self, fields: &mut Vec<HeaderField>) -> Change {
        let Some(number) = self.index.checked_sub(1) else {
            let Some(value) = self.value.clone() else {
                return Change::Nothing;
            };
            let name = self.name.clone();
            fields.push(HeaderField { name, value });
            return Change::Added;
        };
        let name = self.name.trim_ascii_end();
        let mut same = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| field.name.trim_ascii_end().eq_ignore_ascii_case(name));
        let Some((place, _)) = same.nth(number as usize) else {
            return Change::Nothing;
        };
        match (&self.value, fields.get_mut(place)) {
            (Some(value), Some(field)) => {
                field.value.clone_from(value);
                Change::Replaced
            }
            (None, _) => {
                fields.remove(place);
                Change::Removed(place)
            }
            (Some(_), None) => Change::Nothing,
        }
    }
}

impl HeaderField {
    /// Tells whether the field bears that name, without regard to case and to blanks before the colon.
    pub fn is(&self, name: &str) -> bool {
        self.name
            .trim_ascii_end()
            .eq_ignore_ascii_case(name.as_bytes())
    }

    /// Returns the value on one line, without the white space around it.
    pub fn unfolded(&self) -> Cow<'_, [u8]> {
        let value = self.value.trim_ascii();
        if value.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
            let line = value
                .iter()
                .copied()
                .filter(|octet| !matches!(octet, b'\r' | b'\n'));
            Cow::Owned(line.collect())
        } else {
            Cow::Borrowed(value)
        }
    }
}

impl Message {
    /// Takes a message from a file apart; [`Eml::parse`] keeps more.
    pub fn parse(raw: &[u8]) -> Self {
        Eml::parse(raw).message
    }

    /// Edits the header section.
    pub fn apply(&mut self, edits: &[HeaderEdit]) {
        for edit in edits {
            edit.carry_out(&mut self.fields);
        }
    }

    /// Returns the fields of that name, in order.
    pub fn fields_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a HeaderField> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    /// Returns the first field of that name on one line.
    pub fn first(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let field = self.fields.iter().find(|field| field.is(name));
        field.map(HeaderField::unfolded)
    }
}

impl Eml {
    /// Takes a message from a file apart. Nothing is refused: see [`Eml::is_regular`].
    pub fn parse(raw: &[u8]) -> Self {
        let mut eml = Self {
            envelope: Vec::new(),
            message: Message::default(),
            ends: Vec::new(),
            separator: b"",
            regular: false,
        };
        let mut rest = raw;
        if rest.starts_with(b"From ") {
            let (line, after) = split_line(rest);
            eml.envelope = line.to_vec();
            rest = after;
        }
        loop {
            let (line, after) = split_line(rest);
            let (content, end) = split_end(line);
            if line.is_empty() {
                // The header section goes on to the end: there is no body, and no empty line before it.
                break;
            }
            if content.is_empty() && !end.is_empty() {
                eml.separator = end;
                eml.regular = true;
                rest = after;
                break;
            }
            if !eml.take_line(content, end) {
                break;
            }
            rest = after;
        }
        eml.message.body = rest.to_vec();
        eml
    }

    /// Tells whether an empty line ends the header section, as RFC 5322 demands.
    pub fn is_regular(&self) -> bool {
        self.regular
    }

    /// Returns the message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Returns the line end of the header section.
    pub fn line_end(&self) -> &'static [u8] {
        self.ends.first().copied().unwrap_or(self.separator)
    }

    /// Replaces the body. Where there was no line end to go by, the new ones become those of the header section.
    pub fn set_body(&mut self, mut body: Vec<u8>) {
        let had_none = !self.message.body.contains(&b'\n');
        if had_none && self.line_end() == b"\n" {
            body.retain(|octet| *octet != b'\r');
        }
        self.message.body = body;
    }

    /// Edits the header section; folds of new values get the line end of the message.
    pub fn apply(&mut self, edits: &[HeaderEdit]) {
        let line_end = self.line_end();
        for edit in edits {
            match edit.carry_out(&mut self.message.fields) {
                Change::Added => self.ends.push(line_end),
                Change::Removed(place) => {
                    self.ends.remove(place);
                    continue;
                }
                Change::Replaced => {}
                Change::Nothing => continue,
            }
            for field in &mut self.message.fields {
                if field.value.contains(&b'\n') && Some(&field.value) == edit.value.as_ref() {
                    let lines = field.value.split(|octet| *octet == b'\n');
                    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                    field.value = lines.collect::<Vec<_>>().join(line_end);
                }
            }
        }
    }

    /// Writes the message; unless it was edited, these are the bytes that were read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut raw = self.envelope.clone();
        for (field, end) in self.message.fields.iter().zip(&self.ends) {
            raw.extend_from_slice(&field.name);
            raw.push(b':');
            raw.extend_from_slice(&field.value);
            raw.extend_from_slice(end);
        }
        raw.extend_from_slice(self.separator);
        raw.extend_from_slice(&self.message.body);
        raw
    }

    /// Takes one line of the header section, or returns false if it cannot belong there.
    fn take_line(&mut self, content: &[u8], end: &'static [u8]) -> bool {
        if matches!(content.first(), Some(b' ' | b'\t'))
            && let (Some(field), Some(last)) =
                (self.message.fields.last_mut(), self.ends.last_mut())
        {
            field.value.extend_from_slice(last);
            field.value.extend_from_slice(content);
            *last = end;
            return true;
        }
        let Some((name, value)) = split_field(content) else {
            return false;
        };
        self.message.fields.push(HeaderField {
            name: name.to_vec(),
            value: value.to_vec(),
        });
        self.ends.push(end);
        true
    }
}

/// Splits off the first line, its end included.
pub(crate) fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let length = memchr::memchr(b'\n', text).map_or(text.len(), |place| place + 1);
    text.split_at_checked(length).unwrap_or((text, b""))
}

/// Splits a line into its content and its end: CRLF, LF or nothing.
pub(crate) fn split_end(line: &[u8]) -> (&[u8], &'static [u8]) {
    if let Some(content) = line.strip_suffix(b"\r\n") {
        (content, b"\r\n")
    } else if let Some(content) = line.strip_suffix(b"\n") {
        (content, b"\n")
    } else {
        (line, b"")
    }
}

/// Splits a field at its colon if a name of RFC 5322 stands before it; blanks before the colon stay with the name.
pub(crate) fn split_field(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', content)?;
    let (name, value) = content.split_at_checked(colon)?;
    let bare = name.trim_ascii_end();
    let is_name = !bare.is_empty() && bare.iter().all(u8::is_ascii_graphic);
    is_name.then_some((name, value.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &[u8] =
        b"From x\nReceived: a\r\n b\r\nsubject :x\nTo: a\r\n\tb\nX:\r\n\r\nbody\n\n--x";

    #[test]
    fn bytes_are_written_back_as_they_were_read() {
        for raw in [
            RAW,
            b"",
            b"\r\n",
            b"\nbody",
            b"no header at all",
            b"A: b",
            b"A: b\n c\n",
            b" x\n",
        ] {
            assert_eq!(Eml::parse(raw).to_bytes(), raw);
        }
    }

    #[test]
    fn fields_are_found_without_regard_to_case_and_folds() {
        let message = Message::parse(RAW);

        assert_eq!(message.first("SUBJECT").as_deref(), Some(&b"x"[..]));
        assert_eq!(message.first("to").as_deref(), Some(&b"a\tb"[..]));
        assert_eq!(message.body, b"body\n\n--x");
    }

    #[test]
    fn header_section_without_an_empty_line_is_irregular() {
        assert!(Eml::parse(RAW).is_regular());
        assert!(!Eml::parse(b"A: b\r\nhello\r\n\r\n").is_regular());
    }

    #[test]
    fn edits_remove_change_and_add() {
        let mut eml = Eml::parse(b"A: 1\r\nB: 2\r\na: 3\r\n\r\nx");
        let edit = |name: &str, index, value: Option<&str>| HeaderEdit {
            name: name.into(),
            index,
            value: value.map(Into::into),
        };

        eml.apply(&[
            edit("A", 2, None),
            edit("A", 1, None),
            edit("B", 1, Some(" 4")),
            edit("C", 0, Some(" 5\n 6")),
        ]);

        assert_eq!(eml.to_bytes(), b"B: 4\r\nC: 5\r\n 6\r\n\r\nx");
    }
}
