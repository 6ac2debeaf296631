// SPDX-License-Identifier: GPL-3.0-or-later
//! A body part on its way through the edit: read, worked out, carried out.

use std::ops::Range;

use super::{
    charset::Charset,
    disclosure::Disclosure,
    html::{self, HtmlEdit},
    record::{LinkRecord, Outcome, PartReason, PartRecord},
    select::{BodyKind, BodyPart},
    session::Session,
    splice::{Copy, Edits},
    structure::{Part, Transfer},
    text::{self, PlainEdit},
    transfer::{Decoded, LineWatch, encode_quoted_printable},
};
use crate::{legible::legible, message::Message};

/// A body part in work.
pub(crate) struct Work<'a> {
    pub(crate) part: &'a Part,
    pub(crate) kind: BodyKind,
    pub(crate) encoded: &'a [u8],
    pub(crate) decoded: Option<Decoded<'a>>,
    pub(crate) charset: Option<Charset>,
    pub(crate) planned: Option<Planned>,
    /// Whether another transfer encoding can be said where all will read it: not in a message without MIME-Version.
    may_recode: bool,
    /// All edits, the disclosure among them, once they are carried out.
    pub(crate) edits: Edits,
    /// Where the disclosure goes into the text, and its length, once it is carried out.
    pub(crate) disclosed: Range<usize>,
    pub(crate) record: PartRecord,
}

/// The edit of a part, worked out and not yet carried out.
pub(crate) enum Planned {
    Html(HtmlEdit),
    Plain(PlainEdit),
}

impl Planned {
    pub(crate) fn edits(&mut self) -> &mut Edits {
        match self {
            Self::Html(edit) => &mut edit.edits,
            Self::Plain(edit) => &mut edit.edits,
        }
    }

    fn links(&mut self) -> &mut Vec<LinkRecord> {
        match self {
            Self::Html(edit) => &mut edit.links,
            Self::Plain(edit) => &mut edit.links,
        }
    }

    fn is_cramped(&self) -> bool {
        match self {
            Self::Html(edit) => edit.is_cramped,
            Self::Plain(edit) => edit.is_cramped,
        }
    }
}

impl<'a> Work<'a> {
    /// Reads a body part.
    pub(crate) fn begin(message: &'a Message, body: &BodyPart<'a>) -> Self {
        let encoded = message.body.get(body.part.body.clone()).unwrap_or_default();
        let decoded = Decoded::new(encoded, body.part.transfer).ok();
        let text = decoded.as_ref().map_or(&b""[..], |decoded| &decoded.text);
        let charset =
            Charset::find(body.part.charset.as_deref()).and_then(|charset| charset.of_text(text));
        let reason = if charset.is_none() {
            Some(PartReason::Charset)
        } else if decoded.is_none() {
            Some(PartReason::Encoding)
        } else {
            None
        };
        Self {
            part: body.part,
            kind: body.kind,
            encoded,
            decoded,
            charset,
            planned: None,
            may_recode: !body.part.header.is_empty() || message.first("mime-version").is_some(),
            edits: Edits::default(),
            disclosed: 0..0,
            record: part_record(body.part, reason),
        }
    }

    /// Tells whether the message itself gets another transfer encoding.
    pub(crate) fn recodes_message(&self) -> bool {
        self.record.recoded && self.part.header.is_empty()
    }

    /// Returns the content, or nothing if it cannot be read.
    pub(crate) fn text(&self) -> &[u8] {
        self.decoded.as_ref().map_or(b"", |decoded| &decoded.text)
    }

    /// Tells whether there is anything to see; what cannot be read counts as something.
    pub(crate) fn has_content(&self) -> bool {
        let is_text = |link: &LinkRecord| link.text.bytes().any(|octet| octet.is_ascii_graphic());
        match (self.kind, self.charset) {
            _ if self.decoded.is_none() => true,
            // The text of a link is something, and known without another look.
            _ if self.record.links.iter().any(is_text) => true,
            (BodyKind::Plain, _) => !self.text().trim_ascii().is_empty(),
            (BodyKind::Html, None) => true,
            (BodyKind::Html, Some(charset)) => html::has_content(self.text(), charset),
        }
    }

    /// Works out the edit. Where lines would grow too long, the part becomes quoted-printable.
    pub(crate) fn plan(&mut self, session: &mut Session<'_>) {
        let bookmark = session.bookmark();
        let mut planned = self.plan_as(session, self.part.transfer);
        let is_cramped = match &planned {
            Some(Ok(planned)) => planned.is_cramped(),
            Some(Err(reason)) => *reason == PartReason::Markup,
            None => false,
        };
        let is_identity = matches!(self.part.transfer, Transfer::Identity { .. });
        if is_cramped && is_identity && self.may_recode {
            session.return_to(bookmark);
            planned = self.plan_as(session, Transfer::QuotedPrintable);
            self.record.recoded = matches!(planned, Some(Ok(_)));
        }
        match planned {
            Some(Ok(mut planned)) => {
                self.record.links = std::mem::take(planned.links());
                self.planned = Some(planned);
            }
            Some(Err(reason)) => self.record.reason = Some(reason),
            None => {}
        }
    }

    fn plan_as(
        &self,
        session: &mut Session<'_>,
        transfer: Transfer,
    ) -> Option<Result<Planned, PartReason>> {
        let decoded = self.decoded.as_ref()?;
        let charset = self.charset?;
        let watch = LineWatch::new(&decoded.text, transfer);
        match self.kind {
            BodyKind::Html => {
                let plan = html::plan(session, decoded, self.encoded, charset, watch);
                Some(plan.map(Planned::Html))
            }
            BodyKind::Plain
                if session.plan.links.in_text() || text::may_hold_opt_outs(&decoded.text) =>
            {
                let flowed = self.part.flowed;
                let plan = text::plan(session, decoded, self.encoded, charset, flowed, watch);
                Some(Ok(Planned::Plain(plan)))
            }
            BodyKind::Plain => Some(Ok(Planned::Plain(PlainEdit::default()))),
        }
    }

