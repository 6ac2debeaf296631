// SPDX-License-Identifier: GPL-3.0-or-later
//! `hits`: what was requested, by month.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    QueryResult, define_sql_function,
    sql_types::{
        Array, BigInt, Integer, Interval, Jsonb, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
    },
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::Connection;
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

/// What was known of consent when the hits were judged fit to be kept: each controller's epoch.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub controllers: &'a [&'a str],
    pub epochs: &'a [i64],
}

/// Writes hits down and schedules their settlement, in one transaction; false, and nothing is written, if consent has
/// changed since it was asked.
///
/// Hits that are there already are left as they are, so that a repetition does no harm.
///
/// Design note: from the check to the commit no consent can change, because whoever changes it takes the lock that the
/// database's function holds meanwhile. So either a hit is committed first, and the withdrawal deletes it, or the
/// withdrawal is, and the hit is never kept.
pub async fn record(
    rows: &[New],
    known: Known<'_>,
    settle: TimeDelta,
    connection: &mut Connection,
) -> QueryResult<bool> {
    let reasons: Vec<String> = rows.iter().map(|row| row.reasons.join(",")).collect();
    let call = function::record_hits(
        known.controllers,
        known.epochs,
        column(rows, |row| row.controller.as_str()),
        column(rows, |row| row.message.0),
        column(rows, |row| row.at),
        column(rows, |row| row.id),
        column(rows, |row| row.kind),
        column(rows, |row| row.ordinal),
        column(rows, |row| &row.features),
        column(rows, |row| row.class),
        column(rows, |row| row.confidence),
        reasons,
        rows.first().map_or(0, |row| row.rules_version),
        settle,
    );
    // Not `get_result`: the row may come before the commit. The end of all rows comes after it.
    let answers: Vec<bool> = diesel::select(call).load(connection).await?;
    Ok(answers.into_iter().all(|is_written| is_written))
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
        fn record_hits(
            controllers: Array<Text>,
            epochs: Array<BigInt>,
            controller_ids: Array<Text>,
            message_ids: Array<SqlUuid>,
            ats: Array<Timestamptz>,
            ids: Array<SqlUuid>,
            kinds: Array<Text>,
            ordinals: Array<SmallInt>,
            features: Array<Jsonb>,
            classes: Array<Text>,
            confidences: Array<SmallInt>,
            reasons: Array<Text>,
            rules_version: Integer,
            settle: Interval,
        ) -> Bool;
    }
}
