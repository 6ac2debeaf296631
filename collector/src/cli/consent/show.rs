// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent show`: what a person said, and what follows from it. Looking is a recorded act.

use chrono::{DateTime, Utc};
use clap::Args;
use common::{
    address::Address,
    consent::{Purpose, Rule, Standing, chain::hex, decide},
    db::{
        consent_events::{self, Recorded},
        standings, subjects, users,
    },
    ids::UserId,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{Desk, Whom};
use crate::cli::Context;

/// Of whom, and why.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    whom: Whom,
    /// Why you look; kept in the log of acts
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    address: String,
    controller: String,
    subject_ref: Option<Uuid>,
    /// Asked never to be asked or observed.
    suppressed: bool,
    /// Frozen.
    restricted: bool,
    states: Vec<StateShown>,
    events: Vec<EventShown>,
}

/// What stands for one purpose in one scope.
#[derive(Serialize)]
struct StateShown {
    purpose: &'static str,
    scope: String,
    state: String,
    expires_at: Option<DateTime<Utc>>,
    /// Whether observation is allowed now: of this sender's mail, or of mail by senders who are not named apart.
    allowed: bool,
}

#[derive(Serialize)]
struct EventShown {
    seq: i64,
    at: DateTime<Utc>,
    purpose: String,
    scope: String,
    state: String,
    author: String,
    assurance: i16,
    method: String,
    expires_at: Option<DateTime<Utc>>,
    notice: Option<String>,
    hash: String,
}

/// Shows it.
pub(super) async fn run(options: &Options, context: &Context) -> anyhow::Result<()> {
    let mut desk = Desk::open(&options.whom.which, context).await?;
    let address = options.whom.address()?;
    let (books, connection) = desk.books()?;
    let found = subjects::find(&books.controller.id, &address, connection).await?;
    if let Some(subject) = found {
        let detail = json!({"subject": subject.0, "reason": options.reason});
        desk.note("consent-shown", detail).await?;
    }
    print(&mut desk, &address, context).await
}

/// Prints what stands for an address.
pub(super) async fn print(
    desk: &mut Desk,
    address: &Address,
    context: &Context,
) -> anyhow::Result<()> {
    let (books, connection) = desk.books()?;
    let id = &books.controller.id;
    let subject = subjects::find(id, address, connection).await?;
    let one = std::slice::from_ref(address);
    let standing = standings::by_address(id, one, books.keys, connection)
        .await?
        .pop()
        .unwrap_or_default();
    let events = match subject {
        Some(subject) => consent_events::of_subject(id, subject, connection).await?,
        None => Vec::new(),
    };
    let mut names = Vec::new();
    for user in events.iter().filter_map(|event| event.scope_user) {
        if names.iter().all(|(known, _)| *known != user)
            && let Some(found) = users::get(id, UserId(user), connection).await?
        {
            names.push((user, found.login));
        }
    }
    let scope_of = |user: Option<Uuid>| match user {
        None => "controller".to_owned(),
        Some(user) => names
            .iter()
            .find(|(known, _)| *known == user)
            .map_or_else(|| user.to_string(), |(_, login)| login.clone()),
    };
    let rule = Rule::of(books.controller);
    let shown = Shown {
        address: address.as_str().to_owned(),
        controller: id.as_str().to_owned(),
        subject_ref: subject.map(|subject| subject.0),
        suppressed: standing.is_suppressed,
        restricted: standing.is_restricted,
        states: states(&events, &standing, &rule, Utc::now(), &scope_of),
        events: events
            .iter()
            .map(|event| EventShown::new(event, scope_of(event.scope_user)))
            .collect(),
    };
    context.print(&shown, Shown::words)
}

fn states(
    events: &[Recorded],
    standing: &Standing,
    rule: &Rule,
    now: DateTime<Utc>,
    scope_of: &impl Fn(Option<Uuid>) -> String,
) -> Vec<StateShown> {
    let mut scopes: Vec<Option<Uuid>> = events.iter().map(|event| event.scope_user).collect();
    scopes.push(None);
    scopes.sort_unstable();
    scopes.dedup();
    let mut states = Vec::new();
    for purpose in [Purpose::Open, Purpose::Click] {
        for user in &scopes {
            let newest = events
                .iter()
                .rev()
                .find(|event| event.purpose == purpose.code() && event.scope_user == *user);
            if newest.is_none() && user.is_some() {
                continue;
            }
            // Nobody's name: stands for every sender who is not named apart.
            let sender = UserId(user.unwrap_or_else(Uuid::nil));
            let has_ended = newest
                .and_then(|event| event.expires_at)
                .is_some_and(|end| end <= now);
            states.push(StateShown {
                purpose: purpose.code(),
                scope: scope_of(*user),
                state: match newest {
                    None => "unknown".to_owned(),
                    Some(_) if has_ended => "expired".to_owned(),
                    Some(event) => event.state.clone(),
                },
                expires_at: newest.and_then(|event| event.expires_at),
                allowed: decide(standing, purpose, sender, rule, now).is_allowed(),
            });
        }
    }
    states
}

impl EventShown {
    fn new(event: &Recorded, scope: String) -> Self {
        Self {
            seq: event.seq,
            at: event.at,
            purpose: event.purpose.clone(),
            scope,
            state: event.state.clone(),
            author: event.author.clone(),
            assurance: event.assurance,
            method: event.method.clone(),
            expires_at: event.expires_at,
            notice: event.notice_hash.as_deref().map(hex),
            hash: hex(&event.entry_hash),
        }
    }
}

impl Shown {
    fn words(&self) -> String {
        let mut words = format!("{} at {}\n", self.address, self.controller);
        if self.suppressed {
            words.push_str("  asked never to be asked or observed\n");
        }
        if self.restricted {
            words.push_str("  frozen\n");
        }
        for state in &self.states {
            let allowed = if state.allowed { "yes" } else { "no" };
            words.push_str(&format!(
                "  {:<5}  {}: {}  (observed now: {allowed})\n",
                state.purpose, state.scope, state.state
            ));
        }
        for event in &self.events {
            words.push_str(&format!(
                "  {:>6}  {}  {:<5}  {:<11}  {}  by {} ({})\n",
                event.seq,
                event.at.format("%Y-%m-%d %H:%M:%S"),
                event.purpose,
                event.state,
                event.scope,
                event.author,
                event.method
            ));
        }
        words
    }
}
