// SPDX-License-Identifier: GPL-3.0-or-later
//! Which parts are the body that recipients see. All others keep their bytes: attachments, attached messages, what a
//! related part refers to, and multiparts of a kind whose parts are not simply shown.

use super::{
    record::PartReason,
    structure::{Disposition, Part, Structure},
};

/// A part that may be edited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyPart<'a> {
    pub(crate) part: &'a Part,
    pub(crate) kind: BodyKind,
}

/// What kind of text a body part holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BodyKind {
    Html,
    Plain,
}

/// What was selected.
#[derive(Debug, Default)]
pub(crate) struct Selection<'a> {
    /// In the order in which they stand.
    pub(crate) bodies: Vec<BodyPart<'a>>,
    /// The other leaves, each with the reason.
    pub(crate) others: Vec<(&'a Part, PartReason)>,
}

/// Selects the body parts of a message.
pub(crate) fn select(structure: &Structure) -> Selection<'_> {
    let mut selection = Selection::default();
    if let Some(root) = structure.root() {
        selection.walk(structure, root);
    }
    selection
}

impl<'a> Selection<'a> {
    // The depth is bounded by the scan for boundaries.
    fn walk(&mut self, structure: &'a Structure, part: &'a Part) {
        if !part.is_multipart() {
            match judge(part) {
                Ok(kind) => self.bodies.push(BodyPart { part, kind }),
                Err(reason) => self.others.push((part, reason)),
            }
            return;
        }
        if part.disposition == Disposition::Attachment {
            return self.leave(structure, part, PartReason::Attachment);
        }
        match part.media.as_str() {
            "multipart/mixed" => {
                for child in structure.children(part) {
                    self.walk(structure, child);
                }
            }
            "multipart/alternative" => self.walk_alternatives(structure, part),
            "multipart/related" => {
                let root = structure.related_root(part).map(|root| &root.path);
                for child in structure.children(part) {
                    if Some(&child.path) == root {
                        self.walk(structure, child);
                    } else {
                        self.leave(structure, child, PartReason::Attachment);
                    }
                }
            }
            _ => self.leave(structure, part, PartReason::Type),
        }
    }

    /// Of several alternatives in HTML the last is displayed (RFC 2046, section 5.1.4).
    fn walk_alternatives(&mut self, structure: &'a Structure, part: &'a Part) {
        let displayed = structure
            .children(part)
            .rev()
            .find(|child| holds_html(structure, child))
            .map(|child| &child.path);
        for child in structure.children(part) {
            if holds_html(structure, child) && Some(&child.path) != displayed {
                self.leave(structure, child, PartReason::NotDisplayed);
            } else {
                self.walk(structure, child);
            }
        }
    }

    fn leave(&mut self, structure: &'a Structure, part: &'a Part, reason: PartReason) {
        if !part.is_multipart() {
            self.others.push((part, reason));
        }
        for child in structure.children(part) {
            self.leave(structure, child, reason);
        }
    }
}

/// Tells whether a part, or one below it, is HTML that is shown. One look at each part below.
fn holds_html(structure: &Structure, part: &Part) -> bool {
    if part.is_multipart() {
        let is_shown = matches!(
            part.media.as_str(),
            "multipart/mixed" | "multipart/alternative" | "multipart/related"
        );
        return is_shown
            && structure
                .children(part)
                .any(|child| holds_html(structure, child));
    }
    judge(part) == Ok(BodyKind::Html)
}

fn judge(part: &Part) -> Result<BodyKind, PartReason> {
    let kind = match part.media.as_str() {
        "text/html" => BodyKind::Html,
        "text/plain" => BodyKind::Plain,
        _ => return Err(PartReason::Type),
    };
    if part.disposition == Disposition::Attachment {
        return Err(PartReason::Attachment);
    }
    if part.is_named {
        return Err(PartReason::Named);
    }
    if part.has_digest() {
        return Err(PartReason::Digest);
    }
    Ok(kind)
}
