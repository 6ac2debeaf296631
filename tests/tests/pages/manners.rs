// SPDX-License-Identifier: GPL-3.0-or-later
//! How the API behaves towards programs: nothing twice, nothing written over, nothing fetched for nothing, limits that
//! are told, and examples that run.

use std::process::Command;

use harness::{database::Database, installation::Installation, sink::Sink, web::Visitor};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::account::{Account, until};

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

    assert_eq!(refused.status, 422);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(again.status, 409);
    assert_eq!(tokens, 2);

    // Wherever there is a secret, and however the path is written.
    let base = format!("{}/api/v1", installation.url());
    let hook = json!({"url": "https://hooks.example/x"});
    let mut named = 0;
    let mut post = async |path: String, body: Value| {
        named += 1;
        let mut program = anna
            .program()
            .header("Idempotency-Key", &format!("secret-{named}"));
        let answer = program
            .send_json("POST", &format!("{base}{path}"), &body)
            .await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        answer.json()
    };
    let webhook = post("/webhooks".into(), hook.clone()).await;
    let id = webhook["id"].as_str().unwrap();
    let secrets = [
        webhook["secret"].clone(),
        post("/%77ebhooks".into(), hook).await["secret"].clone(),
        post("/%74okens".into(), json!({"name": "CRM"})).await["token"].clone(),
        post(format!("/webhooks/{id}/%72otate"), json!({})).await["secret"].clone(),
    ];
    let kept = "SELECT count(*) FROM idempotent_answers WHERE body IS NOT NULL";
    assert_eq!(database.count(kept, &[]).await, 0);
    let stored = database.dump();
    for secret in secrets {
        assert!(!stored.contains(secret.as_str().unwrap()));
    }
}

#[tokio::test]
async fn many_at_once_under_one_name_are_done_once_and_names_end() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let url = format!("{}/api/v1/tokens", installation.url());
    let body = json!({"name": "CRM"});
    let other = json!({"name": "ERP"});
    let post = async |name: &str, body: &Value| {
        let mut program = anna.program().header("Idempotency-Key", name);
        let answer = program.send_json("POST", &url, body).await;
        answer.status.as_u16()
    };
    let tokens = "SELECT count(*) FROM api_tokens";

    let at_once = futures_util::future::join_all((0..8).map(|_| post("one", &body))).await;
    assert_eq!(
        at_once.iter().filter(|status| **status == 201).count(),
        1,
        "{at_once:?}"
    );
    assert!(at_once.iter().all(|status| matches!(status, 201 | 409)));
    assert_eq!(database.count(tokens, &[]).await, 2);

    // Nobody knows what came of a request whose collector died: it may be made again, but not another in its place.
    let died =
        "UPDATE idempotent_answers SET status = NULL, claimed_at = now() - interval '6 minutes'";
    database.execute(died).await;
    assert_eq!(post("one", &other).await, 422);
    assert_eq!(post("one", &body).await, 201);
    // After a day the name is free.
    let old = "UPDATE idempotent_answers SET claimed_at = now() - interval '25 hours'";
    database.execute(old).await;
    assert_eq!(post("one", &other).await, 201);
    assert_eq!(database.count(tokens, &[]).await, 4);
}

/// Whoever breaks the line does not leave a name behind that stands for nothing.
#[tokio::test]
async fn request_is_carried_through_although_its_client_is_gone() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let client = database.connect().await;
    // The collector waits for us in the middle of the request.
    client
        .batch_execute("BEGIN; LOCK TABLE webhooks IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let address = installation.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let body = r#"{"url": "https://hooks.example/x"}"#;
    let request = format!(
        "POST /api/v1/webhooks HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nIdempotency-Key: gone\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        anna.token,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'webhooks'::regclass";
    until(&database, waiting, 1).await;

    stream.set_zero_linger().unwrap();
    drop(stream);
    client.batch_execute("COMMIT").await.unwrap();

    let done = "SELECT count(*) FROM idempotent_answers WHERE name = 'gone' AND status = 201";
    until(&database, done, 1).await;
    let made = "SELECT count(*) FROM webhooks";
    assert_eq!(database.count(made, &[]).await, 1);
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
