// SPDX-License-Identifier: GPL-3.0-or-later
//! What the collector answers, and what it keeps of it.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use chrono::Utc;
use common::{ids::MessageId, keys::KeyRing, tracking_url};
use harness::{
    database::Database,
    installation::Installation,
    samples::Sample,
    web::{Answer, MAIL_PROGRAM, Visitor},
};

const HITS: &str = "SELECT count(*) FROM hits";

/// Everything in an answer but the time of day.
fn shape(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut fields: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    fields.sort();
    (answer.status.as_u16(), fields, answer.body.to_vec())
}

#[tokio::test]
async fn every_pixel_is_answered_alike() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let granted = Sample::with_consent(&installation, &database).await;
    let silent = Sample::without_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let base = installation.url();
    let keys = KeyRing::read(&installation.keys()).unwrap();
    let urls = [
        granted.pixel(),
        silent.pixel(),
        tracking_url::pixel(&base, &keys, MessageId::random()),
        format!("{}?x=1", granted.pixel()),
        granted.pixel().replace(".gif", ""),
        granted.pixel().replace("/o/", "/o/x"),
        format!("{base}/o/"),
        format!("{base}/o/a/b/c.png"),
        format!("{base}/o/{}.gif", "x".repeat(20_000)),
    ];
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    let first = shape(&visitor.get(&urls[0]).await);
    for is_down in [false, true] {
        if is_down {
            database.cluster().kill9();
        }
        for url in &urls {
            assert_eq!(shape(&visitor.get(url).await), first, "{url}");
        }
    }
    let head = shape(&visitor.head(&urls[0]).await);

    let (status, fields, body) = first;
    assert_eq!((status, body.len()), (200, 43));
    assert_eq!(&body[..6], b"GIF89a");
    assert_eq!(head, (200, fields.clone(), Vec::new()));
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "cache-control",
            "content-length",
            "content-type",
            "cross-origin-resource-policy",
            "referrer-policy",
            "x-content-type-options"
        ]
    );
    assert!(fields[0].1.starts_with("no-store"));
    assert!(!visitor.has_cookies());
}

#[tokio::test]
async fn link_leads_exactly_where_it_was_meant_to_whatever_is_down() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    let destination = "https://a.example/%7e/../x?q=a+b&u=https%3A%2F%2Fb.example&c=%zz#d";

    for is_down in [false, true] {
        if is_down {
            database.cluster().kill9();
        }
        let answer = visitor.get(&sample.link(1, destination)).await;
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location"), Some(destination));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store, max-age=0"));
        let head = visitor.head(&sample.link(1, destination)).await;
        assert_eq!(head.status, 302);
    }
    assert!(!visitor.has_cookies());
}

#[tokio::test]
async fn forged_link_leads_nowhere() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::new();
    let link = sample.link(1, "https://a.example/");
    let (path, _) = link.split_once('?').unwrap();
    let pixel_as_link = sample.pixel().replace("/o/", "/l/").replace(".gif", "");

    for url in [
        link.replace("a.example", "b.example"),
        format!("{path}?u=https%3A%2F%2Fa.example%2F%0d%0aSet-Cookie:%20x=1"),
        format!("{path}?u=//b.example/"),
        format!("{path}?u=javascript:alert(1)"),
        format!("{path}?u=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        format!("{path}?u=%ff%fe"),
        format!("{path}?u="),
        path.to_owned(),
        format!("{pixel_as_link}?u="),
        format!("{}/l/?u=https://b.example/", installation.url()),
        format!("{}/l//b.example/?u=https://b.example/", installation.url()),
    ] {
        let answer = visitor.get(&url).await;
        assert_eq!(answer.status, 400, "{url}");
        assert_eq!(answer.header("location"), None, "{url}");
        assert_eq!(answer.header("refresh"), None, "{url}");
        let page = answer.text();
        for active in ["<script", "<a ", "href", "http-equiv"] {
            assert!(!page.contains(active), "{url}: {page}");
        }
    }
    assert!(!visitor.has_cookies());
    assert_eq!(database.count(HITS, &[]).await, 0);
}

