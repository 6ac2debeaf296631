// SPDX-License-Identifier: GPL-3.0-or-later
//! How the API behaves towards programs: nothing twice, nothing written over, nothing fetched for nothing, limits that
//! are told, and examples that run.

use std::process::Command;

use harness::{database::Database, installation::Installation, sink::Sink, web::Visitor};
use serde_json::json;

use crate::account::Account;

#[tokio::test]
async fn named_request_is_done_once() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let sink = Sink::start();
    let installation = Installation::on(&database)
        .mail_through(sink.port())
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let eve = Account::create(&database, "eve@example.com").await;
    let url = format!("{}/api/v1/consents", installation.url());
    let said = json!({"recipient": "zoe@client.test", "purposes": ["open"], "given_at": "2026-10-01",
        "channel": "paper", "evidence": "contract 17"});
    let other = json!({"recipient": "max@client.test", "purposes": ["open"], "given_at": "2026-10-01",
        "channel": "paper", "evidence": "contract 18"});
    let events = "SELECT count(*) FROM consent_events";
    let mut program = anna.program().header("Idempotency-Key", "one");

    let first = program.send_json("POST", &url, &said).await;
    let again = program.send_json("POST", &url, &said).await;
    let after_two = database.count(events, &[]).await;
    let foreign = program.send_json("POST", &url, &other).await;
    let elsewhere = { eve.program().header("Idempotency-Key", "one") }
        .send_json("POST", &url, &other)
        .await;
    let after_all = database.count(events, &[]).await;

    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    assert_eq!(after_two, 1);
    assert_eq!(foreign.status, 422);
    assert_eq!(elsewhere.status, 201);
    assert_eq!(after_all, 2);
}

#[tokio::test]
async fn name_of_a_failed_request_is_free_again_and_secrets_are_shown_once() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let url = format!("{}/api/v1/tokens", installation.url());
    let mut program = anna.program().header("Idempotency-Key", "two");

    let refused = program
        .send_json("POST", &url, &json!({"name": "x".repeat(101)}))
        .await;
    let made = program
        .send_json("POST", &url, &json!({"name": "CRM"}))
        .await;
    let again = program
        .send_json("POST", &url, &json!({"name": "CRM"}))
        .await;
    let tokens = database.count("SELECT count(*) FROM api_tokens", &[]).await;
    let kept = "SELECT count(*) FROM idempotent_answers WHERE body IS NOT NULL";

    assert_eq!(refused.status, 422);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(again.status, 409);
    assert_eq!(tokens, 2);
    assert_eq!(database.count(kept, &[]).await, 0);
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_and_what_changed_is_not_written_over() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 3).await;
    let base = format!("{}/api/v1", installation.url());

    for path in ["messages", "settings", "notifications"] {
        let url = format!("{base}/{path}");
        let first = anna.program().get(&url).await;
        let tag = first.header("etag").unwrap().to_owned();
        let second = { anna.program().header("If-None-Match", &tag) }
            .get(&url)
            .await;
        assert_eq!(
            (second.status.as_u16(), second.body.len()),
            (304, 0),
            "{path}"
        );
    }
    let url = format!("{base}/settings");
    let read = anna.program().get(&url).await;
    let tag = read.header("etag").unwrap();
    let mut careful = anna.program().header("If-Match", tag);
    let change = json!({"digest": "daily"});
    let first = careful.send_json("PATCH", &url, &change).await;
    let late = careful
        .send_json("PATCH", &url, &json!({"digest": "off"}))
        .await;
    let now = anna.program().get(&url).await;

    assert_eq!(first.status, 200);
    assert_eq!(late.status, 412);
    assert_eq!(now.json()["digest"], "daily");
    assert_eq!(now.header("etag"), first.header("etag"));
}

#[tokio::test]
async fn limits_are_told_and_kept() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("collector.api_limit", 5)
        .set("collector.sign_in_limit", 3)
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let eve = Account::create(&database, "eve@example.com").await;
    let url = format!("{}/api/v1/me", installation.url());

    // Seven in a row may meet the end of a minute once, not twice.
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(anna.program().get(&url).await);
    }
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();

    assert_eq!(answers[0].status, 200);
    let policy = answers[0].header("ratelimit-policy");
    assert_eq!(policy, Some("\"default\";q=5;w=60"));
    let left = answers[0].header("ratelimit").unwrap();
    assert!(left.starts_with("\"default\";r=4;t="), "{left}");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(refused.json()["status"], 429);
    assert_eq!(eve.program().get(&url).await.status, 200);

    // Another token or a session does not begin a new count.
    let second = Account::of(&database, anna.id).await;
    let mut more = Vec::new();
    for _ in 0..12 {
        more.push(second.program().get(&url).await.status.as_u16());
        more.push(second.browser().get(&url).await.status.as_u16());
    }
    let passed = more.iter().filter(|status| **status == 200).count();
    assert!(passed <= 10, "{more:?}");
    // Nor does a stranger who makes up a new one each time, and that costs no user anything.
    let mut strangers = Vec::new();
    for number in 0..12 {
        let token = format!("Bearer ft_{number}");
        let mut stranger = Visitor::new().header("Authorization", &token);
        strangers.push(stranger.get(&url).await.status.as_u16());
    }
    assert_eq!(strangers[0], 401);
    assert!(strangers.contains(&429), "{strangers:?}");
    assert_eq!(eve.program().get(&url).await.status, 200);

    let door = format!("{}/sign-in", installation.url());
    let mut statuses = Vec::new();
    for number in 0..8 {
        let address = format!("person{number}@example.com");
        let answer = Visitor::new()
            .post_form(&door, &[("address", &address)])
            .await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses[..3], [303, 303, 303]);
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_of_the_readme_run() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 3).await;
    let readme = include_str!("../../../README.md");

    let shell = example(readme, "sh").replace("https://track.example.com", &installation.url());
    let python =
        example(readme, "python").replace("https://track.example.com", &installation.url());
    let said = |program: &str, argument: &str, text: &str| {
        let output = Command::new(program)
            .args([argument, text])
            .env("FAIRTRACK_TOKEN", &anna.token)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };

    assert!(shell.lines().count() <= 5 && python.lines().count() <= 5);
    let answers = said("sh", "-ec", &shell);
    assert!(answers.contains("stairwell") && answers.contains("\"digest\":\"daily\""));
    assert!(said("python3", "-c", &python).contains("stairwell"));
}

/// Returns the code block of a language in which the token is used.
fn example(readme: &str, language: &str) -> String {
    let fence = format!("```{language}\n");
    readme
        .split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(code, _)| code.to_owned())
        .find(|code| code.contains("FAIRTRACK_TOKEN"))
        .unwrap()
}
