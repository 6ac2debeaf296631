// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl` on a real database: schema, keys, users, tokens, links, retention.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::{
    fs::File,
    process::{Command, Stdio},
};

use harness::{
    database::Database,
    installation::{Installation, program_path},
    samples::Sample,
};
use serde_json::{Value, json};

fn data(installation: &Installation, arguments: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(arguments);
    serde_json::from_str(&installation.ctl(&all)).unwrap()
}

#[tokio::test]
async fn empty_database_is_brought_up_to_date_once() {
    harness::needs!(PostgreSql);
    let database = Database::start_empty().await;
    let installation = Installation::on(&database).write();

    let first = data(&installation, &["migrate"]);
    let second = data(&installation, &["migrate"]);

    assert!(!first["applied"].as_array().unwrap().is_empty());
    assert_eq!(second["applied"], json!([]));
    let controllers = "SELECT count(*) FROM controllers WHERE id = 'example'";
    assert_eq!(database.count(controllers, &[]).await, 1);
}

#[tokio::test]
async fn rotated_key_signs_and_the_old_one_verifies() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let old = Sample::without_consent(&installation, &database).await;
    let url = old.link(7, "https://a.example/?b=c&d");

    let keys = data(&installation, &["keys", "rotate"]);
    let decoded = data(&installation, &["link", "decode", &url]);
    let forged = data(
        &installation,
        &["link", "decode", &url.replace("a.example", "b.example")],
    );

    assert_eq!(keys.as_array().unwrap().len(), 2);
    assert_eq!(keys[0]["signing"], true);
    assert_eq!(decoded["destination"], "https://a.example/?b=c&d");
    assert_eq!(decoded["ordinal"], 7);
    assert_eq!(decoded["message_id"], json!(old.message.0));
    assert_eq!(
        (&decoded["valid"], &forged["valid"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn users_are_added_disabled_and_erased_with_what_is_theirs() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();

    installation.ctl(&["user", "add", "Anna"]);
    installation.ctl(&["user", "add", "bob@example.com", "--admin"]);
    let token = data(&installation, &["token", "create", "anna", "--name", "crm"]);
    let disabled = data(&installation, &["user", "disable", "bob"]);
    installation.ctl(&["user", "erase", "anna@example.com"]);
    let left = data(&installation, &["user", "list"]);

    assert!(token["token"].as_str().unwrap().starts_with("ft_"));
    assert_eq!(disabled[0]["enabled"], false);
    assert_eq!(disabled[0]["admin"], true);
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(
        database.count("SELECT count(*) FROM api_tokens", &[]).await,
        0
    );
    for command in [
        ["user", "erase", "nobody"],
        ["user", "add", "x@elsewhere.example"],
    ] {
        let output = installation.run("fairtrackctl", &command, b"");
        assert_eq!(output.status.code(), Some(1), "{command:?}");
    }
}

#[tokio::test]
async fn retention_deletes_what_is_over_and_nothing_else() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let old = Sample::with_consent(&installation, &database).await;
    let new = Sample::with_consent(&installation, &database).await;
    let client = database.connect().await;
    client
        .execute(
            "UPDATE messages SET sent_at = now() - interval '91 days' WHERE id = $1",
            &[&old.message.0],
        )
        .await
        .unwrap();
    database
        .execute("SELECT create_hits_partition((now() - interval '200 days')::date)")
        .await;
    for (message, days) in [(&new, 200), (&new, 95), (&new, 1), (&old, 1)] {
        client
            .execute(
                "INSERT INTO hits (controller_id, message_id, at, id, kind, ordinal, features, class, confidence, reasons,
                     rules_version)
                 VALUES ('example', $1, now() - make_interval(days => $2), gen_random_uuid(), 'open', 0, '{}', 'human', 90,
                     '{}', 1)",
                &[&message.message.0, &days],
            )
            .await
            .unwrap();
    }
    let partitions = "SELECT count(*) FROM pg_partition_tree('hits') WHERE isleaf";
    let before = database.count(partitions, &[]).await;

    let counted = data(&installation, &["retention", "run", "--dry-run"]);
    let untouched = database.count("SELECT count(*) FROM hits", &[]).await;
    data(&installation, &["retention", "run"]);

    let rows = |table: &str| -> i64 {
        let rules = counted.as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["table"] == table).unwrap();
        rule["rows"].as_i64().unwrap()
    };
    assert_eq!((rows("hits"), rows("messages"), untouched), (2, 1, 4));
    assert_eq!(database.count("SELECT count(*) FROM hits", &[]).await, 1);
    assert_eq!(
        database.count("SELECT count(*) FROM messages", &[]).await,
        1
    );
    // One month is dropped; those ahead are made.
    let ahead = "SELECT count(*) FROM pg_partition_tree('hits')
        WHERE relid::text = to_char(now() + interval '2 months', '\"hits_\"YYYY_MM')";
    assert_eq!(database.count(ahead, &[]).await, 1);
    assert_eq!(database.count(partitions, &[]).await, before);
}

