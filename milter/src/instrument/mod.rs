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
pub(crate) mod content;
mod disclosure;
mod html;
mod part;
mod quotation;
mod record;
mod rules;
mod select;
mod session;
mod splice;
pub mod structure;
mod text;
mod transfer;
mod unwrap;
mod work;

use common::{
    config::Controller, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
    tracking_url,
};

use self::{
    check::{Flaw, Intended, check},
    disclosure::{Disclosure, Purposes},
    select::{BodyKind, select},
    session::Session,
    splice::Copy,
    structure::Structure,
    unwrap::Own,
    work::{Planned, Work, part_record},
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

/// What is to be put into one message. A plan for neither purpose puts in one line that invites the recipient to choose.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub controller: &'a Controller,
    /// All controllers of the installation: what was put in for any of them is ours.
    pub controllers: &'a [Controller],
    pub keys: &'a KeyRing,
    /// The language of the disclosure line.
    pub language: Language,
    pub message: MessageId,
    pub opens: bool,
    pub links: Links,
}

impl Plan<'_> {
    fn is_invitation(&self) -> bool {
        !self.opens && self.links == Links::No
    }
}

/// Returns the base URLs of controllers, each once.
pub(crate) fn base_urls(controllers: &[Controller]) -> Vec<&str> {
    let mut bases: Vec<&str> = controllers.iter().map(Controller::base_url).collect();
    bases.sort_unstable();
    bases.dedup();
    bases
}

/// The outcome: a new body and what was put in.
#[derive(Clone, Debug)]
pub struct Instrumented {
    pub body: Vec<u8>,
    /// Changes of the header section that belong to the body and must be applied with it: the `Tracking-Consent` field
    /// and, rarely, a new `Content-Transfer-Encoding`.
    pub header_edits: Vec<HeaderEdit>,
    pub opens: bool,
    /// How many links are tracked; the record names them.
    pub links: u16,
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
    let result = run(message, plan, &mut record, Pass::First, Ending::Checked);
    record.cut_links();
    if result.is_err() {
        record.take_back();
    }
    (result, record)
}

/// Rewrites the message without reading the result again: what a benchmark needs to tell the cost of that apart, and
/// fit for nothing that leaves.
///
/// # Errors
///
/// Returns the reason for which the message must be left as it is.
#[doc(hidden)]
pub fn edit_unchecked(message: &Message, plan: &Plan<'_>) -> Result<Instrumented, SkipReason> {
    let record = &mut Record::default();
    run(message, plan, record, Pass::First, Ending::Unchecked)
}

/// Whether the result is read again before it leaves here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    Checked,
    Unchecked,
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
    ending: Ending,
) -> Result<Instrumented, SkipReason> {
    let structure = examine(message)?;
    let selection = select(&structure);
    let mut works: Vec<Work<'_>> = selection
        .bodies
        .iter()
        .map(|body| Work::begin(message, body))
        .collect();
    check_armour(&works)?;
    if pass == Pass::First
        && let Some(body) = without_own_artefacts(message, plan, &works).map_err(|flaw| {
            record.flaw = Some(flaw);
            SkipReason::CheckFailed
        })?
    {
        let fields = message.fields.clone();
        let message = &Message { fields, body };
        return run(message, plan, record, Pass::Second, ending);
    }
    let others = selection.others.iter();
    record
        .parts
        .extend(others.map(|(part, reason)| part_record(part, Some(*reason))));
    let mut session = Session::new(message, plan);
    let result = work_through(&mut works, &mut session).and_then(|purposes| {
        let artefacts = Artefacts::of(plan, purposes);
        let made = put_together(message, &structure, &mut works, plan, &artefacts);
        if ending == Ending::Checked {
            let intended = Intended {
                old: message,
                structure: &structure,
                works: &works,
                session: &session,
                artefacts: &artefacts,
            };
            check(&intended, &made.message).map_err(|flaw| {
                record.flaw = Some(flaw);
                SkipReason::CheckFailed
            })?;
        }
        Ok(Instrumented {
            body: made.message.body,
            header_edits: made.header_edits,
            opens: purposes.opens,
            links: session.links,
        })
    });
    record
        .parts
        .extend(works.into_iter().map(|work| work.record));
    record.parts.sort_by(|one, other| one.path.cmp(&other.path));
    result
}

/// Reads the structure, and looks for what forbids any edit.
fn examine(message: &Message) -> Result<Structure, SkipReason> {
    eligibility::check_fields(&message.fields, EnvelopeSender::Address)?;
    let structure = Structure::of(message)?;
    eligibility::check_structure(&structure)?;
    if agreement::agrees(message, &structure) {
        Ok(structure)
    } else {
        Err(SkipReason::Malformed)
    }
}

