// SPDX-License-Identifier: GPL-3.0-or-later
//! The API's shapes, as the contract has them.

use harness::{database::Database, installation::Installation};
use serde_json::{Value, json};

use crate::account::Account;

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn messages_come_page_by_page_and_each_once() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 23).await;
    // Several at the same moment: the id decides.
    database
        .execute("UPDATE messages SET sent_at = now() - interval '1 day' WHERE queue_id < 'Q2'")
        .await;
    let base = format!("{}/api/v1/messages?limit=5", installation.url());
    let mut program = anna.program();

    let mut ids = Vec::new();
    let mut url = base.clone();
    let mut pages = 0;
    loop {
        let page = program.get(&url).await.json();
        pages += 1;
        for message in page["messages"].as_array().unwrap() {
            ids.push(message["id"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(cursor) => url = format!("{base}&before={cursor}"),
            None => break,
        }
    }

    assert_eq!((ids.len(), pages), (23, 5));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 23);
}

#[tokio::test]
async fn message_has_the_shape_of_the_contract() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 5).await;
    let base = format!("{}/api/v1/messages", installation.url());
    let mut program = anna.program();

    let list = program.get(&base).await.json();
    let newest = &list["messages"][0];
    let url = format!("{base}/{}", newest["id"].as_str().unwrap());
    let whole = program.get(&url).await.json();

    for name in [
        "id",
        "message_id",
        "subject",
        "recipients",
        "sent_at",
        "opens",
        "links",
        "reason",
        "status",
        "open_count",
        "first_open_at",
        "last_open_at",
        "click_count",
        "first_click_at",
        "last_click_at",
        "automatic_count",
    ] {
        assert!(keys(newest).contains(&name), "{name}");
        if name != "links" {
            assert_eq!(newest[name], whole[name], "{name}");
        }
    }
    assert_eq!(newest["status"], "clicked");
    assert_eq!(newest["message_id"], "<0@example.com>");
    assert_eq!(newest["recipients"], json!(["customer1@recipient.test"]));
    let events = whole["events"].as_array().unwrap();
    assert_eq!(events.len(), 7);
    for name in [
        "id",
        "kind",
        "at",
        "class",
        "confidence",
        "settled",
        "reasons",
        "client",
        "link",
        "recipient",
    ] {
        assert!(keys(&events[0]).contains(&name), "{name}");
    }
    let click = events
        .iter()
        .find(|event| event["kind"] == "click" && event["class"] == "human")
        .unwrap();
    assert_eq!(
        click["link"],
        json!({"ordinal": 1, "host": "a.example", "text": "Our offer"})
    );
    assert_eq!(click["recipient"], "customer1@recipient.test");
    assert_eq!(click["client"], "Firefox");
    let links = whole["links"].as_array().unwrap();
    let counts = links.iter().map(|link| &link["click_count"]);
    assert!(counts.eq([&json!(1), &json!(0)]), "{links:?}");
}

#[tokio::test]
async fn filters_and_search_find_what_they_say() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 16).await;
    let base = format!("{}/api/v1/messages", installation.url());
    let mut program = anna.program();

    for (query, expected) in [
        ("state=tracked", 14),
        ("state=opened", 6),
        ("state=clicked", 4),
        ("state=quiet", 6),
        ("state=untracked", 2),
        ("q=INVOICE", 4),
        ("q=g%C4%99%C5%9Bl%C4%85", 4),
        ("q=second.person", 3),
        ("q=invoice%20second", 1),
        ("q=%25", 0),
        ("q=%00", 16),
        ("state=opened&q=stairwell", 2),
    ] {
        let answer = program.get(&format!("{base}?{query}")).await.json();
        let found = answer["messages"].as_array().unwrap();
        assert_eq!(found.len(), expected, "{query}");
        if query == "state=quiet" || query == "state=untracked" {
            let status = query.trim_start_matches("state=");
            assert!(found.iter().all(|message| message["status"] == status));
        }
    }
    for query in [
        "state=nonsense",
        "limit=0",
        "limit=201",
        "limit=x",
        "before=x",
        "x=1",
    ] {
        let answer = program.get(&format!("{base}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
}

#[tokio::test]
async fn message_with_unclear_activity_is_not_said_to_have_none() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 16).await;
    let base = installation.url();
    let list = format!("{base}/api/v1/messages?state=quiet");
    let before = anna.program().get(&list).await.json();
    let share = async || {
        let page = anna.browser().get(&base).await.text();
        let line = page.lines().find(|line| line.contains("tracked messages."));
        line.unwrap().to_owned()
    };
    let share_before = share().await;
    let id = before["messages"][0]["id"].as_str().unwrap();
    let client = database.connect().await;
    client
        .execute(
            "UPDATE messages SET unclear_clicks = 1 WHERE id::text = $1",
            &[&id],
        )
        .await
        .unwrap();

    let after = anna.program().get(&list).await.json();
    let url = format!("{base}/api/v1/messages/{id}");
    let one = anna.program().get(&url).await.json();
    let page = format!("{base}/messages/{id}");
    let page = anna.browser().get(&page).await.text();

    let count = |list: &Value| list["messages"].as_array().unwrap().len();
    assert_eq!((count(&before), count(&after)), (6, 5));
    assert_eq!(one["status"], "automatic");
    assert!(page.contains("<strong>Unclear activity</strong>"), "{page}");
    // 6 of 14 by people, 8 and then 9 with those that may have been read.
    assert!(share_before.contains("at most 57"), "{share_before}");
    assert!(share().await.contains("at most 64"));
}

