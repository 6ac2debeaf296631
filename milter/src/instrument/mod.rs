// SPDX-License-Identifier: GPL-3.0-or-later
//! Rewrites a message so that what the plan allows can be seen; everything else keeps its exact bytes.
//!
//! Design note: every edit is a range of the original body and what stands in its place. Nothing is ever written anew
//! from a parsed form. A strict scan finds the parts, mail-parser must agree; lol_html and linkify find places in
//! texts; the transfer encodings carry edits into encoded bytes. The result is read again before it leaves here, and
//! any doubt at any step is a reason to leave the message as it came. Bytes in, bytes out: no clock, no database.

mod agreement;
mod charset;
mod check;
mod content;
mod disclosure;
mod html;
mod record;
mod rules;
mod select;
mod session;
mod splice;
pub mod structure;
mod text;
mod transfer;
mod unwrap;

use common::{
    config::Controller, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
    tracking_url,
};

use self::{
    charset::Charset,
    disclosure::{Disclosure, Purposes},
    html::HtmlEdit,
    select::{BodyKind, BodyPart, select},
    session::Session,
    splice::Edits,
    structure::{Structure, Transfer},
    text::PlainEdit,
    transfer::{Decoded, LineWatch, encode_quoted_printable},
};
pub use self::{
    record::{LinkReason, LinkRecord, Outcome, PartReason, PartRecord, Record},
    unwrap::unwrap,
};
use crate::{
    control::Links,
    eligibility::{self, EnvelopeSender},
    message::{HeaderEdit, Message},
};

/// What is to be put into one message.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub controller: &'a Controller,
    pub keys: &'a KeyRing,
    /// The language of the disclosure line.
    pub language: Language,
    pub message: MessageId,
    pub opens: bool,
    pub links: Links,
}

/// A tracked link, as it is recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackedLink {
    /// From 1, in reading order.
    pub ordinal: u16,
    /// The host of the destination, in lower case.
    pub host: String,
    /// The visible text, at most 80 characters.
    pub text: String,
}

/// The outcome: a new body and what was put in.
#[derive(Clone, Debug)]
pub struct Instrumented {
    pub body: Vec<u8>,
    /// Changes of the header section that belong to the body and must be applied with it: the `Tracking-Consent` field
    /// and, rarely, a new `Content-Transfer-Encoding`.
    pub header_edits: Vec<HeaderEdit>,
    pub opens: bool,
    pub links: Vec<TrackedLink>,
}

/// Rewrites the message so that what the plan allows can be seen.
///
/// # Errors
///
/// Returns the reason for which the message must be left as it is.
pub fn instrument(message: &Message, plan: &Plan<'_>) -> Result<Instrumented, SkipReason> {
    instrument_with_record(message, plan).0
}

/// Rewrites the message, and tells for every part and every link what was done and why. The record is there whatever
/// the outcome.
pub fn instrument_with_record(
    message: &Message,
    plan: &Plan<'_>,
) -> (Result<Instrumented, SkipReason>, Record) {
    let mut record = Record::default();
    let result = run(message, plan, &mut record, Pass::First);
    if result.is_err() {
        for part in &mut record.parts {
            part.outcome = Outcome::Untouched;
            part.pixel = false;
        }
    }
    (result, record)
}

/// Whether own artefacts have been taken out already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pass {
    First,
    Second,
}

