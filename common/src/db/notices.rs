// SPDX-License-Identifier: GPL-3.0-or-later
//! `notices`: the exact texts that people saw, each under its SHA-256; never changed.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;

use super::{Connection, schema::notices};
use crate::{
    consent::chain::{self, Hash},
    ids::ControllerId,
    language::Language,
};

/// A text as it was shown.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = notices)]
pub struct Notice {
    pub hash: Vec<u8>,
    pub kind: String,
    pub version: i32,
    pub language: String,
    pub body: String,
    pub valid_from: DateTime<Utc>,
}

/// Keeps a text, unless it is kept already, and returns its hash.
pub async fn keep(
    controller: &ControllerId,
    kind: &str,
    version: i32,
    language: Language,
    body: &str,
    connection: &mut Connection,
) -> QueryResult<Hash> {
    let hash = chain::sha256(body);
    diesel::insert_into(notices::table)
        .values((
            notices::controller_id.eq(controller.as_str()),
            notices::hash.eq(&hash[..]),
            notices::kind.eq(kind),
            notices::version.eq(version),
            notices::language.eq(language.code()),
            notices::body.eq(body),
        ))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    Ok(hash)
}

/// Returns every text, the newest first.
pub async fn all(
    controller: &ControllerId,
    connection: &mut Connection,
) -> QueryResult<Vec<Notice>> {
    notices::table
        .filter(notices::controller_id.eq(controller.as_str()))
        .order((notices::valid_from.desc(), notices::language))
        .select(Notice::as_select())
        .load(connection)
        .await
}

/// Returns the texts with those hashes.
pub async fn with_hashes(
    controller: &ControllerId,
    hashes: &[Vec<u8>],
    connection: &mut Connection,
) -> QueryResult<Vec<Notice>> {
    notices::table
        .filter(
            notices::controller_id
                .eq(controller.as_str())
                .and(notices::hash.eq_any(hashes)),
        )
        .order(notices::valid_from)
        .select(Notice::as_select())
        .load(connection)
        .await
}
