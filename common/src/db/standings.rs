// SPDX-License-Identifier: GPL-3.0-or-later
//! What the decision needs to know about recipients: their events, and those of addresses with the same base.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{Array, Bool, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use futures_util::future::try_join3;
use uuid::Uuid;

use super::{
    Connection,
    prepared::Prepare,
    schema::{consent_events, subjects, suppressions},
};
use crate::{
    address::Address,
    consent::{Author, Event, Profile, Purpose, Scope, Standing, State},
    ids::{ControllerId, SubjectRef, UserId},
    keys::KeyRing,
};

const SUPPRESSION_CONTEXT: &str = "fairtrack 2026-11 suppression hashes";

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = consent_events)]
struct Row {
    seq: i64,
    subject_ref: Uuid,
    purpose: String,
    scope_user: Option<Uuid>,
    state: String,
    author: String,
    assurance: i16,
    effective_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    profile: String,
}

/// Returns the keyed hash under which an address stands on the suppression list; addresses of one base share it.
pub fn suppression_hash(keys: &KeyRing, address: &Address) -> Vec<u8> {
    let key = keys.derived(SUPPRESSION_CONTEXT);
    blake3::keyed_hash(&key, address.base().as_str().as_bytes())
        .as_bytes()
        .to_vec()
}

/// Returns the standing of each address, in the order given.
pub async fn by_address(
    controller: &ControllerId,
    addresses: &[Address],
    keys: &KeyRing,
    connection: &mut Connection,
) -> QueryResult<Vec<Standing>> {
    let bases: Vec<String> = addresses
        .iter()
        .map(|address| address.base().as_str().to_owned())
        .collect();
    let hashes: Vec<Vec<u8>> = addresses
        .iter()
        .map(|address| suppression_hash(keys, address))
        .collect();
    let is_relative = || {
        subjects::controller_id
            .eq(controller.as_str())
            .and(subjects::base_address.eq_any(&bases))
    };
    let relatives = subjects::table.filter(is_relative()).select((
        subjects::subject_ref,
        subjects::address,
        subjects::base_address,
        subjects::restricted,
    ));
    let suppressed = suppressions::table
        .filter(
            suppressions::controller_id
                .eq(controller.as_str())
                .and(suppressions::address_hash.eq_any(&hashes)),
        )
        .select(suppressions::address_hash);
    let events = consent_events::table
        .filter(
            consent_events::controller_id.eq(controller.as_str()).and(
                consent_events::subject_ref.eq_any(
                    subjects::table
                        .filter(is_relative())
                        .select(subjects::subject_ref),
                ),
            ),
        )
        .order(consent_events::seq)
        .select(Row::as_select());
    // Asked at once, answered in one round trip.
    let connection: &Connection = connection;
    let (mut one, mut two, mut three) = (connection, connection, connection);
    let (relatives, suppressed, events) = try_join3(
        relatives.load::<(Uuid, String, String, bool)>(&mut one),
        suppressed.load::<Vec<u8>>(&mut two),
        events.load::<Row>(&mut three),
    )
    .await?;
    let suppressed: HashSet<Vec<u8>> = suppressed.into_iter().collect();
    let events = by_subject_ref(events)?;

    let standings = addresses
        .iter()
        .zip(&bases)
        .zip(&hashes)
        .map(|((address, base), hash)| {
            let mut standing = Standing {
                is_suppressed: suppressed.contains(hash),
                ..Standing::default()
            };
            for (subject, other, other_base, restricted) in &relatives {
                if other_base != base {
                    continue;
                }
                let is_exact = other == address.as_str();
                standing.is_restricted |= *restricted;
                let own = events.get(subject).into_iter().flatten();
                standing.events.extend(own.map(|event| Event {
                    is_exact,
                    ..event.clone()
                }));
            }
            standing.events.sort_by_key(|event| event.seq);
            standing
        });
    Ok(standings.collect())
}

