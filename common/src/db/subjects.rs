// SPDX-License-Identifier: GPL-3.0-or-later
//! `subjects`: the one place where a recipient's address stands.

use std::collections::HashMap;

use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Connection, messages,
    schema::{message_recipients, subjects},
};
use crate::{
    address::Address,
    ids::{ControllerId, SubjectRef},
};

#[derive(Insertable)]
#[diesel(table_name = subjects)]
struct New<'a> {
    controller_id: &'a str,
    subject_ref: Uuid,
    address: &'a str,
    base_address: String,
}

/// Returns the subject with that address.
pub async fn find(
    controller: &ControllerId,
    address: &Address,
    connection: &mut Connection,
) -> QueryResult<Option<SubjectRef>> {
    subjects::table
        .filter(
            subjects::controller_id
                .eq(controller.as_str())
                .and(subjects::address.eq(address.as_str())),
        )
        .select(subjects::subject_ref)
        .first(connection)
        .await
        .optional()
        .map(|found| found.map(SubjectRef))
}

/// Returns a subject's address and whether it is frozen.
pub async fn get(
    controller: &ControllerId,
    subject: SubjectRef,
    connection: &mut Connection,
) -> QueryResult<Option<(Address, bool)>> {
    let found: Option<(String, bool)> = subjects::table
        .find((controller.as_str(), subject.0))
        .select((subjects::address, subjects::restricted))
        .first(connection)
        .await
        .optional()?;
    Ok(found.and_then(|(address, restricted)| Some((Address::parse(&address)?, restricted))))
}

/// Returns the names of everybody whose address has that base.
pub async fn of_base(
    controller: &ControllerId,
    base: &Address,
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    subjects::table
        .filter(
            subjects::controller_id
                .eq(controller.as_str())
                .and(subjects::base_address.eq(base.as_str())),
        )
        .select(subjects::subject_ref)
        .load(connection)
        .await
}

/// Returns the addresses of those of the subjects that exist.
pub async fn addresses(
    controller: &ControllerId,
    wanted: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<HashMap<Uuid, Address>> {
    let found: Vec<(Uuid, String)> = subjects::table
        .filter(
            subjects::controller_id
                .eq(controller.as_str())
                .and(subjects::subject_ref.eq_any(wanted)),
        )
        .select((subjects::subject_ref, subjects::address))
        .load(connection)
        .await?;
    Ok(found
        .into_iter()
        .filter_map(|(subject, address)| Some((subject, Address::parse(&address)?)))
        .collect())
}

/// Freezes a subject's data, or sets it free, with those of all addresses of its base: messages to them are hidden from
/// their senders, or shown again. Tells whether that changes anything.
///
/// Belongs into a transaction.
pub async fn restrict(
    controller: &ControllerId,
    subject: SubjectRef,
    restricted: bool,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let base: Option<String> = subjects::table
        .find((controller.as_str(), subject.0))
        .select(subjects::base_address)
        .first(connection)
        .await
        .optional()?;
    let Some(base) = base else {
        return Ok(false);
    };
    let relatives = subjects::table
        .filter(subjects::controller_id.eq(controller.as_str()))
        .filter(subjects::base_address.eq(base))
        .filter(subjects::restricted.ne(restricted));
    let changed: Vec<Uuid> = diesel::update(relatives)
        .set(subjects::restricted.eq(restricted))
        .returning(subjects::subject_ref)
        .get_results(connection)
        .await?;
    if changed.is_empty() {
        return Ok(false);
    }
    let messages = message_recipients::table
        .filter(
            message_recipients::controller_id
                .eq(controller.as_str())
                .and(message_recipients::subject_ref.eq_any(changed)),
        )
        .select(message_recipients::message_id)
        .load(connection)
        .await?;
    messages::freeze(controller, &messages, connection).await?;
    Ok(true)
}

/// Returns up to `limit` subjects with their addresses, in the order of addresses, after one of them.
pub async fn after(
    controller: &ControllerId,
    address: &str,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<(SubjectRef, String)>> {
    let found: Vec<(Uuid, String)> = subjects::table
        .filter(
            subjects::controller_id
                .eq(controller.as_str())
                .and(subjects::address.gt(address)),
        )
        .order(subjects::address)
        .limit(limit)
        .select((subjects::subject_ref, subjects::address))
        .load(connection)
        .await?;
    Ok(found
        .into_iter()
        .map(|(subject, address)| (SubjectRef(subject), address))
        .collect())
}

/// Returns the subjects with those addresses, in the order given, making those that are missing.
pub async fn find_or_create(
    controller: &ControllerId,
    addresses: &[Address],
    connection: &mut Connection,
) -> QueryResult<Vec<SubjectRef>> {
    // In one order, whoever makes them: else two who make the same wait for each other.
    let mut ordered: Vec<&Address> = addresses.iter().collect();
    ordered.sort_unstable();
    let rows: Vec<New<'_>> = ordered
        .into_iter()
        .map(|address| New {
            controller_id: controller.as_str(),
            subject_ref: Uuid::new_v4(),
            address: address.as_str(),
            base_address: address.base().as_str().to_owned(),
        })
        .collect();
    diesel::insert_into(subjects::table)
        .values(&rows)
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    let wanted: Vec<&str> = addresses.iter().map(Address::as_str).collect();
    let found: HashMap<String, Uuid> = subjects::table
        .filter(
            subjects::controller_id
                .eq(controller.as_str())
                .and(subjects::address.eq_any(&wanted)),
        )
        .select((subjects::address, subjects::subject_ref))
        .load::<(String, Uuid)>(connection)
        .await?
        .into_iter()
        .collect();
    addresses
        .iter()
        .map(|address| {
            found
                .get(address.as_str())
                .copied()
                .map(SubjectRef)
                .ok_or(diesel::result::Error::NotFound)
        })
        .collect()
}