#[tokio::test]
async fn deleted_message_leaves_the_picture() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 2).await;
    // What was counted of the hits that the messages have.
    database
        .execute(
            "DELETE FROM activity;
             INSERT INTO activity (controller_id, user_id, hour, opens, clicks, automatic)
             SELECT 'example', user_id, date_trunc('hour', at, 'UTC'),
                count(*) FILTER (WHERE class IN ('human', 'image-proxy-on-open') AND kind = 'open'),
                count(*) FILTER (WHERE class = 'human' AND kind = 'click'),
                count(*) FILTER (WHERE class IN ('machine-prefetch', 'security-scanner'))
             FROM hits JOIN messages ON messages.id = message_id GROUP BY user_id, 3;
             UPDATE messages SET settled_until = now()",
        )
        .await;
    let shown = "SELECT sum(opens + 10 * clicks + 100 * automatic)::bigint FROM activity";
    let before = database.count(shown, &[]).await;
    let id = anna.newest_message(&database).await;

    let url = format!("{}/api/v1/messages/{id}", installation.url());
    let deleted = anna.program().send_json("DELETE", &url, &json!({})).await;

    assert_eq!(deleted.status, 204);
    assert_eq!((before, database.count(shown, &[]).await), (624, 312));
}

#[tokio::test]
async fn table_has_every_message() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 1003).await;
    let url = format!("{}/api/v1/messages.csv", installation.url());

    let table = anna.program().get(&url).await;

    assert!(
        table
            .header("content-type")
            .unwrap()
            .starts_with("text/csv")
    );
    assert_eq!(table.text().lines().count(), 1 + 1003);
    assert!(
        table
            .text()
            .starts_with("id,message_id,subject,recipients,sent_at,")
    );
}

#[tokio::test]
async fn settings_are_changed_in_part_and_within_ceilings() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("controller.links", false)
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let url = format!("{}/api/v1/settings", installation.url());
    let mut program = anna.program();

    let before = program.get(&url).await.json();
    let change = json!({"notifications": "clicks", "language": "pl", "time_zone": "Europe/Warsaw"});
    let after = program.send_json("PATCH", &url, &change).await.json();
    let read = program.get(&url).await.json();

    for name in [
        "opens",
        "links",
        "text_links",
        "notifications",
        "digest",
        "remember_choice",
        "language",
        "time_zone",
    ] {
        assert!(keys(&before).contains(&name), "{name}");
    }
    assert_eq!(before["links"], false);
    assert_eq!(after, read);
    assert_eq!(
        (&after["notifications"], &after["language"], &after["opens"]),
        (&json!("clicks"), &json!("pl"), &before["opens"])
    );
    for (change, status) in [
        (json!({"links": true}), 422),
        (json!({"digest": "weekly"}), 422),
        (json!({"opens": "yes"}), 400),
        (json!({"unknown": 1}), 400),
    ] {
        let answer = program.send_json("PATCH", &url, &change).await;
        assert_eq!(answer.status, status, "{change}");
        assert!(answer.json()["detail"].is_string());
    }
}

#[tokio::test]
async fn notifications_are_told_and_read() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 16).await;
    let base = format!("{}/api/v1/notifications", installation.url());
    let mut program = anna.program();

    let all = program.get(&base).await.json();
    let newest = &all["notifications"][0];
    let unread = all["unread"].as_i64().unwrap();
    let id = newest["id"].as_i64().unwrap();
    let after = program
        .get(&format!("{base}?after={}", id - 2))
        .await
        .json();
    let read = program
        .send_json("POST", &format!("{base}/read"), &json!({"up_to": id - 1}))
        .await
        .json();

    assert_eq!(keys(newest).len(), 6);
    for name in ["id", "kind", "message", "at", "text", "read"] {
        assert!(keys(newest).contains(&name), "{name}");
    }
    assert!(newest["text"].as_str().unwrap().contains("stairwell"));
    let ids: Vec<i64> = after["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [id - 1, id]);
    assert!(unread > 1);
    assert_eq!(read["unread"], 1);
}

#[tokio::test]
async fn token_is_shown_once_and_works_until_revoked() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let base = installation.url();
    let url = format!("{base}/api/v1/tokens");

    let made = anna
        .browser()
        .send_json("POST", &url, &json!({"name": "CRM"}))
        .await;
    let token = made.json()["token"].as_str().unwrap().to_owned();
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let mut program =
        harness::web::Visitor::new().header("Authorization", &format!("Bearer {token}"));
    let me = program.get(&format!("{base}/api/v1/me")).await.json();
    let list = program.get(&url).await.text();
    let revoked = anna
        .browser()
        .send_json("DELETE", &format!("{url}/{id}"), &json!({}))
        .await;

    assert_eq!(made.status, 201);
    assert!(token.starts_with("ft_"));
    assert_eq!(me["login"], "anna@example.com");
    assert!(!list.contains(&token));
    assert_eq!(revoked.status, 204);
    assert_eq!(program.get(&url).await.status, 401);
}

#[tokio::test]
async fn refusals_of_the_framework_are_problems_too() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let base = installation.url();
    let mut program = anna.program();

    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/messages/not-a-uuid", 404),
        ("PUT", "/api/v1/me", 405),
        ("PATCH", "/api/v1/settings", 400),
    ] {
        let url = format!("{base}{path}");
        let answer = program.send_json(method, &url, &json!("text")).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{method} {path}"
        );
        let problem = answer.json();
        assert_eq!(
            (&problem["type"], &problem["status"]),
            (&json!("about:blank"), &json!(status))
        );
        assert_eq!(
            answer.header("allow").is_some(),
            status == 405,
            "{method} {path}"
        );
    }
}