/// Returns the standing of each subject that exists.
///
/// One query instead of the steps above: this is asked for every batch of hits.
pub async fn by_subject(
    controller: &ControllerId,
    wanted: &[SubjectRef],
    keys: &KeyRing,
    connection: &mut Connection,
) -> QueryResult<HashMap<SubjectRef, Standing>> {
    let refs: Vec<Uuid> = wanted.iter().map(|subject| subject.0).collect();
    let rows: Vec<Relative> = diesel::sql_query(BY_SUBJECT)
        .bind::<Text, _>(controller.as_str())
        .bind::<Array<SqlUuid>, _>(refs)
        .prepared()
        .load(connection)
        .await?;
    let mut standings: HashMap<SubjectRef, Standing> = HashMap::with_capacity(wanted.len());
    let mut hashes: HashMap<Vec<u8>, Vec<SubjectRef>> = HashMap::with_capacity(wanted.len());
    for row in rows {
        let subject = SubjectRef(row.subject);
        if !standings.contains_key(&subject) {
            let Some(address) = Address::parse(&row.address) else {
                continue;
            };
            let hash = suppression_hash(keys, &address);
            hashes.entry(hash).or_default().push(subject);
        }
        let standing = standings.entry(subject).or_default();
        standing.is_restricted |= row.restricted;
        if let Some(event) = row.event {
            let event = event.into_event().ok_or(diesel::result::Error::NotFound)?;
            standing.events.push(Event {
                is_exact: row.is_exact,
                ..event
            });
        }
    }
    let asked: Vec<&[u8]> = hashes.keys().map(Vec::as_slice).collect();
    let suppressed: Vec<Vec<u8>> = suppressions::table
        .filter(
            suppressions::controller_id
                .eq(controller.as_str())
                .and(suppressions::address_hash.eq_any(asked)),
        )
        .select(suppressions::address_hash)
        .load(connection)
        .await?;
    for subject in suppressed
        .iter()
        .filter_map(|hash| hashes.get(hash))
        .flatten()
    {
        standings.entry(*subject).or_default().is_suppressed = true;
    }
    Ok(standings)
}

const BY_SUBJECT: &str = "
SELECT own.subject_ref AS subject, own.address, relative.address = own.address AS is_exact, relative.restricted,
    event.seq, event.subject_ref, event.purpose, event.scope_user, event.state, event.author, event.assurance,
    event.effective_at, event.expires_at, event.profile
FROM subjects AS own
JOIN subjects AS relative
    ON relative.controller_id = own.controller_id AND relative.base_address = own.base_address
LEFT JOIN consent_events AS event
    ON event.controller_id = relative.controller_id AND event.subject_ref = relative.subject_ref
WHERE own.controller_id = $1 AND own.subject_ref = ANY ($2)
ORDER BY event.seq";

/// A subject, another (or the same) with the same base address, and one event of that one, if there is any.
#[derive(QueryableByName)]
struct Relative {
    #[diesel(sql_type = SqlUuid)]
    subject: Uuid,
    #[diesel(sql_type = Text)]
    address: String,
    #[diesel(sql_type = Bool)]
    is_exact: bool,
    #[diesel(sql_type = Bool)]
    restricted: bool,
    #[diesel(embed)]
    event: Option<Row>,
}

fn by_subject_ref(rows: Vec<Row>) -> QueryResult<HashMap<Uuid, Vec<Event>>> {
    let mut events: HashMap<Uuid, Vec<Event>> = HashMap::new();
    for row in rows {
        let subject = row.subject_ref;
        let event = row.into_event().ok_or(diesel::result::Error::NotFound)?;
        events.entry(subject).or_default().push(event);
    }
    Ok(events)
}

impl Row {
    /// Returns the event; `None` for words that a newer release wrote: then nothing is decided, and nothing is tracked.
    fn into_event(self) -> Option<Event> {
        Some(Event {
            seq: self.seq,
            purpose: Purpose::from_code(&self.purpose)?,
            scope: self
                .scope_user
                .map_or(Scope::Controller, |user| Scope::Sender(UserId(user))),
            state: State::from_code(&self.state)?,
            author: Author::from_code(&self.author)?,
            assurance: u8::try_from(self.assurance).ok()?,
            effective_at: self.effective_at,
            expires_at: self.expires_at,
            profile: Profile::parse(&self.profile)?,
            is_exact: true,
        })
    }
}
