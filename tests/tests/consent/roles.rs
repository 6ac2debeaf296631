// SPDX-License-Identifier: GPL-3.0-or-later
//! The programs' roles in the database: what each may not do, tried as that role. That each may do what it must is shown
//! by every other test: their programs connect in these roles.

use harness::database::Database;
use tokio_postgres::{Client, NoTls, error::SqlState};

async fn connect_as(database: &Database, role: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&database.url_as(role), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// C75, C95: append-only is for each role what it is for the trigger, and nobody can switch the trigger off.
#[tokio::test]
async fn each_role_is_refused_what_is_not_its_business() {
    let database = Database::start().await;

    for (role, statements) in [
        (
            "fairtrack_milter",
            &[
                "SELECT * FROM hits",
                "SELECT * FROM hits_default",
                "SELECT * FROM activity",
                "SELECT * FROM notifications",
                "SELECT * FROM consent_evidence",
                "SELECT * FROM recipient_links",
                "SELECT * FROM sessions",
                "SELECT * FROM acts",
                "INSERT INTO consent_events DEFAULT VALUES",
                "INSERT INTO suppressions DEFAULT VALUES",
                "DELETE FROM messages",
                "DELETE FROM subjects",
                "UPDATE subjects SET restricted = false",
                "UPDATE messages SET user_id = id",
                "UPDATE messages SET frozen = false",
                "UPDATE messages SET stopped_at = NULL",
                "UPDATE messages SET open_count = 1",
                "UPDATE users SET is_admin = true",
                "UPDATE users SET enabled = true",
                "UPDATE controllers SET id = 'mine'",
                "SELECT freeze_new_messages()",
                "SELECT create_hits_partition(now()::date)",
            ][..],
        ),
        (
            "fairtrack_collector",
            &[
                "SELECT drop_hits_partition('messages')",
                "DROP TABLE hits_default",
            ],
        ),
        ("fairtrack_admin", &["DROP TABLE acts"]),
    ] {
        let client = connect_as(&database, role).await;
        let common = [
            "UPDATE consent_events SET state = 'granted'",
            "DELETE FROM consent_events",
            "TRUNCATE consent_events",
            "UPDATE consent_evidence SET evidence = '{}'",
            "TRUNCATE consent_evidence",
            "UPDATE notices SET body = ''",
            "DELETE FROM notices",
            "DELETE FROM erasures",
            "UPDATE acts SET actor = 'nobody'",
            "TRUNCATE acts",
            "ALTER TABLE consent_events DISABLE TRIGGER ALL",
            "SET session_replication_role = replica",
            "CREATE TABLE mine (n int)",
            "DELETE FROM __diesel_schema_migrations",
        ];
        for statement in statements.iter().chain(&common) {
            let error = client.batch_execute(statement).await.unwrap_err();
            let code = error.code().unwrap();
            assert!(
                *code == SqlState::INSUFFICIENT_PRIVILEGE || *code == SqlState::RAISE_EXCEPTION,
                "{role}: {statement}: {error:?}"
            );
        }
        let owned = "SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole";
        let owned: i64 = client.query_one(owned, &[]).await.unwrap().get(0);
        assert_eq!(owned, 0, "{role}");
    }
}

/// Whatever a later release adds, a role has rights there after `migrate`, and only those.
#[tokio::test]
async fn rights_are_set_anew_by_each_migration() {
    let database = Database::start().await;
    let installation = harness::installation::Installation::on(&database).write();
    database
        .execute(
            "CREATE TABLE later (n int); GRANT SELECT ON hits TO fairtrack_milter;
             GRANT UPDATE ON consent_events TO fairtrack_collector",
        )
        .await;

    let said = installation.ctl(&["migrate"]);

    assert!(said.contains("role \"fairtrack_milter\""), "{said}");
    let may = "SELECT has_table_privilege($1, $2, $3)";
    let client = database.connect().await;
    for (role, table, right, expected) in [
        ("fairtrack_collector", "later", "INSERT", true),
        ("fairtrack_collector", "consent_events", "UPDATE", false),
        ("fairtrack_collector", "consent_events", "INSERT", true),
        ("fairtrack_milter", "later", "SELECT", false),
        ("fairtrack_milter", "hits", "SELECT", false),
        ("fairtrack_milter", "consent_events", "SELECT", true),
    ] {
        let found: bool = client
            .query_one(may, &[&role, &table, &right])
            .await
            .unwrap()
            .get(0);
        assert_eq!(found, expected, "{role} {right} {table}");
    }
}

/// Roles belong to the whole cluster: making them a second time, from another database, changes nothing.
#[tokio::test]
async fn roles_are_made_once_for_a_cluster() {
    let (one, other) = (Database::start().await, Database::start_empty().await);
    let name = format!("custom_{}", std::process::id());
    for database in [&one, &other, &one] {
        let installation = harness::installation::Installation::on(database)
            .set("database.milter_role", name.as_str())
            .write();
        let said = installation.ctl(&["migrate", "--roles"]);
        assert!(said.contains(&name), "{said}");
    }

    let client = one.connect().await;
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname = $1 AND rolcanlogin AND NOT rolsuper";
    let found: i64 = client.query_one(roles, &[&name]).await.unwrap().get(0);
    assert_eq!(found, 1);
    for database in [&one, &other] {
        database.execute(&format!("DROP OWNED BY {name}")).await;
    }
    one.execute(&format!("DROP ROLE {name}")).await;
}

/// The doctor says who could switch the log's triggers off.
#[tokio::test]
async fn doctor_says_who_owns_the_log() {
    let database = Database::start().await;
    let separate = harness::installation::Installation::on(&database).write();
    let together = harness::installation::Installation::on(&database)
        .set("database.collector_url", database.url())
        .write();
    let found = |installation: &harness::installation::Installation| {
        let output = installation.run("fairtrackctl", &["doctor"], b"");
        String::from_utf8(output.stdout).unwrap()
    };

    assert!(found(&separate).contains("can only add to the consent log"));
    assert!(found(&together).contains("is a superuser"));
}
