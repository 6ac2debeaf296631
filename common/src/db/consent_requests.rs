// SPDX-License-Identifier: GPL-3.0-or-later
//! `consent_requests`: who was asked when, by keyed hash, so that nobody is asked too often.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    QueryResult,
    dsl::sql,
    prelude::*,
    sql_types::{BigInt, Bool},
};
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    Connection,
    messages::{self, Registration},
    schema::consent_requests,
};
use crate::ids::{ControllerId, UserId};

/// A request that was sent.
#[derive(Insertable)]
#[diesel(table_name = consent_requests)]
pub struct NewRequest<'a> {
    pub controller_id: &'a str,
    pub request_id: Uuid,
    pub user_id: Uuid,
    pub address_hash: &'a [u8],
    pub at: DateTime<Utc>,
}

/// Writes a request down.
pub async fn create(request: &NewRequest<'_>, connection: &mut Connection) -> QueryResult<()> {
    diesel::insert_into(consent_requests::table)
        .values(request)
        .execute(connection)
        .await?;
    Ok(())
}

/// How long nobody asks the same person again.
pub const PAUSE: TimeDelta = TimeDelta::days(180);

/// Claims the right to invite somebody in a message and writes the message down, or does neither; false if somebody asked
/// or invited them within [`PAUSE`], or is at it just now.
///
/// One transaction: whoever is taken for invited was, and the line in the message leads to a page that knows the message.
/// An invitation is the organisation's: it names no user, and counts against nobody's limit.
pub async fn invite(
    registration: &Registration,
    address_hash: &[u8],
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let controller = &registration.message.controller;
    connection
        .transaction(async |connection| {
            if !try_lock(address_hash, connection).await? {
                return Ok(false);
            }
            let since = now - PAUSE;
            if was_asked_since(controller, address_hash, since, connection).await? {
                return Ok(false);
            }
            let invitation = NewRequest {
                controller_id: controller.as_str(),
                request_id: Uuid::new_v4(),
                user_id: Uuid::nil(),
                address_hash,
                at: now,
            };
            create(&invitation, connection).await?;
            messages::insert(std::slice::from_ref(registration), connection).await?;
            Ok(true)
        })
        .await
}

/// Keeps others from asking somebody until the transaction ends. Comes before the subject is made.
///
/// A lock of its own, and not the consent log's: mail would wait there for an import of thousands, and hits for mail.
pub async fn lock(address_hash: &[u8], connection: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
        .bind::<BigInt, _>(lock_key(address_hash))
        .execute(connection)
        .await?;
    Ok(())
}

/// The same without waiting: false if another asks them just now.
async fn try_lock(address_hash: &[u8], connection: &mut Connection) -> QueryResult<bool> {
    let taken = sql::<Bool>("pg_try_advisory_xact_lock(")
        .bind::<BigInt, _>(lock_key(address_hash))
        .sql(")");
    diesel::select(taken).get_result(connection).await
}

/// Returns the number by which the database knows the lock: the beginning of the keyed hash, which is as good as random.
fn lock_key(address_hash: &[u8]) -> i64 {
    address_hash
        .first_chunk()
        .map_or(0, |octets| i64::from_be_bytes(*octets))
}

/// Tells whether an address was asked since then, by whomever.
pub async fn was_asked_since(
    controller: &ControllerId,
    address_hash: &[u8],
    since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let asked = consent_requests::table
        .filter(
            consent_requests::controller_id
                .eq(controller.as_str())
                .and(consent_requests::address_hash.eq(address_hash))
                .and(consent_requests::at.ge(since)),
        )
        .count()
        .get_result::<i64>(connection)
        .await?;
    Ok(asked > 0)
}

/// Returns when an address was asked or invited, and by whom; nobody in particular invites.
pub async fn of_address(
    controller: &ControllerId,
    address_hash: &[u8],
    connection: &mut Connection,
) -> QueryResult<Vec<(DateTime<Utc>, Option<UserId>)>> {
    let found: Vec<(DateTime<Utc>, Uuid)> = consent_requests::table
        .filter(
            consent_requests::controller_id
                .eq(controller.as_str())
                .and(consent_requests::address_hash.eq(address_hash)),
        )
        .order(consent_requests::at)
        .select((consent_requests::at, consent_requests::user_id))
        .load(connection)
        .await?;
    Ok(found
        .into_iter()
        .map(|(at, user)| (at, (!user.is_nil()).then_some(UserId(user))))
        .collect())
}

/// Counts what a user has asked since then.
pub async fn by_user_since(
    controller: &ControllerId,
    user: UserId,
    since: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<i64> {
    consent_requests::table
        .filter(
            consent_requests::controller_id
                .eq(controller.as_str())
                .and(consent_requests::user_id.eq(user.0))
                .and(consent_requests::at.ge(since)),
        )
        .count()
        .get_result(connection)
        .await
}

/// Forgets that an address was asked, and returns the names of the requests: part of an erasure.
pub async fn forget(
    controller: &ControllerId,
    address_hash: &[u8],
    connection: &mut Connection,
) -> QueryResult<Vec<Uuid>> {
    diesel::delete(consent_requests::table)
        .filter(
            consent_requests::controller_id
                .eq(controller.as_str())
                .and(consent_requests::address_hash.eq(address_hash)),
        )
        .returning(consent_requests::request_id)
        .get_results(connection)
        .await
}

/// Forgets requests by their names: where the address is not known any more.
pub async fn forget_named(
    controller: &ControllerId,
    names: &[Uuid],
    connection: &mut Connection,
) -> QueryResult<usize> {
    diesel::delete(consent_requests::table)
        .filter(
            consent_requests::controller_id
                .eq(controller.as_str())
                .and(consent_requests::request_id.eq_any(names)),
        )
        .execute(connection)
        .await
}
