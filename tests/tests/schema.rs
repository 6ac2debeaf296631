// SPDX-License-Identifier: GPL-3.0-or-later
//! The schema: every migration can be undone and done again, and the code sees the tables as they are.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::{fs, path::PathBuf};

use harness::database::Database;

#[tokio::test]
async fn each_migration_goes_up_down_and_up_again() {
    harness::needs!(PostgreSql);
    let database = Database::start_empty().await;

    for migration in migrations() {
        let before = shape(&database).await;
        database.execute(&read(&migration, "up.sql")).await;
        let after = shape(&database).await;
        database.execute(&read(&migration, "down.sql")).await;

        let name = migration.display();
        assert_ne!(before, after, "{name} changes nothing");
        assert_eq!(
            shape(&database).await,
            before,
            "{name}: down.sql leaves something behind"
        );
        database.execute(&read(&migration, "up.sql")).await;
        assert_eq!(
            shape(&database).await,
            after,
            "{name}: the second time differs"
        );
    }
}

#[tokio::test]
async fn tables_in_code_are_the_tables_of_the_database() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let code = include_str!("../../common/src/db/schema.rs");

    assert_eq!(columns_in_code(code), columns_in_database(&database).await);
}

/// Returns the folders of migrations, in order.
fn migrations() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn read(migration: &std::path::Path, name: &str) -> String {
    fs::read_to_string(migration.join(name)).unwrap()
}

/// Describes everything that migrations make: columns, constraints, indices, functions, triggers.
async fn shape(database: &Database) -> Vec<String> {
    let client = database.connect().await;
    let rows = client.query(SHAPE, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

const SHAPE: &str = "
    SELECT format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1";

/// Reads `table! { name (key) { column -> Type, } }` and gives `name.column Type` for each column, sorted.
fn columns_in_code(code: &str) -> Vec<String> {
    let mut columns = Vec::new();
    let mut table = "";
    for line in code.lines().map(str::trim) {
        if let Some((column, kind)) = line.split_once(" -> ") {
            let (column, kind) = (column.trim(), kind.trim_end_matches(','));
            columns.push(format!("{table}.{column} {kind}"));
        } else if let Some((name, rest)) = line.split_once(" (")
            && rest.ends_with(") {")
        {
            table = name;
        }
    }
    columns.sort();
    columns
}

async fn columns_in_database(database: &Database) -> Vec<String> {
    let client = database.connect().await;
    let rows = client.query(COLUMNS, &[]).await.unwrap();
    let mut columns: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    columns.sort();
    columns
}

/// Partitions are reached through their table, and the list of migrations is Diesel's own.
const COLUMNS: &str = "
    SELECT format('%s.%s %s', c.relname, a.attname, CASE WHEN a.attnotnull THEN t.kind ELSE format('Nullable<%s>', t.kind) END)
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    CROSS JOIN LATERAL (
        SELECT CASE WHEN y.typelem <> 0 AND y.typcategory = 'A'
            THEN format('Array<%s>', initcap(e.typname)) ELSE initcap(y.typname) END AS kind
        FROM pg_type y LEFT JOIN pg_type e ON e.oid = y.typelem WHERE y.oid = a.atttypid
    ) t
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relname <> '__diesel_schema_migrations' AND a.attnum > 0 AND NOT a.attisdropped";
