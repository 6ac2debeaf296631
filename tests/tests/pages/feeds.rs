// SPDX-License-Identifier: GPL-3.0-or-later
//! What reaches a user outside of the pages: the feed in a reader, the summary in a mailbox.

use std::time::Duration;

use harness::{
    database::Database, installation::Installation, python::Python, sink::Sink, web::Visitor,
};
use serde_json::{Value, json};

use crate::account::Account;

#[tokio::test(flavor = "multi_thread")]
async fn feed_is_read_by_a_feed_reader_until_its_key_is_revoked() {
    harness::needs!(PostgreSql);
    let Some(python) = Python::find() else { return };
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 12).await;
    database
        .execute("UPDATE messages SET subject = E'a <b> & ]]> \\x0b \\x1b c' WHERE queue_id = 'Q0'")
        .await;
    let base = installation.url();
    let csrf = Account::csrf();
    let form = [("csrf", csrf.as_str())];

    let page = anna
        .browser()
        .post_form(&format!("{base}/settings/feed"), &form)
        .await;
    let url = url_in(&page.text());
    let read = python.script(
        "import sys, json, feedparser
feed = feedparser.parse(sys.argv[1])
print(json.dumps({'bozo': bool(feed.bozo), 'version': feed.version, 'title': feed.feed.title,
    'ids': [entry.id for entry in feed.entries], 'titles': [entry.title for entry in feed.entries],
    'links': [entry.link for entry in feed.entries], 'times': [entry.updated for entry in feed.entries]}))",
        &[&url],
    );
    let feed: Value = serde_json::from_str(&read).unwrap();

    assert_eq!(
        (&feed["bozo"], &feed["version"]),
        (&json!(false), &json!("atom10")),
        "{feed}"
    );
    let ids = feed["ids"].as_array().unwrap();
    assert!(ids.len() > 3);
    assert_eq!(
        ids.len(),
        ids.iter().collect::<std::collections::HashSet<_>>().len()
    );
    assert!(
        feed["titles"].to_string().contains("stairwell")
            || feed["titles"].to_string().contains("a <b> &")
    );
    assert!(
        feed["links"][0]
            .as_str()
            .unwrap()
            .starts_with(&format!("{base}/messages/"))
    );

    let first = Visitor::new().get(&url).await;
    let tag = first.header("etag").unwrap();
    let second = { Visitor::new().header("If-None-Match", tag) }
        .get(&url)
        .await;
    assert_eq!((second.status.as_u16(), second.body.len()), (304, 0));

    // A key opens the feed and nothing else; a new one takes its place; a revoked one opens nothing.
    let key = url.split_once("key=").unwrap().1;
    let mut stranger = Visitor::new().header("Authorization", &format!("Bearer {key}"));
    assert_eq!(stranger.get(&format!("{base}/api/v1/me")).await.status, 401);
    let page = anna
        .browser()
        .post_form(&format!("{base}/settings/feed"), &form)
        .await;
    let newer = url_in(&page.text());
    assert_eq!(Visitor::new().get(&url).await.status, 404);
    assert_eq!(Visitor::new().get(&newer).await.status, 200);
    anna.browser()
        .post_form(&format!("{base}/settings/feed/revoke"), &form)
        .await;
    assert_eq!(Visitor::new().get(&newer).await.status, 404);
    assert_eq!(
        Visitor::new()
            .get(&format!("{base}/feed.atom"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn summary_comes_once_a_day_whatever_the_number_of_collectors() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let sink = Sink::start();
    let anna = Account::create(&database, "anna@example.com").await;
    let eve = Account::create(&database, "eve@example.com").await;
    anna.send(&database, 12).await;
    database
        .execute(
            "UPDATE users SET digest = 'daily', language = 'de', time_zone = 'Asia/Tokyo' WHERE login LIKE 'anna%';
             UPDATE users SET digest = 'daily' WHERE login LIKE 'eve%'",
        )
        .await;
    let settings = |builder: harness::installation::Builder| {
        builder
            .mail_through(sink.port())
            .set("mail.digest_hour", 0)
            .write()
    };
    let (one, other) = (
        settings(Installation::on(&database)),
        settings(Installation::on(&database)),
    );
    let _collectors = (one.start_collector().await, other.start_collector().await);

    let delivery = sink.next().await;
    let second = sink.next_within(Duration::from_secs(2)).await;
    let text = String::from_utf8_lossy(&delivery.message).into_owned();
    let parsed = mail_parser::MessageParser::default()
        .parse(&delivery.message)
        .unwrap();
    let plain = parsed.body_text(0).unwrap();
    let html = parsed.body_html(0).unwrap();

    assert_eq!(delivery.recipients, ["anna@example.com"]);
    assert!(
        second.is_none(),
        "the summary came twice, or with nothing to say"
    );
    assert!(text.contains("Auto-Submitted: auto-generated"));
    assert!(parsed.subject().unwrap().contains("gestern"));
    for part in [&plain, &html] {
        assert!(
            part.contains("stairwell") || part.contains("jaźń"),
            "{part}"
        );
        assert!(part.contains("/settings#telling"), "{part}");
        assert!(part.contains("nicht gelesen"), "{part}");
        assert!(!part.contains("<img") && !part.contains("/l/"), "{part}");
    }
    // Whoever has nothing new gets nothing, and the day is done for both.
    let days = "SELECT count(*) FROM digests";
    assert_eq!(database.count(days, &[]).await, 2);
    assert_ne!(anna.id, eve.id);
}

fn url_in(page: &str) -> String {
    let (_, rest) = page.split_once("/feed.atom?key=").unwrap();
    let (key, _) = rest.split_once('<').unwrap();
    let (before, _) = page.split_once("/feed.atom?key=").unwrap();
    let (_, host) = before.rsplit_once("http://").unwrap();
    format!("http://{host}/feed.atom?key={key}")
}