    /// Tells whether an edit is that which puts the disclosure in.
    pub(crate) fn is_disclosure(&self, range: &Range<usize>, text: &[u8]) -> bool {
        range.is_empty()
            && range.start == self.disclosed.start
            && text.len() == self.disclosed.len()
    }

    /// Tells by about how many octets the part will grow.
    pub(crate) fn growth(&mut self) -> usize {
        const DISCLOSURE: usize = 2000;
        let recoding = usize::from(self.record.recoded) * self.encoded.len() / 4;
        self.planned.as_mut().map_or(0, |planned| {
            planned.edits().growth() * 3 / 2 + DISCLOSURE + recoding
        })
    }

    /// Carries the planned edits out, and writes what follows for the body of the message.
    pub(crate) fn carry_out(
        &mut self,
        disclosure: &Disclosure<'_>,
        pixel: &str,
        line_end: &'static [u8],
        body: &mut Copy<'_>,
    ) {
        let (Some(planned), Some(decoded)) = (&mut self.planned, &self.decoded) else {
            return;
        };
        self.edits = std::mem::take(planned.edits());
        let (place, block) = match planned {
            Planned::Html(edit) => {
                let text_end = text_line_end(&decoded.text, line_end);
                let pixel = self.record.pixel.then_some(pixel);
                let mut block = disclosure.html(pixel, text_end);
                if edit.ends_line {
                    block.push_str(text_end);
                }
                (edit.place, block.into_bytes())
            }
            Planned::Plain(_) => (
                decoded.text.len(),
                self.last_paragraph(&decoded.text, disclosure, line_end),
            ),
        };
        self.edits.insert(place, &block);
        self.disclosed = place..place + block.len();
        self.write(line_end, body);
        if let Some(decoded) = &mut self.decoded {
            decoded.finish();
        }
    }

    /// Writes the edited part for the body of the message.
    pub(crate) fn write(&self, line_end: &[u8], body: &mut Copy<'_>) {
        let Some(decoded) = &self.decoded else {
            return;
        };
        if self.record.recoded {
            if !self.part.header.is_empty() {
                let (range, field) = recoding(self.part, line_end);
                body.replace(range, |out| out.extend_from_slice(&field));
            }
            let text = self.edits.apply(&decoded.text);
            body.replace(self.part.body.clone(), |out| {
                encode_quoted_printable(&text, line_end, out);
            });
        } else {
            body.replace(self.part.body.clone(), |out| {
                decoded.edit(self.encoded, &self.edits, line_end, out);
            });
        }
    }

    /// Returns the disclosure as a paragraph of its own, with the line ends it takes.
    fn last_paragraph(
        &self,
        text: &[u8],
        disclosure: &Disclosure<'_>,
        line_end: &'static [u8],
    ) -> Vec<u8> {
        let text_end = text_line_end(text, line_end);
        // A part that travels as it is gets nothing beyond ASCII unless it says so and has it already.
        let is_ascii_only = match self.part.transfer {
            Transfer::Identity { ascii } => ascii || text.is_ascii(),
            Transfer::Base64 | Transfer::Other | Transfer::QuotedPrintable => false,
        };
        let charset = self
            .charset
            .filter(|charset| !charset.is_ascii && !is_ascii_only)
            .map(|charset| charset.encoding);
        let end = text_end.as_bytes();
        let has_end = text.ends_with(b"\n");
        // Always an empty line of our own, so that taking the paragraph out gives the original.
        let mut paragraph = end.to_vec();
        if !has_end {
            paragraph.extend_from_slice(end);
        }
        paragraph.extend_from_slice(&disclosure.plain(charset, text_end));
        if has_end {
            paragraph.extend_from_slice(end);
        }
        paragraph
    }
}

/// Returns where and what to write so that a part says it is quoted-printable.
pub(crate) fn recoding(part: &Part, line_end: &[u8]) -> (Range<usize>, Vec<u8>) {
    match &part.transfer_value {
        Some(value) => (value.clone(), b" quoted-printable".to_vec()),
        None => {
            let place = part.header.end - line_end.len().min(part.header.len());
            let field: &[u8] = b"Content-Transfer-Encoding: quoted-printable";
            (place..place, [field, line_end].concat())
        }
    }
}

/// Returns the line end that a text uses; base64 may hold another than the message.
fn text_line_end(text: &[u8], line_end: &'static [u8]) -> &'static str {
    match memchr::memchr(b'\n', text) {
        Some(0) => "\n",
        Some(place) if text.get(place - 1) == Some(&b'\r') => "\r\n",
        Some(_) => "\n",
        None if line_end == b"\n" => "\n",
        None => "\r\n",
    }
}

/// The longest names that are recorded: RFC 6838, section 4.2, and RFC 2978, section 2.3.
const MAX_MEDIA: usize = 255;
const MAX_CHARSET: usize = 40;

/// Begins the record of a part.
pub(crate) fn part_record(part: &Part, reason: Option<PartReason>) -> PartRecord {
    PartRecord {
        path: part.path.clone(),
        media: legible(&part.media, MAX_MEDIA),
        transfer: part.transfer.name(),
        charset: part
            .charset
            .as_deref()
            .map(|charset| legible(charset, MAX_CHARSET)),
        outcome: Outcome::Untouched,
        reason,
        pixel: false,
        recoded: false,
        links: Vec::new(),
    }
}