/// Artefacts of earlier messages go first, whichever controller they are of, so that quoted text neither reports nor
/// counts.
fn without_own_artefacts(
    message: &Message,
    plan: &Plan<'_>,
    works: &[Work<'_>],
) -> Result<Option<Vec<u8>>, Flaw> {
    let bases = base_urls(plan.controllers);
    let own = Own::new(plan.keys, &bases);
    if works.iter().any(|work| own.may_occur_in(work.text())) {
        unwrap(message, plan.keys, &bases)
    } else {
        Ok(None)
    }
}

/// Works the edit of every part out, and decides which are carried out.
fn work_through(works: &mut [Work<'_>], session: &mut Session<'_>) -> Result<Purposes, SkipReason> {
    // HTML first: its links give the numbers, and its opt-outs hold for the plain text too.
    for kind in [BodyKind::Html, BodyKind::Plain] {
        for work in works.iter_mut().filter(|work| work.kind == kind) {
            work.plan(session);
        }
    }
    if !works.is_empty() && !works.iter().any(Work::has_content) {
        return Err(SkipReason::Empty);
    }
    decide(works, session)
}

/// What is put into a message beside tracked links.
struct Artefacts {
    purposes: Purposes,
    choices: String,
    pixel: String,
}

impl Artefacts {
    fn of(plan: &Plan<'_>, purposes: Purposes) -> Self {
        let base = plan.controller.base_url();
        Self {
            purposes,
            choices: tracking_url::choices(base, plan.keys, plan.message),
            pixel: tracking_url::pixel(base, plan.keys, plan.message),
        }
    }
}

/// The new message, and the edits of the header section that are in it.
struct Made {
    message: Message,
    header_edits: Vec<HeaderEdit>,
}

/// Carries the edits out and puts the new message together.
fn put_together(
    message: &Message,
    structure: &Structure,
    works: &mut [Work<'_>],
    plan: &Plan<'_>,
    artefacts: &Artefacts,
) -> Made {
    let disclosure = Disclosure {
        language: plan.language,
        purposes: artefacts.purposes,
        consent: plan.controller.consent,
        choices: &artefacts.choices,
    };
    let growth = works.iter_mut().map(Work::growth).sum();
    let mut body = Copy::new(&message.body, growth);
    for work in works.iter_mut() {
        work.carry_out(&disclosure, &artefacts.pixel, structure.line_end, &mut body);
    }
    let mut header_edits = Vec::with_capacity(2);
    if works.iter().any(Work::recodes_message) {
        let name = "Content-Transfer-Encoding";
        let mut edit = HeaderEdit::add(name, "quoted-printable");
        edit.index = u32::from(message.first(name).is_some());
        header_edits.push(edit);
    }
    if !plan.is_invitation() {
        let (choices, purposes) = (&artefacts.choices, artefacts.purposes.names());
        let consent = format!("<{choices}>; purposes=\"{purposes}\"");
        header_edits.push(HeaderEdit::add("Tracking-Consent", &consent));
    }
    let mut message = Message {
        fields: message.fields.clone(),
        body: body.finish(),
    };
    message.apply(&header_edits);
    Made {
        message,
        header_edits,
    }
}

/// Decides which parts are edited, and where the pixel goes.
fn decide(works: &mut [Work<'_>], session: &Session<'_>) -> Result<Purposes, SkipReason> {
    let plan = session.plan;
    let mut has_pixel = false;
    let mut inviting = plan.is_invitation().then(|| {
        let is_html = |work: &Work<'_>| matches!(work.planned, Some(Planned::Html(_)));
        if works.iter().any(is_html) {
            BodyKind::Html
        } else {
            BodyKind::Plain
        }
    });
    for work in works.iter_mut() {
        let is_pixel_here = match &work.planned {
            Some(Planned::Html(_)) => plan.opens && !has_pixel,
            Some(Planned::Plain(_)) => false,
            None => continue,
        };
        has_pixel |= is_pixel_here;
        let has_links = work.record.links.iter().any(|link| link.ordinal.is_some());
        // The plain text beside HTML tells too.
        let invites_here = inviting == Some(work.kind) && work.has_content();
        if invites_here {
            inviting = None;
        }
        if is_pixel_here || has_links || invites_here {
            work.record.outcome = Outcome::Edited;
            work.record.reason = None;
            work.record.pixel = is_pixel_here;
        } else {
            work.record.reason = Some(PartReason::Nothing);
        }
    }
    disclose_in_text(works);
    for work in works
        .iter_mut()
        .filter(|work| work.record.outcome != Outcome::Edited)
    {
        work.planned = None;
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
            links: session.links > 0,
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

/// Lets the plain text tell too what the HTML beside it reports: the first plain part with content, where none is edited
/// for its links.
fn disclose_in_text(works: &mut [Work<'_>]) {
    let is_edited = |kind| {
        let mut edited = works
            .iter()
            .filter(|work| work.record.outcome == Outcome::Edited);
        edited.any(|work| work.kind == kind)
    };
    if !is_edited(BodyKind::Html) || is_edited(BodyKind::Plain) {
        return;
    }
    let silent = works
        .iter_mut()
        .find(|work| matches!(work.planned, Some(Planned::Plain(_))) && work.has_content());
    if let Some(work) = silent {
        work.record.outcome = Outcome::Edited;
        work.record.reason = None;
    }
}

/// Looks for the armour of inline PGP, whose signatures cover the text.
fn check_armour(works: &[Work<'_>]) -> Result<(), SkipReason> {
    const ARMOUR: &[u8] = b"-----BEGIN PGP ";
    for work in works {
        // Not all is decoded: `binary` is not, nor what is oddly named. Programs show it, mostly as it stands.
        let is_read = work.decoded.is_some();
        let text = if is_read { work.text() } else { work.encoded };
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
