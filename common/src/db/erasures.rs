// SPDX-License-Identifier: GPL-3.0-or-later
//! `erasures`, and the erasure of a person: one transaction, after which the consent log names nobody.

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

/// An erasure, as it must be done again after a restore.
#[derive(Clone, Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = erasures)]
pub struct Erasure {
    pub controller_id: String,
    pub subject_ref: Uuid,
    pub at: DateTime<Utc>,
    /// The keyed hash of the address that went to the suppression list, unless the person refused that.
    pub address_hash: Option<Vec<u8>>,
}

/// What happens to the keyed hash of an erased address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suppression {
    /// Nothing is left, so the person may be asked again one day.
    Forget,
    /// A keyed hash stays, so that the person is never asked or observed again.
    Keep,
}

/// Erases a person: the address and those with the same base, messages to them alone, hits, evidence and links.
///
/// The skeleton of the consent log stays. `address_hash` is the keyed hash of the address. Belongs into a transaction.
/// A message that went to others too is theirs as well: it stays, without this recipient and without its hits, and
/// records no more.
pub async fn erase(
    controller: &ControllerId,
    subject: SubjectRef,
    address_hash: &[u8],
    suppression: Suppression,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<Vec<Erasure>> {
    consent_events::begin_epoch(controller, connection).await?;
    let erased = withdrawals::relatives(controller, subject, connection).await?;
    let shared = erase_messages(controller, &erased, at, connection).await?;
    diesel::delete(consent_evidence::table)
        .filter(
            consent_evidence::controller_id
                .eq(controller.as_str())
                .and(consent_evidence::subject_ref.eq_any(&erased)),
        )
        .execute(connection)
        .await?;
    consent_requests::forget(controller, address_hash, connection).await?;
    // Recipients of messages, links and withdrawal keys go with the subject.
    diesel::delete(subjects::table)
        .filter(
            subjects::controller_id
                .eq(controller.as_str())
                .and(subjects::subject_ref.eq_any(&erased)),
        )
        .execute(connection)
        .await?;
    // Whoever is erased freezes nothing any more.
    super::messages::freeze(controller, &shared, connection).await?;
    let kept = match suppression {
        Suppression::Forget => {
            suppressions::lift(controller, address_hash, connection).await?;
            forget_hash(controller, address_hash, connection).await?;
            None
        }
        Suppression::Keep => {
            suppressions::add(controller, address_hash, at, connection).await?;
            Some(address_hash.to_vec())
        }
    };
    let journal: Vec<Erasure> = erased
        .into_iter()
        .map(|subject_ref| Erasure {
            controller_id: controller.as_str().to_owned(),
            subject_ref,
            at,
            address_hash: kept.clone(),
        })
        .collect();
    diesel::insert_into(erasures::table)
        .values(&journal)
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    consent_events::announce(controller, connection).await?;
    Ok(journal)
}

/// Takes a hash out of earlier erasures: a person who was suppressed then wants not even that now.
async fn forget_hash(
    controller: &ControllerId,
    address_hash: &[u8],
    connection: &mut Connection,
) -> QueryResult<()> {
    diesel::update(erasures::table)
        .filter(
            erasures::controller_id
                .eq(controller.as_str())
                .and(erasures::address_hash.eq(address_hash)),
        )
        .set(erasures::address_hash.eq(None::<Vec<u8>>))
        .execute(connection)
        .await?;
    Ok(())
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