/// More than are judged together: the pieces overlap, and each hit is judged and counted once.
#[tokio::test]
async fn every_hit_of_a_message_with_very_many_is_judged_again_once() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let features = json!({"k": "open", "n": "other", "c": "mail-app:thunderbird", "t": 3_600_000});
    database
        .connect()
        .await
        .execute(
            "WITH hit AS (INSERT INTO hits SELECT 'example', $1, now() - interval '45 minutes' + n * interval '100 ms',
                gen_random_uuid(), 'open', 0, $2::text::jsonb, 'security-scanner', 90, '{R60}', 0, true
                FROM generate_series(1, 4500) n)
             UPDATE messages SET settled_until = now(), automatic_count = 4500 WHERE id = $1",
            &[&sample.message.0, &features.to_string()],
        )
        .await
        .unwrap();

    let counted = data(&installation, &["reclassify"]);
    let applied = data(&installation, &["reclassify", "--apply"]);

    assert_eq!(
        (&counted["hits"], &applied["hits"]),
        (&json!(4500), &json!(4500))
    );
    let old = "SELECT count(*) FROM hits WHERE rules_version = 0 OR class = 'security-scanner'";
    assert_eq!(database.count(old, &[]).await, 0);
    let automatic = "SELECT automatic_count::bigint FROM messages";
    assert_eq!(database.count(automatic, &[]).await, 0);
}

#[tokio::test]
async fn stored_hits_are_judged_again_by_new_rules() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    // As rules of old left it: a mail program that nobody knew yet.
    let features = json!({"k": "open", "n": "other", "c": "mail-app:thunderbird", "t": 3_600_000});
    let features = features.to_string();
    database
        .connect()
        .await
        .execute(
            "WITH hit AS (INSERT INTO hits VALUES ('example', $1, now() - interval '20 minutes', gen_random_uuid(), 'open', 0,
                $2::text::jsonb, 'unknown', 30, '{R60}', 0, true))
             UPDATE messages SET settled_until = now() WHERE id = $1",
            &[&sample.message.0, &features],
        )
        .await
        .unwrap();
    let stored = "SELECT count(*) FROM hits JOIN messages m ON m.id = message_id
        WHERE class = 'human' AND rules_version > 0 AND open_count = 1 AND first_open_at = at";
    let hour = "SELECT coalesce(sum(opens), 0) FROM activity";

    let counted = data(&installation, &["reclassify"]);
    let before = database.count(stored, &[]).await;
    let applied = data(&installation, &["reclassify", "--apply"]);
    let after = (
        database.count(stored, &[]).await,
        database.count(hour, &[]).await,
    );
    let again = data(&installation, &["reclassify", "--apply"]);

    let change = json!([{"from": "unknown", "to": "human", "hits": 1}]);
    assert_eq!(
        (&counted["changes"], &counted["applied"]),
        (&change, &json!(false))
    );
    assert_eq!(before, 0);
    assert_eq!(
        (&applied["changes"], &applied["applied"]),
        (&change, &json!(true))
    );
    assert_eq!(after, (1, 1));
    assert_eq!((&again["changes"], &again["hits"]), (&json!([]), &json!(1)));
}

#[tokio::test]
async fn answer_that_nobody_takes_is_no_panic() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program_path("fairtrackctl"));
        command.arg("--config").arg(installation.configuration());
        command.args(arguments);
        command
    };

    let full = File::create("/dev/full").unwrap();
    let full = command(&["keys", "list"]).stdout(full).output().unwrap();
    let mut left = command(&["--check"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(left.stdout.take());
    let left = left.wait().unwrap();

    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&full.stderr).starts_with("fairtrackctl: "));
    assert_eq!(left.code(), Some(0));
}
