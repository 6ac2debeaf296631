// SPDX-License-Identifier: GPL-3.0-or-later
//! Backup, restore and upgrade: what was erased stays erased, what waited is kept, and the release before goes on serving.

use std::{fs, path::Path, process::Command};

use harness::{
    database::Database,
    installation::Installation,
    needs,
    programs::postgresql,
    scratch::{Scratch, give_to},
    server::command_as,
};

fn tool(name: &str) -> Command {
    command_as("postgres", postgresql(name).unwrap())
}

#[tokio::test]
async fn restore_brings_back_what_was_kept_and_not_what_was_erased() {
    needs!(PostgreSql);
    let database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let scratch = Scratch::new("backup");
    give_to(scratch.path(), "postgres");
    let dump = scratch.path().join("dump");
    let run = |command: &mut Command| {
        let done = command.current_dir(scratch.path()).output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let record = |address: &str| {
        installation.ctl(&[
            "consent",
            "record",
            address,
            "--purpose",
            "open",
            "--purpose",
            "click",
            "--scope",
            "controller",
            "--given-at",
            "2026-01-02",
            "--channel",
            "paper",
            "--evidence",
            "contract 17/2026, page 4",
        ]);
    };
    installation.ctl(&["migrate"]);
    record("bob@client.example");
    record("eve@client.example");

    run(tool("pg_dump")
        .args(["--format=custom", "--file"])
        .arg(&dump)
        .arg(database.url()));
    installation.ctl(&["consent", "erase", "eve@client.example"]);
    let client = database.connect().await;
    let erased = "SELECT count(*) FROM subjects WHERE address = 'eve@client.example'";
    assert_eq!(database.count(erased, &[]).await, 0);

    // The disk breaks: an empty database takes the place of what was there.
    client
        .batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
        .unwrap();
    run(tool("pg_restore")
        .arg("--dbname")
        .arg(database.url())
        .arg(&dump)
        .arg("--no-owner"));
    assert_eq!(
        database.count(erased, &[]).await,
        1,
        "the dump knows nothing of the erasure"
    );
    installation.ctl(&["migrate"]);
    installation.ctl(&["consent", "replay"]);

    assert_eq!(database.count(erased, &[]).await, 0);
    let kept = installation.ctl(&["consent", "show", "bob@client.example"]);
    assert!(kept.contains("granted"), "{kept}");
    installation.ctl(&["audit", "verify"]);
}

#[tokio::test]
async fn what_the_first_release_writes_and_reads_is_served_after_each_migration() {
    needs!(PostgreSql);
    let database = Database::start_empty().await;
    let client = database.connect().await;
    let mut served = 0;

    for (name, up) in migrations() {
        client
            .batch_execute(&up)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_whole = name.as_str() >= LAST_OF_THE_FIRST_RELEASE;
        if is_whole {
            served += 1;
            client
                .batch_execute(&FIRST_RELEASE.replace("NUMBER", &served.to_string()))
                .await
                .unwrap_or_else(|error| {
                    panic!("after {name} the release before cannot write: {error}")
                });
            let rows = client
                .query(READ, &[])
                .await
                .unwrap_or_else(|error| panic!("after {name}: {error}"));
            assert_eq!(rows.len(), served, "after {name} something is missing");
        }
    }

    assert!(served > 1, "no migration after the first release");
}

#[test]
fn migrations_take_nothing_away_from_the_release_before() {
    // Tables and columns go in a release after the one that stopped using them: none has gone yet.
    for (name, up) in migrations() {
        let words = up.to_uppercase();
        for taking in [
            "DROP TABLE ",
            "DROP COLUMN ",
            "RENAME COLUMN ",
            "RENAME TO ",
            "\nTRUNCATE ",
        ] {
            let outside = words
                .split("$$")
                .step_by(2)
                .any(|statements| statements.contains(taking));
            assert!(!outside, "{name}: {taking}");
        }
    }
}

/// Names and statements, in order.
fn migrations() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut migrations: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| {
            let up = fs::read_to_string(entry.path().join("up.sql")).unwrap();
            (entry.file_name().to_string_lossy().into_owned(), up)
        })
        .collect();
    migrations.sort();
    migrations
}

/// The schema with which the first release serves.
const LAST_OF_THE_FIRST_RELEASE: &str = "2026-11-24-000006";

/// Statements of the kinds that the first release's programs make, with the columns that they know.
const FIRST_RELEASE: &str = "
    INSERT INTO controllers (id, name, address, contact, authority) VALUES ('example', '', '', '', '')
        ON CONFLICT (id) DO NOTHING;
    INSERT INTO users (controller_id, id, login, opens, links, notifications)
        VALUES ('example', gen_random_uuid(), 'userNUMBER@example.com', true, true, 'all');
    INSERT INTO messages (controller_id, id, user_id, queue_id, message_id_header, subject, sent_at, opens, links)
        SELECT controller_id, gen_random_uuid(), id, 'Q', '<NUMBER@example.com>', 'x', now(), true, true
        FROM users WHERE login = 'userNUMBER@example.com';
    INSERT INTO subjects (controller_id, subject_ref, address, base_address)
        VALUES ('example', gen_random_uuid(), 'bNUMBER@client.example', 'bNUMBER@client.example');
    INSERT INTO consent_events (controller_id, seq, event_id, subject_ref, purpose, state, author, assurance, at,
            effective_at, profile, method, evidence_sha256, prev_hash, entry_hash)
        SELECT controller_id, NUMBER, gen_random_uuid(), subject_ref, 'open', 'granted', 'recipient', 2, now(), now(),
            'p1', 'page', '', '', ''
        FROM subjects WHERE address = 'bNUMBER@client.example';
    INSERT INTO links (controller_id, message_id, ordinal, host, label)
        SELECT controller_id, id, 1, 'a.example', 'A' FROM messages WHERE message_id_header = '<NUMBER@example.com>';
    UPDATE messages SET open_count = open_count + 1 WHERE message_id_header = '<NUMBER@example.com>';
";

const READ: &str = "
    SELECT m.id, m.subject, m.open_count, u.login, u.opens, u.links, e.state
    FROM messages m JOIN users u ON u.controller_id = m.controller_id AND u.id = m.user_id
    JOIN subjects s ON s.controller_id = m.controller_id
        AND s.address = replace(replace(u.login, 'user', 'b'), '@example.com', '@client.example')
    JOIN consent_events e ON e.controller_id = s.controller_id AND e.subject_ref = s.subject_ref
    WHERE m.open_count = 1";
