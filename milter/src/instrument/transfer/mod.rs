// SPDX-License-Identifier: GPL-3.0-or-later
//! Transfer encodings: how the content of a part is read, and how edits of it are carried out in the encoded bytes.
//!
//! A part keeps its encoding. Identity and quoted-printable are spliced where they stand, so that untouched bytes stay
//! identical; base64 is encoded anew, because there the decoded bytes are what counts.

mod base64;
mod quoted_printable;

use std::borrow::Cow;

use common::reason::SkipReason;

use self::quoted_printable::Mark;
use super::{splice::Edits, structure::Transfer};

pub(crate) use self::quoted_printable::encode as encode_quoted_printable;

/// The longest line, its end apart (RFC 5322, section 2.1.1). Postfix breaks longer ones after they were signed.
pub(crate) const LONGEST_LINE: usize = 998;

/// The content of a part, and what is needed to edit it.
pub(crate) struct Decoded<'a> {
    pub(crate) text: Cow<'a, [u8]>,
    form: Form,
}

enum Form {
    Base64,
    Identity,
    QuotedPrintable(Vec<Mark>),
}

impl<'a> Decoded<'a> {
    /// Reads the content of a part.
    ///
    /// # Errors
    ///
    /// Returns `malformed` if readers could differ in what they decode.
    pub(crate) fn new(encoded: &'a [u8], transfer: Transfer) -> Result<Self, SkipReason> {
        match transfer {
            Transfer::Identity { .. } => Ok(Self {
                text: Cow::Borrowed(encoded),
                form: Form::Identity,
            }),
            Transfer::QuotedPrintable => {
                let (text, marks) =
                    quoted_printable::decode(encoded).ok_or(SkipReason::Malformed)?;
                Ok(Self {
                    text: Cow::Owned(text),
                    form: Form::QuotedPrintable(marks),
                })
            }
            Transfer::Base64 => {
                let text = base64::decode(encoded).ok_or(SkipReason::Malformed)?;
                Ok(Self {
                    text: Cow::Owned(text),
                    form: Form::Base64,
                })
            }
            Transfer::Other => Err(SkipReason::Malformed),
        }
    }

    /// Gives back what only editing needs.
    pub(crate) fn finish(&mut self) {
        if let Form::QuotedPrintable(marks) = &mut self.form {
            *marks = Vec::new();
        }
    }

    /// Tells whether a range of the content can be replaced: whether its encoded form can be told exactly.
    pub(crate) fn is_editable(&self, encoded: &[u8], range: std::ops::Range<usize>) -> bool {
        match &self.form {
            Form::QuotedPrintable(marks) => quoted_printable::is_legal(encoded, marks, range),
            Form::Base64 | Form::Identity => true,
        }
    }

    /// Carries edits out in the encoded bytes, and appends those.
    pub(crate) fn edit(&self, encoded: &[u8], edits: &Edits, line_end: &[u8], out: &mut Vec<u8>) {
        match &self.form {
            Form::Identity => {
                for piece in edits.pieces(encoded) {
                    out.extend_from_slice(piece);
                }
            }
            Form::QuotedPrintable(marks) => {
                quoted_printable::splice(encoded, marks, edits, line_end, out);
            }
            Form::Base64 => {
                base64::encode_like(encoded, edits.pieces(&self.text), line_end, out);
            }
        }
    }
}

/// Reads the content of a part that is not to be edited.
///
/// # Errors
///
/// Returns `malformed` if readers could differ in what they decode.
pub(crate) fn read(encoded: &[u8], transfer: Transfer) -> Result<Cow<'_, [u8]>, SkipReason> {
    match transfer {
        Transfer::QuotedPrintable => quoted_printable::read(encoded)
            .map(Cow::Owned)
            .ok_or(SkipReason::Malformed),
        Transfer::Base64 | Transfer::Identity { .. } | Transfer::Other => {
            Decoded::new(encoded, transfer).map(|decoded| decoded.text)
        }
    }
}

/// Watches the lines of a part whose content travels as it is, while edits are added from first to last.
pub(crate) struct LineWatch<'a> {
    text: &'a [u8],
    limit: Option<usize>,
    /// The line that holds the last edit, without its end.
    line: std::ops::Range<usize>,
    /// Its length with the edits so far.
    length: usize,
}

impl<'a> LineWatch<'a> {
    /// Watches a text; where the encoding folds lines itself, everything fits.
    pub(crate) fn new(text: &'a [u8], transfer: Transfer) -> Self {
        let limit = matches!(transfer, Transfer::Identity { .. }).then_some(LONGEST_LINE);
        Self {
            text,
            limit,
            line: 0..0,
            length: 0,
        }
    }

    /// Takes an edit into account, or returns false if it would make a line too long. `first` and `last` are the
    /// lengths of the first and the last line of the new text, the same for a text of one line.
    pub(crate) fn admit(
        &mut self,
        range: std::ops::Range<usize>,
        first: usize,
        last: Option<usize>,
    ) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        if range.start > self.line.end || self.line.end == 0 {
            let before = self.text.get(..range.start).unwrap_or_default();
            // Looking back no further than a legal line reaches keeps this linear.
            let floor = before.len().saturating_sub(2 * limit);
            let start = memchr::memrchr(b'\n', before.get(floor..).unwrap_or_default())
                .map_or(floor, |place| floor + place + 1);
            let after = self.text.get(range.end..).unwrap_or_default();
            let ceiling = after.len().min(2 * limit);
            let end = memchr::memchr(b'\n', after.get(..ceiling).unwrap_or_default())
                .map_or(range.end + ceiling, |place| range.end + place);
            self.line = start..end;
            self.length = end - start;
        }
        let removed = range.end - range.start;
        match last {
            None => {
                let length = (self.length + first).saturating_sub(removed);
                if length > limit && length > self.length {
                    return false;
                }
                self.length = length;
            }
            Some(last) => {
                let rest = self.line.end.saturating_sub(range.end);
                let head = self.length.saturating_sub(rest + removed) + first;
                if head > limit {
                    return false;
                }
                self.length = last + rest;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_watch_lets_a_line_grow_up_to_the_limit() {
        let text = [b"\r\n".as_slice(), &[b'x'; 900], b"\r\n"].concat();
        let mut watch = LineWatch::new(&text, Transfer::Identity { ascii: true });

        assert!(watch.admit(2..12, 60, None));
        assert!(!watch.admit(20..30, 70, None));
        assert!(watch.admit(40..50, 20, None));
        assert!(watch.admit(60..60, 10, Some(5)));
    }

    #[test]
    fn line_watch_is_linear_on_one_endless_line() {
        let text = vec![b'x'; 4_000_000];
        let mut watch = LineWatch::new(&text, Transfer::Identity { ascii: true });

        let admitted = (0..400_000)
            .filter(|number| watch.admit(number * 10..number * 10 + 1, 5, None))
            .count();

        assert_eq!(admitted, 0);
    }
}
