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
mod transfer;

use common::{
    config::Controller, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
    tracking_url,
};

pub use self::record::{LinkReason, LinkRecord, Outcome, PartReason, PartRecord, Record};
use self::{
    charset::Charset,
    disclosure::{Disclosure, Purposes},
    html::HtmlEdit,
    select::{BodyKind, BodyPart, select},
    session::Session,
    splice::Edits,
    structure::{Structure, Transfer},
    transfer::{Decoded, LineWatch, encode_quoted_printable},
};
use crate::{control::Links, message::Message};

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
    /// The value of the `Tracking-Consent` field to add.
    pub tracking_consent: String,
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
    let result = run(message, plan, &mut record);
    if result.is_err() {
        for part in &mut record.parts {
            part.outcome = Outcome::Untouched;
            part.pixel = false;
        }
    }
    (result, record)
}

fn run(
    message: &Message,
    plan: &Plan<'_>,
    record: &mut Record,
) -> Result<Instrumented, SkipReason> {
    let structure = Structure::of(message)?;
    if !agreement::agrees(message, &structure) {
        return Err(SkipReason::Malformed);
    }
    let selection = select(&structure);
    let mut session = Session::new(message, plan);
    let mut works = Vec::with_capacity(selection.bodies.len());
    for body in &selection.bodies {
        works.push(Work::begin(message, body));
    }
    for (part, reason) in &selection.others {
        record.parts.push(part_record(part, Some(*reason)));
    }
    for work in &mut works {
        if work.kind == BodyKind::Html {
            work.plan_html(&mut session);
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
    let new = Message {
        fields: message.fields.clone(),
        body: body.apply(&message.body),
    };
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
        tracking_consent: format!("<{choices}>; purposes=\"{}\"", purposes.names()),
        opens: purposes.opens,
        links: session.links,
    })
}

/// Decides which parts are edited, and where the pixel goes.
fn finish(
    plan: &Plan<'_>,
    session: &Session<'_>,
    works: &mut [Work<'_>],
) -> Result<Purposes, SkipReason> {
    let mut has_pixel = false;
    for work in works.iter_mut() {
        let Some(Planned::Html(edit)) = &work.planned else {
            continue;
        };
        let is_pixel_here = plan.opens && !has_pixel;
        let has_links = edit.links.iter().any(|link| link.ordinal.is_some());
        has_pixel |= is_pixel_here;
        work.record.pixel = is_pixel_here;
        work.record.links.clone_from(&edit.links);
        if is_pixel_here || has_links {
            work.record.outcome = Outcome::Edited;
            work.record.reason = None;
        } else {
            work.planned = None;
            work.record.reason = Some(PartReason::Nothing);
        }
    }
    let html = works.iter().filter(|work| work.kind == BodyKind::Html);
    let failure = html
        .clone()
        .filter_map(|work| work.record.reason)
        .find_map(PartReason::for_message);
    let is_edited = works.iter().any(|work| work.planned.is_some());
    if is_edited {
        return Ok(Purposes {
            opens: has_pixel,
            links: !session.links.is_empty(),
        });
    }
    Err(match failure {
        Some(reason) => reason,
        None if html.count() == 0 => SkipReason::NoHtml,
        None => SkipReason::NoLinks,
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
    /// All edits, the disclosure among them, once they are carried out.
    edits: Edits,
    record: PartRecord,
}

enum Planned {
    Html(HtmlEdit),
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
            edits: Edits::default(),
            record: part_record(body.part, reason),
        }
    }

    /// Works out the edit of an HTML part. Where lines would grow too long, the part becomes quoted-printable if that
    /// can be said in the body; the fields of the message itself are never touched for it.
    fn plan_html(&mut self, session: &mut Session<'_>) {
        let (Some(decoded), Some(charset)) = (&self.decoded, self.charset) else {
            return;
        };
        let links = if session.plan.links.in_html() {
            html::Links::Rewrite
        } else {
            html::Links::Leave
        };
        let bookmark = session.bookmark();
        let watch = LineWatch::new(&decoded.text, self.part.transfer);
        let mut planned = html::plan(session, decoded, self.encoded, charset, links, watch);
        let is_cramped = planned.as_ref().map_or(true, |edit| edit.is_cramped);
        let is_identity = matches!(self.part.transfer, Transfer::Identity { .. });
        if is_cramped && is_identity && !self.part.header.is_empty() {
            session.return_to(bookmark);
            let watch = LineWatch::new(&decoded.text, Transfer::QuotedPrintable);
            planned = html::plan(session, decoded, self.encoded, charset, links, watch);
            self.record.recoded = planned.is_ok();
        }
        match planned {
            Ok(edit) => self.planned = Some(Planned::Html(edit)),
            Err(reason) => self.record.reason = Some(reason),
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
        let (Some(Planned::Html(edit)), Some(decoded)) = (&self.planned, &self.decoded) else {
            return;
        };
        let text_end = text_line_end(&decoded.text, line_end);
        let pixel = self.record.pixel.then_some(pixel);
        let mut block = disclosure.html(pixel, text_end);
        if edit.ends_line {
            block.push_str(text_end);
        }
        let mut is_placed = false;
        for (range, text) in edit.edits.iter() {
            if !is_placed && range.start >= edit.place {
                is_placed = true;
                self.edits.push(edit.place..edit.place, block.as_bytes());
            }
            self.edits.push(range, text);
        }
        if !is_placed {
            self.edits.push(edit.place..edit.place, block.as_bytes());
        }
        let encoded = if self.record.recoded {
            let (range, field) = recoding(self.part, line_end);
            body.push(range, &field);
            encode_quoted_printable(&self.edits.apply(&decoded.text), line_end)
        } else {
            decoded.edit(self.encoded, &self.edits, line_end)
        };
        body.push(self.part.body.clone(), &encoded);
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
