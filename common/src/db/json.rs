// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON on its way into the database, as text: what is only written down need not be a tree before.

use std::io::Write;

use diesel::{
    expression::AsExpression,
    pg::Pg,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::Jsonb,
};
use serde::Serialize;

/// A value as JSON.
#[derive(AsExpression, Clone, Debug)]
#[diesel(sql_type = Jsonb)]
pub struct Json(String);

impl Json {
    /// Writes a value as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the value cannot be told in JSON, as a map whose keys are no text.
    pub fn of(value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value);
        Self(text.expect("what is written down is made of texts, numbers, lists and named fields"))
    }
}

impl ToSql<Jsonb, Pg> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        // The one version of the form in which PostgreSQL takes it: text.
        out.write_all(&[1])?;
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}
