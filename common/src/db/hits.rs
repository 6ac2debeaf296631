// SPDX-License-Identifier: GPL-3.0-or-later
//! `hits`: what was requested, by month.

use chrono::{DateTime, Utc};
use diesel::{QueryResult, define_sql_function, sql_types::Text};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Connection,
    schema::hits,
    unnest::{unnest_integer, unnest_json, unnest_small, unnest_text, unnest_time, unnest_uuid},
};
use crate::ids::{ControllerId, MessageId};

/// A hit to be inserted, with the verdict given at once.
#[derive(Clone, Debug)]
pub struct New {
    pub controller: ControllerId,
    pub message: MessageId,
    /// The moment that the identifier names too.
    pub at: DateTime<Utc>,
    pub id: Uuid,
    /// `open` or `click`.
    pub kind: &'static str,
    pub ordinal: i16,
    pub features: Value,
    pub class: &'static str,
    pub confidence: i16,
    pub reasons: Vec<String>,
    pub rules_version: i32,
}

/// Inserts hits; those that are there already are left as they are, so that a repetition does no harm.
pub async fn insert(rows: &[New], connection: &mut Connection) -> QueryResult<usize> {
    let reasons: Vec<String> = rows.iter().map(|row| row.reasons.join(",")).collect();
    let values = diesel::select((
        unnest_text(column(rows, |row| row.controller.as_str())),
        unnest_uuid(column(rows, |row| row.message.0)),
        unnest_time(column(rows, |row| row.at)),
        unnest_uuid(column(rows, |row| row.id)),
        unnest_text(column(rows, |row| row.kind)),
        unnest_small(column(rows, |row| row.ordinal)),
        unnest_json(column(rows, |row| &row.features)),
        unnest_text(column(rows, |row| row.class)),
        unnest_small(column(rows, |row| row.confidence)),
        string_to_array(unnest_text(reasons), ","),
        unnest_integer(column(rows, |row| row.rules_version)),
    ));
    diesel::insert_into(hits::table)
        .values(values)
        .into_columns((
            hits::controller_id,
            hits::message_id,
            hits::at,
            hits::id,
            hits::kind,
            hits::ordinal,
            hits::features,
            hits::class,
            hits::confidence,
            hits::reasons,
            hits::rules_version,
        ))
        .on_conflict_do_nothing()
        .execute(connection)
        .await
}

fn column<'a, T>(rows: &'a [New], value: impl Fn(&'a New) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

define_sql_function! { fn string_to_array(text: Text, separator: Text) -> Array<Text>; }
