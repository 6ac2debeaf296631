// SPDX-License-Identifier: GPL-3.0-or-later
//! What the parts of one message share while it is edited: the numbering of links, and what was left alone where.

use std::collections::HashMap;

use common::tracking_url;

use super::{
    Plan,
    record::{LinkReason, LinkRecord, shorten},
    rules::Rules,
};
use crate::message::Message;

/// The most tracked links in one message.
const MAX_LINKS: u16 = 500;

/// The state of one edit.
pub(crate) struct Session<'a> {
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) base: &'a str,
    pub(crate) rules: Rules,
    /// How many links are tracked so far.
    pub(crate) links: u16,
    /// Where the URL that is being built stands.
    url: Vec<u8>,
    /// The first link to each destination, so that its twin in plain text gets the same number.
    first: HashMap<String, u16>,
    /// Destinations that are left alone in HTML for what is seen only there, so that their twins are too.
    spared: HashMap<String, LinkReason>,
}

/// How far a session had come, to return to.
#[derive(Clone, Copy)]
pub(crate) struct Bookmark(u16);

impl<'a> Session<'a> {
    /// Begins an edit.
    pub(crate) fn new(message: &Message, plan: &'a Plan<'a>) -> Self {
        Self {
            plan,
            base: plan.controller.base_url(),
            rules: Rules::new(plan.controller, plan.controllers, message),
            links: 0,
            url: Vec::new(),
            first: HashMap::new(),
            spared: HashMap::new(),
        }
    }

    /// Remembers a destination that is left alone wherever it occurs, and why.
    pub(crate) fn spare(&mut self, destination: &str, reason: LinkReason) {
        if self.plan.links.in_text() && !self.spared.contains_key(destination) {
            self.spared.insert(destination.to_owned(), reason);
        }
    }

    /// Returns the reason for which a destination is left alone wherever it occurs.
    pub(crate) fn spared(&self, destination: &str) -> Option<LinkReason> {
        self.spared.get(destination).copied()
    }

    /// Returns the number that the next link would get.
    pub(crate) fn next(&self) -> Option<u16> {
        (self.links < MAX_LINKS).then_some(self.links + 1)
    }

    /// Returns the number of the first link to a destination.
    pub(crate) fn twin(&self, destination: &str) -> Option<u16> {
        self.first.get(destination).copied()
    }

    /// Builds a tracked link, in ASCII.
    pub(crate) fn url(&mut self, ordinal: u16, destination: &str) -> &[u8] {
        let plan = self.plan;
        let url = &mut self.url;
        url.clear();
        tracking_url::link_into(
            url,
            self.base,
            plan.keys,
            plan.message,
            ordinal,
            destination,
        );
        url
    }

    /// Takes a link in, and returns its record.
    pub(crate) fn take(
        &mut self,
        ordinal: u16,
        destination: &str,
        host: String,
        text: &str,
    ) -> LinkRecord {
        if ordinal > self.links {
            if self.plan.links.in_text() && !self.first.contains_key(destination) {
                self.first.insert(destination.to_owned(), ordinal);
            }
            self.links = ordinal;
        }
        LinkRecord {
            ordinal: Some(ordinal),
            host,
            text: shorten(text),
            skipped: None,
        }
    }

    /// Returns where the session stands.
    pub(crate) fn bookmark(&self) -> Bookmark {
        Bookmark(self.links)
    }

    /// Forgets the links taken in since then.
    pub(crate) fn return_to(&mut self, bookmark: Bookmark) {
        let Bookmark(links) = bookmark;
        self.links = links;
        self.first.retain(|_, ordinal| *ordinal <= links);
    }
}

/// Makes the record of a link that was left alone.
pub(crate) fn left_alone(host: &str, text: &str, reason: LinkReason) -> LinkRecord {
    LinkRecord {
        ordinal: None,
        host: host.to_owned(),
        text: shorten(text),
        skipped: Some(reason),
    }
}
