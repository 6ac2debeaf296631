// SPDX-License-Identifier: GPL-3.0-or-later
//! The database roles of the programs: none owns a table, and each may do what it must and no more.
//!
//! Design note: whoever owns a table can switch its triggers off, so the programs that serve should not. The milter sees
//! no hit, writes no consent, and of what is written down changes only the columns that it must. Nobody but the owner
//! changes a consent event, its evidence, a text that people saw, or the list of erasures: those are appended to. Personal
//! data stand beside the log, so an erasure deletes them with the collector's or the administrators' rights and touches no
//! event; a trigger sees to it that evidence goes only with an erased person or when it is over.
//!
//! Roles belong to the cluster and outlive a database: those that are there are left as they are, but for their rights
//! in this database, which are set anew.

use diesel::{
    QueryResult, QueryableByName,
    sql_types::{Bool, Text},
};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{Connection, DbError};
use crate::config::Database;

/// What the milter may do: read who writes and where recipients stand, and write down what it instrumented. One row for
/// each table.
const MILTER: [(&str, &str); 13] = [
    ("__diesel_schema_migrations", "SELECT"),
    ("consent_epochs", "SELECT, INSERT, UPDATE (epoch)"),
    ("consent_events", "SELECT"),
    ("consent_requests", "SELECT, INSERT"),
    (
        "controllers",
        "SELECT, INSERT, UPDATE (name, address, contact, authority, updated_at)",
    ),
    ("copies", "SELECT, INSERT"),
    // For the release before, while this one comes.
    ("links", "SELECT, INSERT, DELETE"),
    ("message_recipients", "SELECT, INSERT"),
    (
        "messages",
        "SELECT, INSERT, UPDATE (opens, links, reason, record)",
    ),
    ("notifications", "INSERT"),
    ("subjects", "SELECT, INSERT"),
    ("suppressions", "SELECT"),
    ("users", "SELECT, INSERT, UPDATE (opens, links, text_links)"),
];

/// What the collector and the administrators may not do with all their other rights.
const APPENDED: [(&str, &str); 6] = [
    ("__diesel_schema_migrations", "INSERT, UPDATE, DELETE"),
    // The oldest go after a year, and the trigger sees to it that no others do.
    ("acts", "UPDATE"),
    ("consent_events", "UPDATE, DELETE"),
    ("consent_evidence", "UPDATE"),
    ("erasures", "UPDATE, DELETE"),
    ("notices", "UPDATE, DELETE"),
];

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

/// Makes the roles that are missing. They may log in, and have no password: how they prove themselves is for
/// `pg_hba.conf` to say.
///
/// # Errors
///
/// Fails if the database refuses; making roles takes the right to do so.
pub async fn create(config: &Database, connection: &mut Connection) -> QueryResult<()> {
    for role in names(config) {
        let (name, literal) = (quoted(role), role.replace('\'', "''"));
        // Another database of the cluster may be at it too.
        let statement = format!(
            "DO $roles$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{literal}') THEN
                    CREATE ROLE {name} LOGIN;
                END IF;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
             END $roles$"
        );
        connection.batch_execute(&statement).await?;
    }
    Ok(())
}

/// Sets the rights of those roles that exist, and returns their names; to be repeated after each change of the schema.
///
/// # Errors
///
/// Fails if the database refuses: whoever grants must own the tables.
pub async fn grant(config: &Database, connection: &mut Connection) -> Result<Vec<String>, DbError> {
    let mut granted = Vec::new();
    for (role, is_milter) in names(config).into_iter().zip([true, false, false]) {
        if !exists(role, connection).await? {
            continue;
        }
        let statements = rights(role, is_milter);
        connection
            .transaction(async |connection| {
                connection
                    .batch_execute("SELECT pg_advisory_xact_lock(hashtextextended('roles', 0))")
                    .await?;
                connection.batch_execute(&statements).await
            })
            .await?;
        granted.push(role.to_owned());
    }
    Ok(granted)
}

/// Tells whether whoever is connected owns the consent log, and so could switch its triggers off.
pub async fn owns_log(connection: &mut Connection) -> QueryResult<bool> {
    let answer: Answer = diesel::sql_query(
        "SELECT pg_has_role(relowner, 'USAGE') AS yes FROM pg_class WHERE oid = 'consent_events'::regclass",
    )
    .get_result(connection)
    .await?;
    Ok(answer.yes)
}

fn names(config: &Database) -> [&str; 3] {
    [
        &config.milter_role,
        &config.collector_role,
        &config.admin_role,
    ]
}

async fn exists(role: &str, connection: &mut Connection) -> QueryResult<bool> {
    let answer: Answer =
        diesel::sql_query("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS yes")
            .bind::<Text, _>(role)
            .get_result(connection)
            .await?;
    Ok(answer.yes)
}

fn rights(role: &str, is_milter: bool) -> String {
    let role = quoted(role);
    let mut statements = format!(
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
         REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         GRANT USAGE ON SCHEMA public TO {role};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};"
    );
    if is_milter {
        for (table, rights) in MILTER {
            statements += &format!("GRANT {rights} ON {table} TO {role};");
        }
    } else {
        statements += &format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
             GRANT EXECUTE ON FUNCTION create_hits_partition(date), drop_hits_partition(text) TO {role};"
        );
        for (table, rights) in APPENDED {
            statements += &format!("REVOKE {rights} ON {table} FROM {role};");
        }
        // A person may want that not even a fingerprint stays.
        statements += &format!("GRANT UPDATE (address_hash) ON erasures TO {role};");
    }
    statements
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(
            quoted("a\"; DROP TABLE users"),
            "\"a\"\"; DROP TABLE users\""
        );
    }
}
