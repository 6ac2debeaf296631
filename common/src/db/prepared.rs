// SPDX-License-Identifier: GPL-3.0-or-later
//! Plain SQL that a connection prepares once and then knows.
//!
//! Diesel prepares plain SQL anew whenever it runs, because its text may differ each time and would fill the memory of
//! the connection. That is a second round trip, and the database reads and plans the statement again: for a few rows,
//! most of the cost. So what runs all the time, and is always worded alike, goes through here.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
};

/// A statement that is kept by the connection that ran it.
pub(super) struct Prepared<Q>(Q);

/// Gives statements their `prepared`.
pub(super) trait Prepare: Sized {
    /// Lets the connection keep the statement, whose text must never change.
    fn prepared(self) -> Prepared<Self> {
        Prepared(self)
    }
}

impl<Q: Query> Prepare for Q {}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

/// It is known by its text.
impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

#[cfg(test)]
mod tests {
    use diesel::sql_query;

    use super::*;

    #[test]
    fn only_what_was_prepared_is_kept() {
        let is_kept =
            |statement: &dyn QueryFragment<Pg>| statement.is_safe_to_cache_prepared(&Pg).unwrap();

        assert!(is_kept(&sql_query("SELECT 1").prepared()));
        assert!(!is_kept(&sql_query("SELECT 1")));
    }
}
