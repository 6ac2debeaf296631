// SPDX-License-Identifier: GPL-3.0-or-later
//! `acts`: what administrators and users changed or looked at, chained like the consent log. Never an address.

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{Bool, Text},
};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::{Connection, schema::acts};
use crate::{
    consent::chain::{self, Hash, hex},
    ids::{ControllerId, SubjectRef},
};

/// An act, as it stands in the database.
#[derive(Clone, Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = acts)]
pub struct Act {
    pub controller_id: String,
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub act: String,
    pub detail: Value,
    pub prev_hash: Vec<u8>,
    pub entry_hash: Vec<u8>,
}

impl Act {
    /// Returns the hash that the entry should carry.
    pub fn computed_hash(&self) -> Hash {
        let entry = json!({
            "act": self.act,
            "actor": self.actor,
            "at": chain::instant(self.at),
            "controller_id": self.controller_id,
            "detail_sha256": hex(&chain::sha256(chain::canonical(&self.detail))),
            "seq": self.seq,
            "v": 1,
        });
        chain::next(&self.prev_hash, &entry)
    }
}

/// Writes an act down; belongs into the transaction that does it. `detail` names subjects by their `subject_ref` only.
pub async fn append(
    controller: &ControllerId,
    actor: &str,
    act: &str,
    detail: Value,
    at: DateTime<Utc>,
    connection: &mut Connection,
) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('acts|' || $1, 0))")
        .bind::<Text, _>(controller.as_str())
        .execute(connection)
        .await?;
    let (seq, prev_hash) = head(controller, connection)
        .await?
        .unwrap_or_else(|| (0, chain::genesis_of_acts(controller).to_vec()));
    let mut entry = Act {
        controller_id: controller.as_str().to_owned(),
        seq: seq + 1,
        at: chain::storable(at),
        actor: actor.to_owned(),
        act: act.to_owned(),
        detail,
        prev_hash,
        entry_hash: Vec::new(),
    };
    entry.entry_hash = entry.computed_hash().to_vec();
    diesel::insert_into(acts::table)
        .values(&entry)
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns when anybody looked at, or changed, what is kept about a subject, and how; the oldest first.
pub async fn about(
    controller: &ControllerId,
    subject: SubjectRef,
    connection: &mut Connection,
) -> QueryResult<Vec<(DateTime<Utc>, String)>> {
    let name =
        diesel::dsl::sql::<Bool>("detail ->> 'subject' = ").bind::<Text, _>(subject.0.to_string());
    acts::table
        .filter(acts::controller_id.eq(controller.as_str()))
        .filter(name)
        .order(acts::seq)
        .select((acts::at, acts::act))
        .load(connection)
        .await
}

/// Returns the newest acts, the newest first.
pub async fn newest(
    controller: &ControllerId,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Act>> {
    acts::table
        .filter(acts::controller_id.eq(controller.as_str()))
        .order(acts::seq.desc())
        .limit(limit)
        .select(Act::as_select())
        .load(connection)
        .await
}

/// Returns up to `limit` acts after a number, in order.
pub async fn after(
    controller: &ControllerId,
    seq: i64,
    limit: i64,
    connection: &mut Connection,
) -> QueryResult<Vec<Act>> {
    acts::table
        .filter(
            acts::controller_id
                .eq(controller.as_str())
                .and(acts::seq.gt(seq)),
        )
        .order(acts::seq)
        .limit(limit)
        .select(Act::as_select())
        .load(connection)
        .await
}

/// Returns the detail of the newest act of a kind.
pub async fn latest(
    controller: &ControllerId,
    act: &str,
    connection: &mut Connection,
) -> QueryResult<Option<Value>> {
    acts::table
        .filter(
            acts::controller_id
                .eq(controller.as_str())
                .and(acts::act.eq(act)),
        )
        .order(acts::seq.desc())
        .select(acts::detail)
        .first(connection)
        .await
        .optional()
}

/// Returns the number and the hash of the newest act.
pub async fn head(
    controller: &ControllerId,
    connection: &mut Connection,
) -> QueryResult<Option<(i64, Vec<u8>)>> {
    acts::table
        .filter(acts::controller_id.eq(controller.as_str()))
        .order(acts::seq.desc())
        .select((acts::seq, acts::entry_hash))
        .first(connection)
        .await
        .optional()
}