fn run(
    message: &Message,
    plan: &Plan<'_>,
    record: &mut Record,
    pass: Pass,
) -> Result<Instrumented, SkipReason> {
    eligibility::check_fields(&message.fields, EnvelopeSender::Address)?;
    let structure = Structure::of(message)?;
    eligibility::check_structure(&structure)?;
    if !agreement::agrees(message, &structure) {
        return Err(SkipReason::Malformed);
    }
    let selection = select(&structure);
    let mut session = Session::new(message, plan);
    let mut works = Vec::with_capacity(selection.bodies.len());
    for body in &selection.bodies {
        works.push(Work::begin(message, body));
    }
    check_armour(&works)?;
    // Artefacts of earlier messages go first, so that quoted text neither reports nor counts.
    let host = plan.controller.tracking_host();
    let may_hold_own = works
        .iter()
        .any(|work| memchr::memmem::find(work.text(), host.as_bytes()).is_some());
    if may_hold_own
        && pass == Pass::First
        && let Some(body) = unwrap(message, plan.keys, &[plan.controller.base_url()])
    {
        let fields = message.fields.clone();
        return run(&Message { fields, body }, plan, record, Pass::Second);
    }
    for (part, reason) in &selection.others {
        record.parts.push(part_record(part, Some(*reason)));
    }
    if !works.is_empty() && !works.iter().any(Work::has_content) {
        return Err(SkipReason::Empty);
    }
    // HTML first: its links give the numbers, and its opt-outs hold for the plain text too.
    for kind in [BodyKind::Html, BodyKind::Plain] {
        for work in works.iter_mut().filter(|work| work.kind == kind) {
            work.plan(&mut session);
        }
    }
    let purposes = finish(plan, &session, &mut works);
    let purposes = match purposes {
        Ok(purposes) => purposes,
        Err(reason) => {
            record
                .parts
                .extend(works.into_iter().map(|work| work.record));
            record.parts.sort_by(|one, other| one.path.cmp(&other.path));
            return Err(reason);
        }
    };
    let choices = tracking_url::choices(session.base, plan.keys, plan.message);
    let pixel = tracking_url::pixel(session.base, plan.keys, plan.message);
    let disclosure = Disclosure {
        language: plan.language,
        purposes,
        consent: plan.controller.consent,
        choices: &choices,
    };
    let mut body = Edits::default();
    for work in &mut works {
        work.carry_out(&disclosure, &pixel, structure.line_end, &mut body);
    }
    let mut header_edits = Vec::with_capacity(2);
    if works
        .iter()
        .any(|work| work.record.recoded && work.part.header.is_empty())
    {
        let name = "Content-Transfer-Encoding";
        let mut edit = HeaderEdit::add(name, "quoted-printable");
        edit.index = u32::from(message.first(name).is_some());
        header_edits.push(edit);
    }
    let consent = format!("<{choices}>; purposes=\"{}\"", purposes.names());
    header_edits.push(HeaderEdit::add("Tracking-Consent", &consent));
    let mut new = Message {
        fields: message.fields.clone(),
        body: body.apply(&message.body),
    };
    new.apply(&header_edits);
    let passed = check::passes(message, &structure, &new, &body, &works, &session, &pixel);
    record
        .parts
        .extend(works.into_iter().map(|work| work.record));
    record.parts.sort_by(|one, other| one.path.cmp(&other.path));
    if !passed {
        return Err(SkipReason::CheckFailed);
    }
    Ok(Instrumented {
        body: new.body,
        header_edits,
        opens: purposes.opens,
        links: session.links,
    })
}

