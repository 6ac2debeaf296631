// SPDX-License-Identifier: GPL-3.0-or-later
//! `hits`: what was requested, by month.

use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    QueryResult, define_sql_function,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{
        Array, BigInt, Bool, Integer, Interval, Jsonb, Nullable, SmallInt, Text, Timestamptz,
        Uuid as SqlUuid,
    },
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use crate::ids::MessageId;

/// A hit to be inserted, with the verdict given at once.
#[derive(Clone, Debug)]
pub struct New {
    /// The controller's place among those of the batch.
    pub owner: usize,
    pub message: MessageId,
    /// The moment that the identifier names too.
    pub at: DateTime<Utc>,
    pub id: Uuid,
    /// The number of the link; 0 for an open.
    pub ordinal: i16,
    pub features: Json,
    pub verdict: Verdict,
    /// The hit that this one repeats.
    pub duplicate_of: Option<Uuid>,
}

/// A verdict as it is stored. Few differ within a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    pub class: &'static str,
    pub confidence: i16,
    pub reasons: Vec<&'static str>,
}

/// A value that is JSON already: nobody here looks into it.
#[derive(Clone, Debug, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Jsonb)]
pub struct Json(pub String);

impl FromSql<Jsonb, Pg> for Json {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        // The first octet is the version of the binary form.
        let text = value.as_bytes().get(1..).unwrap_or_default();
        Ok(Self(String::from_utf8(text.to_vec())?))
    }
}

impl ToSql<Jsonb, Pg> for Json {
    fn to_sql(&self, out: &mut Output<'_, '_, Pg>) -> serialize::Result {
        // The version of the binary form.
        out.write_all(&[1])?;
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

/// Whether a batch was handed over before, so that some of its hits may be there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Novelty {
    New,
    Repeated,
}

/// What is common to a batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// All controllers, and the epoch of each one's consent when the hits were judged fit to be kept.
    pub controllers: &'a [&'a str],
    pub epochs: &'a [i64],
    pub rules_version: i32,
    /// How long verdicts wait for later hits.
    pub settle: TimeDelta,
    pub novelty: Novelty,
}

/// Writes hits down and schedules their settlement, in one transaction; false, and nothing is written, if consent has
/// changed since it was asked.
///
/// Of a repeated batch, hits that are there already are left as they are.
///
/// Design note: from the check to the commit no consent can change, because whoever changes it takes the lock that the
/// database's function holds meanwhile; so does whoever deletes a message. So either a hit is committed first, and the
/// withdrawal deletes it, or the withdrawal is, and the hit is never kept.
pub async fn keep(
    rows: &[New],
    batch: Batch<'_>,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let mut verdicts: Vec<&Verdict> = Vec::new();
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        let known = verdicts.iter().position(|known| **known == row.verdict);
        places.push(from_one(known.unwrap_or(verdicts.len())));
        if known.is_none() {
            verdicts.push(&row.verdict);
        }
    }
    let reasons: Vec<String> = verdicts
        .iter()
        .map(|verdict| verdict.reasons.join(","))
        .collect();
    let call = function::keep_hits(
        batch.controllers,
        batch.epochs,
        column(rows, |row| from_one(row.owner)),
        column(rows, |row| row.message.0),
        column(rows, |row| row.at),
        column(rows, |row| row.id),
        column(rows, |row| row.ordinal),
        column(rows, |row| &row.features),
        column(rows, |row| row.duplicate_of),
        places,
        verdicts
            .iter()
            .map(|verdict| verdict.class)
            .collect::<Vec<_>>(),
        verdicts
            .iter()
            .map(|verdict| verdict.confidence)
            .collect::<Vec<_>>(),
        reasons,
        batch.rules_version,
        batch.settle,
        batch.novelty == Novelty::New,
    );
    // Not `get_result`: the row may come before the commit. The end of all rows comes after it.
    let answers: Vec<bool> = diesel::select(call).load(connection).await?;
    Ok(answers.into_iter().all(|is_written| is_written))
}

/// Returns a place as SQL counts. A batch holds hundreds.
fn from_one(place: usize) -> i16 {
    i16::try_from(place + 1).unwrap_or(i16::MAX)
}

fn column<'a, T>(rows: &'a [New], value: impl Fn(&'a New) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

mod function {
    #![expect(
        clippy::too_many_arguments,
        reason = "one array for each column of the table"
    )]

    use super::*;

    define_sql_function! {
        fn keep_hits(
            controllers: Array<Text>,
            epochs: Array<BigInt>,
            owners: Array<SmallInt>,
            message_ids: Array<SqlUuid>,
            ats: Array<Timestamptz>,
            ids: Array<SqlUuid>,
            ordinals: Array<SmallInt>,
            features: Array<Jsonb>,
            originals: Array<Nullable<SqlUuid>>,
            verdicts: Array<SmallInt>,
            classes: Array<Text>,
            confidences: Array<SmallInt>,
            reasons: Array<Text>,
            rules_version: Integer,
            settle: Interval,
            are_new: Bool,
        ) -> Bool;
    }
}
