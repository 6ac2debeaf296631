// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules that every table keeps: migrations can be undone, `schema.rs` is what the database says, keys can be
//! distributed, everything is described, and what is append-only stays so.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails must end the test where it failed"
)]

use std::{fmt::Write, fs, path::Path};

use harness::database::Database;
use tokio_postgres::Client;

/// Tables that are not keyed by a controller, and why.
const UNDISTRIBUTED: [&str; 2] = [
    // One row for each controller: it is the list that the others refer to.
    "controllers",
    // Diesel's own list of migrations.
    "__diesel_schema_migrations",
];

#[tokio::test(flavor = "multi_thread")]
async fn migrations_run_up_down_and_up_again() {
    let database = Database::start_empty().await;

    let first = common::db::migrate(database.url()).await.unwrap();
    let undone = common::db::revert_all(database.url()).await.unwrap();
    let left = names(&database.connect().await, "SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' AND relkind IN ('r', 'p') AND relname <> '__diesel_schema_migrations'").await;
    let second = common::db::migrate(database.url()).await.unwrap();

    assert!(!first.is_empty());
    assert_eq!(undone.len(), first.len());
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(second, first);
    assert_eq!(
        common::db::pending_migrations(database.url())
            .await
            .unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn schema_in_the_code_is_that_of_the_database() {
    let database = Database::start().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../common/src/db/schema.rs");

    let generated = generate(&database.connect().await).await;
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &generated).unwrap();
    }

    // The file is formatted, the generated text is not: only the words are compared.
    let words = |text: &str| {
        text.split_whitespace()
            .collect::<String>()
            .replace(",)", ")")
    };
    assert!(
        words(&fs::read_to_string(&path).unwrap()) == words(&generated),
        "common/src/db/schema.rs is out of date; UPDATE=1 writes it anew"
    );
}

#[tokio::test]
async fn every_unique_constraint_carries_the_controller() {
    let database = Database::start().await;

    let offenders = names(
        &database.connect().await,
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
         JOIN pg_namespace n ON n.oid = t.relnamespace
         WHERE n.nspname = 'public' AND i.indisunique AND NOT EXISTS (
             SELECT FROM unnest(i.indkey) k JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k
             WHERE a.attname = 'controller_id')",
    )
    .await;

    let unexpected: Vec<_> = offenders
        .iter()
        .filter(|index| !UNDISTRIBUTED.iter().any(|table| index.starts_with(table)))
        .collect();
    assert_eq!(unexpected, Vec::<&String>::new());
}

#[tokio::test]
async fn every_table_says_what_it_is_for() {
    let database = Database::start().await;

    let silent = names(
        &database.connect().await,
        "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
         WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition
           AND relname <> '__diesel_schema_migrations' AND obj_description(c.oid, 'pg_class') IS NULL",
    )
    .await;

    assert_eq!(silent, Vec::<String>::new());
}

#[tokio::test]
async fn consent_log_and_notices_are_append_only() {
    let database = Database::start().await;
    let client = database.connect().await;

    for table in ["consent_events", "notices"] {
        for statement in [
            format!("DELETE FROM {table}"),
            format!("UPDATE {table} SET controller_id = controller_id"),
            format!("TRUNCATE {table} CASCADE"),
        ] {
            let error = client.execute(&statement, &[]).await.expect_err(&statement);

            let message = error.as_db_error().unwrap().message();
            assert!(message.contains("append-only"), "{statement}: {message}");
        }
    }
}

/// Renders the tables as `schema.rs` holds them. Partitions are left out.
async fn generate(client: &Client) -> String {
    let mut text = String::from(
        "// SPDX-License-Identifier: GPL-3.0-or-later\n//! The tables as Diesel sees them: generated from a migrated database, compared with one by a test.\n\n",
    );
    let tables = names(
        client,
        "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
         WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition
           AND relname <> '__diesel_schema_migrations' ORDER BY relname",
    )
    .await;
    for table in &tables {
        let keys = client
            .query_one(
                "SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM pg_index i
                 CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (number, place)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                 WHERE i.indisprimary AND i.indrelid = $1::text::regclass",
                &[table],
            )
            .await
            .unwrap();
        let _infallible = writeln!(
            text,
            "diesel::table! {{\n    {table} ({}) {{",
            keys.get::<_, String>(0)
        );
        let columns = client
            .query(
                "SELECT column_name::text, (CASE data_type WHEN 'ARRAY' THEN udt_name ELSE data_type END)::text,
                    is_nullable = 'YES' FROM information_schema.columns
                 WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position",
                &[table],
            )
            .await
            .unwrap();
        for column in columns {
            let (name, kind, nullable): (String, String, bool) =
                (column.get(0), column.get(1), column.get(2));
            let kind = diesel_type(&kind);
            let kind = if nullable {
                format!("Nullable<{kind}>")
            } else {
                kind.to_owned()
            };
            let _infallible = writeln!(text, "        {name} -> {kind},");
        }
        text.push_str("    }\n}\n\n");
    }
    let _infallible = writeln!(
        text,
        "diesel::allow_tables_to_appear_in_same_query!(\n    {},\n);",
        tables.join(",\n    ")
    );
    text
}

fn diesel_type(kind: &str) -> &'static str {
    match kind {
        "_text" => "Array<Text>",
        "_uuid" => "Array<Uuid>",
        "bigint" => "Int8",
        "boolean" => "Bool",
        "bytea" => "Bytea",
        "date" => "Date",
        "integer" => "Int4",
        "jsonb" => "Jsonb",
        "smallint" => "Int2",
        "text" => "Text",
        "timestamp with time zone" => "Timestamptz",
        "uuid" => "Uuid",
        other => panic!("schema.rs has no word for the type {other:?}"),
    }
}

async fn names(client: &Client, query: &str) -> Vec<String> {
    client
        .query(query, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get::<_, String>(0))
        .collect()
}