/// Looks for the armour of inline PGP, whose signatures cover the text.
fn check_armour(works: &[Work<'_>]) -> Result<(), SkipReason> {
    const ARMOUR: &[u8] = b"-----BEGIN PGP ";
    for work in works {
        let text = work.text();
        for place in memchr::memmem::find_iter(text, ARMOUR) {
            let label = text.get(place + ARMOUR.len()..).unwrap_or_default();
            if label.starts_with(b"MESSAGE") {
                return Err(SkipReason::Encrypted);
            }
            if label.starts_with(b"SIGN") {
                return Err(SkipReason::Signed);
            }
        }
    }
    Ok(())
}

/// Decides which parts are edited, and where the pixel goes.
fn finish(
    plan: &Plan<'_>,
    session: &Session<'_>,
    works: &mut [Work<'_>],
) -> Result<Purposes, SkipReason> {
    let mut has_pixel = false;
    for work in works.iter_mut() {
        let is_pixel_here = match &work.planned {
            Some(Planned::Html(_)) => plan.opens && !has_pixel,
            Some(Planned::Plain(_)) => false,
            None => continue,
        };
        has_pixel |= is_pixel_here;
        let has_links = work.record.links.iter().any(|link| link.ordinal.is_some());
        if is_pixel_here || has_links {
            work.record.outcome = Outcome::Edited;
            work.record.reason = None;
            work.record.pixel = is_pixel_here;
        } else {
            work.planned = None;
            work.record.reason = Some(PartReason::Nothing);
        }
    }
    let failure = works
        .iter()
        .filter(|work| work.kind == BodyKind::Html)
        .filter_map(|work| work.record.reason)
        .find_map(PartReason::for_message);
    if let Some(reason) = failure {
        // What HTML readers see would carry no disclosure. Where several HTML parts are shown, one is enough.
        let is_shown = works
            .iter()
            .any(|work| work.kind == BodyKind::Html && work.record.outcome == Outcome::Edited);
        if !is_shown {
            return Err(reason);
        }
    }
    if works.iter().any(|work| work.planned.is_some()) {
        return Ok(Purposes {
            opens: has_pixel,
            links: !session.links.is_empty(),
        });
    }
    let has_html = works.iter().any(|work| work.kind == BodyKind::Html);
    let has_text = works.iter().any(|work| work.kind == BodyKind::Plain);
    Err(if has_html || (has_text && plan.links.in_text()) {
        SkipReason::NoLinks
    } else {
        SkipReason::NoHtml
    })
}

/// A body part in work.
pub(crate) struct Work<'a> {
    part: &'a structure::Part,
    kind: BodyKind,
    encoded: &'a [u8],
    decoded: Option<Decoded<'a>>,
    charset: Option<Charset>,
    planned: Option<Planned>,
    /// Whether another transfer encoding can be said where all will read it: not in a message without MIME-Version.
    may_recode: bool,
    /// All edits, the disclosure among them, once they are carried out.
    edits: Edits,
    record: PartRecord,
}

enum Planned {
    Html(HtmlEdit),
    Plain(PlainEdit),
}

impl Planned {
    fn edits(&self) -> &Edits {
        match self {
            Self::Html(edit) => &edit.edits,
            Self::Plain(edit) => &edit.edits,
        }
    }

    fn links(&self) -> &[LinkRecord] {
        match self {
            Self::Html(edit) => &edit.links,
            Self::Plain(edit) => &edit.links,
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
    fn begin(message: &'a Message, body: &BodyPart<'a>) -> Self {
        let encoded = message.body.get(body.part.body.clone()).unwrap_or_default();
        let charset = Charset::find(body.part.charset.as_deref());
        let decoded = Decoded::new(encoded, body.part.transfer).ok();
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
            record: part_record(body.part, reason),
        }
    }

    /// Returns the content, or nothing if it cannot be read.
    fn text(&self) -> &[u8] {
        self.decoded.as_ref().map_or(b"", |decoded| &decoded.text)
    }

    /// Tells whether there is anything to see; what cannot be read counts as something.
    fn has_content(&self) -> bool {
        match (self.kind, self.charset) {
            _ if self.decoded.is_none() => true,
            (BodyKind::Plain, _) => !self.text().trim_ascii().is_empty(),
            (BodyKind::Html, None) => true,
            (BodyKind::Html, Some(charset)) => html::has_content(self.text(), charset),
        }
    }

    /// Works out the edit. Where lines would grow too long, the part becomes quoted-printable.
    fn plan(&mut self, session: &mut Session<'_>) {
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
            Some(Ok(planned)) => {
                self.record.links = planned.links().to_vec();
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
            BodyKind::Plain if session.plan.links.in_text() => {
                let flowed = self.part.flowed;
                let plan = text::plan(session, decoded, self.encoded, charset, flowed, watch);
                Some(Ok(Planned::Plain(plan)))
            }
            BodyKind::Plain => None,
        }
    }

    /// Carries the planned edits out, and adds what follows for the body of the message.
    fn carry_out(
        &mut self,
        disclosure: &Disclosure<'_>,
        pixel: &str,
        line_end: &'static [u8],
        body: &mut Edits,
    ) {
        let (Some(planned), Some(decoded)) = (&self.planned, &self.decoded) else {
            return;
        };
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
        let mut is_placed = false;
        for (range, text) in planned.edits().iter() {
            if !is_placed && range.start >= place {
                is_placed = true;
                self.edits.push(place..place, &block);
            }
            self.edits.push(range, text);
        }
        if !is_placed {
            self.edits.push(place..place, &block);
        }
        let encoded = if self.record.recoded {
            if !self.part.header.is_empty() {
                let (range, field) = recoding(self.part, line_end);
                body.push(range, &field);
            }
            encode_quoted_printable(&self.edits.apply(&decoded.text), line_end)
        } else {
            decoded.edit(self.encoded, &self.edits, line_end)
        };
        body.push(self.part.body.clone(), &encoded);
    }

    /// Returns the disclosure as a paragraph of its own, with the line ends it takes.
    fn last_paragraph(
        &self,
        text: &[u8],
        disclosure: &Disclosure<'_>,
        line_end: &'static [u8],
    ) -> Vec<u8> {
        let text_end = text_line_end(text, line_end);
        let is_ascii_only = matches!(self.part.transfer, Transfer::Identity { ascii: true });
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
fn recoding(part: &structure::Part, line_end: &[u8]) -> (std::ops::Range<usize>, Vec<u8>) {
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

fn part_record(part: &structure::Part, reason: Option<PartReason>) -> PartRecord {
    PartRecord {
        path: part.path.clone(),
        media: part.media.clone(),
        transfer: part.transfer.name(),
        charset: part.charset.clone(),
        outcome: Outcome::Untouched,
        reason,
        pixel: false,
        recoded: false,
        links: Vec::new(),
    }
}
