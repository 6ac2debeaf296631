// SPDX-License-Identifier: GPL-3.0-or-later
//! `erasures`, and the erasure of a person: one transaction, after which the consent log names nobody.
//!
//! Design note: a fingerprint (the keyed hash of an address) stands nowhere without a row here that names it by a random
//! number. So whoever wants not even a fingerprint can be told to the journal without one.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection, consent_events, consent_requests,
    schema::{consent_evidence, erasures, message_recipients, messages, subjects},
    suppressions, withdrawals,
};
use crate::{
    consent::Purpose,
    ids::{ControllerId, SubjectRef},
};

/// An erasure, as it stands in the database.
#[derive(Clone, Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = erasures)]
pub struct Erasure {
    pub controller_id: String,
    pub subject_ref: Uuid,
    pub at: DateTime<Utc>,
    /// The keyed hash of the address that went to the suppression list, unless the person refused that.
    pub address_hash: Option<Vec<u8>>,
}

/// What an erasure did, as far as it must be done again after a restore.
#[derive(Clone, Debug, Default)]
pub struct Erased {
    /// How many people were stored.
    pub people: usize,
    /// The random names of the people, and of whatever held a fingerprint of the address.
    pub names: Vec<Uuid>,
    /// The requests and invitations that are forgotten.
    pub requests: Vec<Uuid>,
}

/// What happens to the keyed hash of an erased address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suppression {
    /// Nothing is left, so the person may be asked again one day.
    Forget,
    /// A keyed hash stays, so that the person is never asked or observed again.
    Keep,
}

/// Erases people of one base address, if any are stored: the addresses, messages to them alone, hits, evidence and links.
///
/// The skeleton of the consent log stays. `address_hash` is the keyed hash of the base. Belongs into a transaction.
/// A message that went to others too is theirs as well: it stays, without this recipient and without its hits, and
/// records no more.
pub async fn erase(
    controller: &ControllerId,
    erased: &[Uuid],
    address_hash: &[u8],
    suppression: Suppression,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Erased> {
    consent_events::begin_epoch(controller, connection).await?;
    // First the row that says so: without it, nobody may delete evidence.
    let names = match suppression {
        Suppression::Forget => {
            add(controller, erased, None, at, connection).await?;
            let mut names = forget_hash(controller, address_hash, connection).await?;
            names.extend_from_slice(erased);
            suppressions::lift(controller, address_hash, connection).await?;
            names
        }
        Suppression::Keep => {
            let is_new = suppressions::add(controller, address_hash, at, connection).await?;
            let mut names = erased.to_vec();
            if names.is_empty() && is_new {
                names.push(Uuid::new_v4());
            }
            add(controller, &names, Some(address_hash), at, connection).await?;
            names
        }
    };
    let shared = erase_messages(controller, erased, at, connection).await?;
    diesel::delete(consent_evidence::table)
        .filter(
            consent_evidence::controller_id
                .eq(controller.as_str())
                .and(consent_evidence::subject_ref.eq_any(erased)),
        )
        .execute(connection)
        .await?;
    let requests = consent_requests::forget(controller, address_hash, connection).await?;
    // Recipients of messages, links and withdrawal keys go with the subject.
    let people = diesel::delete(subjects::table)
        .filter(
            subjects::controller_id
                .eq(controller.as_str())
                .and(subjects::subject_ref.eq_any(erased)),
        )
        .execute(connection)
        .await?;
    // Whoever is erased freezes nothing any more.
    super::messages::freeze(controller, &shared, connection).await?;
    consent_events::announce(controller, connection).await?;
    Ok(Erased {
        people,
        names,
        requests,
    })
}

/// Keeps somebody from being asked or observed of whom a restored backup knows nothing: by the fingerprint, under the
/// name that the person had.
pub async fn suppress(
    controller: &ControllerId,
    subject: SubjectRef,
    address_hash: &[u8],
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<()> {
    suppressions::add(controller, address_hash, at, connection).await?;
    let name = std::slice::from_ref(&subject.0);
    add(controller, name, Some(address_hash), at, connection).await
}

/// Returns the erasure under a random name.
pub async fn find(
    controller: &ControllerId,
    subject: SubjectRef,
    connection: &mut Connection,
) -> QueryResult<Option<Erasure>> {
    erasures::table
        .find((controller.as_str(), subject.0))
        .select(Erasure::as_select())
        .first(connection)
        .await
        .optional()
}

/// Returns those of the names that are known without a fingerprint.
pub async fn forgotten(
    controller: &ControllerId,
    names: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    erasures::table
        .filter(
            erasures::controller_id
                .eq(controller.as_str())
                .and(erasures::subject_ref.eq_any(names))
                .and(erasures::address_hash.is_null()),
        )
        .select(erasures::subject_ref)
        .load(connection)
        .await
}

async fn add(
    controller: &ControllerId,
    names: &[Uuid],
    address_hash: Option<&[u8]>,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<()> {
    let rows: Vec<Erasure> = names
        .iter()
        .map(|name| Erasure {
            controller_id: controller.as_str().to_owned(),
            subject_ref: *name,
            at,
            address_hash: address_hash.map(<[u8]>::to_vec),
        })
        .collect();
    diesel::insert_into(erasures::table)
        .values(&rows)
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes a hash out of earlier erasures, and returns their names: a person who was suppressed then wants not even that
/// now.
async fn forget_hash(
    controller: &ControllerId,
    address_hash: &[u8],
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    diesel::update(erasures::table)
        .filter(
            erasures::controller_id
                .eq(controller.as_str())
                .and(erasures::address_hash.eq(address_hash)),
        )
        .set(erasures::address_hash.eq(None::<Vec<u8>>))
        .returning(erasures::subject_ref)
        .get_results(connection)
        .await
}

/// Deletes messages that went to erased people alone, and what was recorded about others, which it returns.
async fn erase_messages(
    controller: &ControllerId,
    erased: &[Uuid],
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    let ids: Vec<Uuid> = messages::table
        .filter(
            messages::controller_id.eq(controller.as_str()).and(
                messages::id.eq_any(
                    message_recipients::table
                        .filter(
                            message_recipients::controller_id
                                .eq(controller.as_str())
                                .and(message_recipients::subject_ref.eq_any(erased)),
                        )
                        .select(message_recipients::message_id),
                ),
            ),
        )
        .order(messages::id)
        .select(messages::id)
        .for_update()
        .load(connection)
        .await?;
    withdrawals::forget(controller, &ids, &Purpose::ALL, connection).await?;
    let shared: Vec<Uuid> = message_recipients::table
        .filter(
            message_recipients::controller_id
                .eq(controller.as_str())
                .and(message_recipients::message_id.eq_any(&ids))
                .and(message_recipients::subject_ref.ne_all(erased)),
        )
        .select(message_recipients::message_id)
        .distinct()
        .load(connection)
        .await?;
    diesel::delete(messages::table)
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::id.eq_any(&ids))
                .and(messages::id.ne_all(&shared)),
        )
        .execute(connection)
        .await?;
    // Whoever is left is not the only one who has the link in it.
    diesel::update(messages::table)
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::id.eq_any(&shared)),
        )
        .set(messages::to_several.eq(true))
        .execute(connection)
        .await?;
    diesel::update(messages::table)
        .filter(
            messages::controller_id
                .eq(controller.as_str())
                .and(messages::id.eq_any(&shared))
                .and(messages::stopped_at.is_null()),
        )
        .set(messages::stopped_at.eq(at))
        .execute(connection)
        .await?;
    Ok(shared)
}
