// SPDX-License-Identifier: GPL-3.0-or-later
//! Nobody sees another's data, nothing changes at another site's word, and pages stay private.

use harness::{database::Database, installation::Installation, web::Visitor};
use serde_json::json;
use uuid::Uuid;

use crate::account::Account;

struct Two {
    database: Database,
    installation: Installation,
    anna: Account,
    eve: Account,
    message: Uuid,
    token: Uuid,
}

async fn two() -> Two {
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let anna = Account::create(&database, "anna@example.com").await;
    let eve = Account::create(&database, "eve@example.com").await;
    anna.send(&database, 3).await;
    let message = anna.newest_message(&database).await;
    let client = database.connect().await;
    let token = client
        .query_one("SELECT id FROM api_tokens WHERE user_id = $1", &[&anna.id])
        .await
        .unwrap()
        .get(0);
    Two {
        database,
        installation,
        anna,
        eve,
        message,
        token,
    }
}

#[tokio::test]
async fn what_is_anothers_is_not_there() {
    harness::needs!(PostgreSql);
    let two = two().await;
    let _collector = two.installation.start_collector().await;
    let (message, token) = (two.message, two.token);
    let csrf = Account::csrf();
    let base = two.installation.url();

    for (method, path) in [
        ("GET", format!("/api/v1/messages/{message}")),
        ("PATCH", format!("/api/v1/messages/{message}")),
        ("DELETE", format!("/api/v1/messages/{message}")),
        ("DELETE", format!("/api/v1/tokens/{token}")),
    ] {
        for mut other in [two.eve.browser(), two.eve.program()] {
            let answer = other
                .send_json(method, &format!("{base}{path}"), &json!({"muted": true}))
                .await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    for path in [
        format!("/messages/{message}/mute"),
        format!("/messages/{message}/delete"),
        format!("/settings/tokens/{token}/revoke"),
    ] {
        let fields = [("csrf", csrf.as_str()), ("muted", "true")];
        let answer = two
            .eve
            .browser()
            .post_form(&format!("{base}{path}"), &fields)
            .await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let page = format!("{base}/messages/{message}");
    assert_eq!(two.eve.browser().get(&page).await.status, 404);
    assert_eq!(two.anna.browser().get(&page).await.status, 200);
    for path in [
        "/",
        "/notifications",
        "/api/v1/messages",
        "/api/v1/messages.csv",
        "/api/v1/notifications",
        "/api/v1/contacts",
        "/api/v1/export",
        "/contacts",
    ] {
        let text = two.eve.browser().get(&format!("{base}{path}")).await.text();
        assert!(!text.contains("stairwell"), "{path}");
        assert!(!text.contains("customer"), "{path}");
    }
    let left = "SELECT count(*) FROM messages WHERE NOT muted";
    assert_eq!(two.database.count(left, &[]).await, 3);
}

#[tokio::test]
async fn strangers_are_sent_to_the_door() {
    harness::needs!(PostgreSql);
    let two = two().await;
    let _collector = two.installation.start_collector().await;
    let base = two.installation.url();

    for path in ["/", "/messages/x", "/notifications", "/settings"] {
        let answer = Visitor::new().get(&format!("{base}{path}")).await;
        if path != "/messages/x" {
            assert_eq!(answer.location().unwrap().path(), "/sign-in", "{path}");
        }
    }
    for path in [
        "me",
        "messages",
        "messages.csv",
        "notifications",
        "notifications/stream",
        "settings",
        "tokens",
        "contacts",
        "export",
    ] {
        let url = format!("{base}/api/v1/{path}");
        let mut wrong = Visitor::new().header("Authorization", "Bearer ft_wrong");
        for answer in [Visitor::new().get(&url).await, wrong.get(&url).await] {
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json")
            );
            assert!(answer.header("www-authenticate").is_some());
            assert_eq!(answer.json()["status"], 401);
        }
    }
}

#[tokio::test]
async fn wrong_token_is_not_mended_by_a_cookie() {
    harness::needs!(PostgreSql);
    let two = two().await;
    let _collector = two.installation.start_collector().await;
    let url = format!("{}/api/v1/me", two.installation.url());
    let mut both = two.anna.browser().header("Authorization", "Bearer ft_no");

    assert_eq!(both.get(&url).await.status, 401);
}

#[tokio::test]
async fn other_sites_change_nothing() {
    harness::needs!(PostgreSql);
    let two = two().await;
    let _collector = two.installation.start_collector().await;
    let base = two.installation.url();
    let csrf = Account::csrf();
    let settings = format!("{base}/settings");
    let api = format!("{base}/api/v1/settings");
    let form = [
        ("csrf", csrf.as_str()),
        ("notifications", "none"),
        ("language", ""),
        ("time_zone", "UTC"),
    ];
    let change = json!({"notifications": "none"});

    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let mut lured = two.anna.browser().header(name, value);
        assert_eq!(lured.post_form(&settings, &form).await.status, 403);
        let patched = lured.send_json("PATCH", &api, &change).await;
        assert_eq!(patched.status, 403);
    }
    for csrf in [None, Some(("csrf", "wrong"))] {
        let fields: Vec<_> = csrf.into_iter().chain(form[1..].iter().copied()).collect();
        let answer = two.anna.browser().post_form(&settings, &fields).await;
        assert_eq!(answer.status, 403);
    }
    let simple = two
        .anna
        .browser()
        .send(
            "POST".parse().unwrap(),
            &format!("{base}/api/v1/notifications/read"),
            Some("text/plain"),
            r#"{"up_to": 99}"#.into(),
        )
        .await;
    assert_eq!(simple.status, 403);

    let kept = "SELECT count(*) FROM users WHERE notifications = 'all'";
    assert_eq!(two.database.count(kept, &[]).await, 2);
    let ours = two.anna.browser().header("Origin", &base);
    assert_eq!({ ours }.post_form(&settings, &form).await.status, 303);
    assert_eq!(two.database.count(kept, &[]).await, 1);
}

#[tokio::test]
async fn pages_are_kept_private() {
    harness::needs!(PostgreSql);
    let two = two().await;
    let _collector = two.installation.start_collector().await;
    let base = two.installation.url();

    for path in ["/", "/settings", "/notifications", "/nothing", "/sign-in"] {
        let page = two.anna.browser().get(&format!("{base}{path}")).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let text = page.text();
        assert!(!text.contains("style=\""), "{path} has styles of its own");
        assert!(!text.contains("https://"), "{path} names another site");
        assert!(text.len() < 60_000, "{path} is too long");
    }
}
