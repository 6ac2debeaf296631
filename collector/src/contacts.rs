// SPDX-License-Identifier: GPL-3.0-or-later
//! Whom a user has written to, and whether new mail to them may be tracked: on or off, and nothing about why.

use chrono::{DateTime, Utc};
use common::{
    address::Address,
    config::Controller,
    consent::{Purpose, Rule, decide},
    db::{Connection, contacts, standings},
    ids::UserId,
};
use uuid::Uuid;

use crate::{auth::CurrentUser, failure::Failure, report::Cursor, state::State};

/// Somebody who was written to.
pub struct Contact {
    pub address: String,
    pub is_tracked: bool,
    pub messages: i64,
    pub last_sent_at: DateTime<Utc>,
}

/// One page of contacts.
pub struct Page {
    pub contacts: Vec<Contact>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// Reads a page of contacts.
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn page(
    current: &CurrentUser,
    state: &State,
    search: &str,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: usize,
    connection: &mut Connection,
) -> Result<Page, Failure> {
    let (controller, user) = (current.controller_id(), current.id());
    let one_more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut rows =
        contacts::of_user(controller, user, search, before, one_more, connection).await?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|last| {
        let cursor = Cursor {
            sent_at: last.last_sent_at,
            id: last.subject_ref,
        };
        cursor.encode()
    });
    let addresses: Vec<Address> = rows
        .iter()
        .filter_map(|row| Address::parse(&row.address))
        .collect();
    let standings = standings::by_address(controller, &addresses, &state.keys, connection).await?;
    let rule = Rule::of(&current.controller);
    let now = Utc::now();
    let allowed: Vec<&Address> = addresses
        .iter()
        .zip(&standings)
        .filter(|(address, standing)| {
            is_observable(address, &current.controller)
                && Purpose::ALL
                    .into_iter()
                    .any(|purpose| decide(standing, purpose, user, &rule, now).is_allowed())
        })
        .map(|(address, _)| address)
        .collect();
    let contacts = rows.into_iter().map(|row| Contact {
        is_tracked: allowed
            .iter()
            .any(|address| address.as_str() == row.address),
        address: row.address,
        messages: row.messages,
        last_sent_at: row.last_sent_at,
    });
    Ok(Page {
        contacts: contacts.collect(),
        next,
    })
}

/// Tells whether the organisation lets anybody observe this address.
fn is_observable(address: &Address, controller: &Controller) -> bool {
    let is_excluded = controller
        .exclude_recipients
        .iter()
        .any(|entry| address.matches(entry));
    let is_internal = controller.owns(address.domain());
    !is_excluded && (controller.internal || !is_internal)
}

/// Returns the scope that a form or a program names.
pub fn scope(name: &str, user: UserId) -> Option<common::consent::Scope> {
    use common::consent::Scope;
    match name {
        "controller" => Some(Scope::Controller),
        "sender" => Some(Scope::Sender(user)),
        _ => None,
    }
}