#[tokio::test]
async fn other_methods_are_refused() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::new();

    for url in [sample.pixel(), sample.link(1, "https://a.example/")] {
        let answer = visitor.post_form(&url, &[("a", "b")]).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    assert_eq!(database.count(HITS, &[]).await, 0);
}

#[tokio::test]
async fn only_what_may_be_recorded_is() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let silent = Sample::without_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    for (name, value) in [
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Moz", "prefetch"),
        ("X-Purpose", "preview"),
        ("Sec-GPC", "1"),
        ("DNT", "1"),
    ] {
        let mut visitor = Visitor::with_agent(MAIL_PROGRAM).header(name, value);
        assert_eq!(visitor.get(&sample.pixel()).await.status, 200);
        assert_eq!(
            visitor
                .get(&sample.link(1, "https://a.example/"))
                .await
                .status,
            302
        );
    }
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    visitor.head(&sample.pixel()).await;
    visitor.head(&sample.link(1, "https://a.example/")).await;
    visitor.get(&silent.pixel()).await;
    visitor.get(&silent.link(1, "https://a.example/")).await;

    visitor.get(&sample.pixel()).await;
    visitor.get(&sample.link(2, "https://a.example/")).await;

    settle_down(&database, 2).await;
    let client = database.connect().await;
    let rows = client
        .query("SELECT kind, ordinal FROM hits ORDER BY at", &[])
        .await
        .unwrap();
    let rows: Vec<(String, i16)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [("open".into(), 0), ("click".into(), 2)]);
}

#[tokio::test]
async fn withdrawal_reaches_mail_already_sent() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    visitor.get(&sample.pixel()).await;
    settle_down(&database, 1).await;

    let client = database.connect().await;
    sample.state(&client, "open", "withdrawn").await;
    let pixel = visitor.get(&sample.pixel()).await;
    let link = visitor.get(&sample.link(1, "https://a.example/")).await;

    assert_eq!((pixel.status.as_u16(), link.status.as_u16()), (200, 302));
    // The click came later than the dropped open, and is committed: so the open never will be.
    settle_down(&database, 2).await;
    let opens = "SELECT count(*) FROM hits WHERE kind = 'open'";
    assert_eq!(database.count(opens, &[]).await, 1);
}

/// Waits until the database holds so many hits: one that was answered through the local log comes a moment later.
async fn settle_down(database: &Database, expected: i64) {
    let client = database.connect().await;
    let wait = async {
        loop {
            let found: i64 = client.query_one(HITS, &[]).await.unwrap().get(0);
            if found >= expected {
                assert_eq!(found, expected);
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(harness::log::PATIENCE, wait)
        .await
        .expect("the hits never came");
}

#[tokio::test]
async fn new_key_verifies_without_anybody_telling_the_collector() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let collector = installation.start_collector().await;
    let message = MessageId::random();

    let keys = KeyRing::rotate(&installation.keys(), Utc::now()).unwrap();
    collector.log().wait_for("the key file has changed").await;
    collector.log().wait_for("reloaded").await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    let url = tracking_url::link(&installation.url(), &keys, message, 1, "https://a.example/");
    let answer = visitor.get(&url).await;

    assert_eq!(answer.status, 302);
}

#[tokio::test]
async fn what_can_be_read_can_be_asked_for_its_head() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::new();
    let style = visitor
        .get(&format!("{}/sign-in", installation.url()))
        .await
        .text();
    let style = style
        .split('"')
        .find(|piece| piece.starts_with("/static/style.css"))
        .unwrap();

    for path in ["/sign-in", "/api/openapi.json", style] {
        let url = format!("{}{path}", installation.url());
        let head = visitor.head(&url).await;
        let get = visitor.get(&url).await;

        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(
            head.headers.get("content-type"),
            get.headers.get("content-type")
        );
    }
    let url = format!("{}/api/openapi.json", installation.url());
    assert_eq!(visitor.post_form(&url, &[("a", "b")]).await.status, 405);
}
