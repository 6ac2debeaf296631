// SPDX-License-Identifier: GPL-3.0-or-later
//! What reaches a user outside of the pages: the feed in a reader, the summary in a mailbox.

use harness::{
    database::Database, installation::Installation, python::Python, sink::Sink, web::Visitor,
};
use serde_json::{Value, json};

use crate::account::{Account, until};

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
    // Whatever a subject holds, the reader shows it: what XML has no place for is left out.
    let titles = feed["titles"].to_string();
    assert!(titles.contains("a <b> & ]]>"), "{titles}");
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

/// Reads the number before a word.
fn number_before(text: &str, word: &str) -> i64 {
    let (before, _) = text.split_once(word).unwrap();
    let number = before.rsplit(|c: char| !c.is_ascii_digit()).next();
    number.unwrap().parse().unwrap()
}

#[tokio::test]
async fn summary_comes_once_a_day_whatever_the_number_of_collectors() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let sink = Sink::start();
    let anna = Account::create(&database, "anna@example.com").await;
    let eve = Account::create(&database, "eve@example.com").await;
    anna.send(&database, 40).await;
    database
        .execute(
            "UPDATE users SET digest = 'daily', language = 'de', time_zone = 'Asia/Kolkata' WHERE login LIKE 'anna%';
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
    // Whoever has nothing new gets nothing, and the day is done for both.
    until(
        &database,
        "SELECT count(*) FROM digests WHERE day IS NOT NULL",
        2,
    )
    .await;
    let text = String::from_utf8_lossy(&delivery.message).into_owned();
    let parsed = mail_parser::MessageParser::default()
        .parse(&delivery.message)
        .unwrap();
    let plain = parsed.body_text(0).unwrap();
    let html = parsed.body_html(0).unwrap();

    assert_eq!(delivery.recipients, ["anna@example.com"]);
    assert!(sink.take().is_none(), "the summary came twice");
    assert!(text.contains("Auto-Submitted: auto-generated"));
    assert!(parsed.subject().unwrap().contains("Post"));
    for part in [&plain, &html] {
        assert!(part.contains("/settings#telling"), "{part}");
        assert!(part.contains("nicht gelesen"), "{part}");
        assert!(!part.contains("<img") && !part.contains("/l/"), "{part}");
    }
    // It tells of yesterday, as the user's clock has it: neither more nor less.
    let client = database.connect().await;
    let row = client
        .query_one(
            "WITH span AS (
                SELECT (date_trunc('day', now() AT TIME ZONE 'Asia/Kolkata') - interval '1 day') AT TIME ZONE 'Asia/Kolkata'
                    AS since, told_until AS until FROM digests WHERE user_id = $1)
             SELECT (SELECT sum(opens) FROM activity, span WHERE user_id = $1 AND hour >= since AND hour < until)::bigint,
                (SELECT sum(clicks) FROM activity, span WHERE user_id = $1 AND hour >= since AND hour < until)::bigint,
                (SELECT count(*) FROM notifications, span WHERE user_id = $1 AND at >= since AND at < until),
                (SELECT until - since BETWEEN '22 hours' AND '24 hours' FROM span)",
            &[&anna.id],
        )
        .await
        .unwrap();
    assert_eq!(number_before(&plain, "-mal Bilder"), row.get::<_, i64>(0));
    assert_eq!(number_before(&plain, "-mal Links"), row.get::<_, i64>(1));
    assert_eq!(
        plain.lines().filter(|line| line.starts_with("* ")).count(),
        usize::try_from(row.get::<_, i64>(2)).unwrap()
    );
    assert!(row.get::<_, bool>(3));
    let done = database
        .count(
            "SELECT count(*) FROM digests WHERE user_id = $1",
            &[&eve.id],
        )
        .await;
    assert_eq!(done, 1);
}

/// A summary that the server will never take is given up for the day; one that it may take later is put off. Neither
/// keeps another waiting, and a collector that died over one is not waited for either.
#[tokio::test]
async fn summary_that_cannot_be_mailed_holds_up_no_other() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let sink = Sink::start();
    for login in ["anna", "busy", "dead", "gone", "zoe"] {
        let account = Account::create(&database, &format!("{login}@example.com")).await;
        account.send(&database, 12).await;
    }
    sink.refuse("gone@example.com");
    // One that another collector is at, one whose collector died.
    database
        .execute(
            "UPDATE users SET digest = 'daily';
             INSERT INTO digests (controller_id, user_id, next_at)
             SELECT controller_id, id, now() + CASE WHEN login LIKE 'busy%' THEN interval '5 minutes' ELSE '-1 second' END
             FROM users WHERE login SIMILAR TO '(busy|dead)%'",
        )
        .await;
    let installation = Installation::on(&database)
        .mail_through(sink.port())
        .set("mail.digest_hour", 0)
        .write();
    let _collector = installation.start_collector().await;

    let mut told = Vec::new();
    for _ in 0..3 {
        told.extend(sink.next().await.recipients);
    }
    told.sort();
    until(
        &database,
        "SELECT count(*) FROM digests WHERE day IS NOT NULL",
        4,
    )
    .await;

    assert_eq!(
        told,
        ["anna@example.com", "dead@example.com", "zoe@example.com"]
    );
    let of = |login: &str, what: &str| {
        format!(
            "SELECT count(*) FROM digests JOIN users ON id = user_id WHERE login LIKE '{login}%' AND {what}"
        )
    };
    // What was given up is told tomorrow.
    let given_up = of("gone", "told_until IS NULL AND next_at IS NULL");
    assert_eq!(database.count(&given_up, &[]).await, 1);
    assert_eq!(database.count(&of("busy", "day IS NULL"), &[]).await, 1);
    assert!(sink.take().is_none());
}

#[tokio::test]
async fn summary_is_put_off_while_no_server_takes_mail_and_nothing_of_it_is_lost() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 40).await;
    database
        .execute(
            "UPDATE users SET digest = 'daily';
             INSERT INTO digests (controller_id, user_id, day, told_until)
             SELECT controller_id, id, current_date - 4, now() - interval '4 days' FROM users",
        )
        .await;
    let sink = Sink::start();
    let settings = |port| {
        Installation::on(&database)
            .mail_through(port)
            .set("mail.digest_hour", 0)
            .write()
    };
    // A port on which nobody listens.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = settings(nobody.local_addr().unwrap().port());
    drop(nobody);
    let first = silent.start_collector().await;
    let put_off = "SELECT count(*) FROM digests WHERE failures = 1 AND next_at > now() + interval '3 minutes'";
    until(&database, put_off, 1).await;
    drop(first);
    database.execute("UPDATE digests SET next_at = now()").await;

    let second = settings(sink.port());
    let _collector = second.start_collector().await;
    let delivery = sink.next().await;
    until(
        &database,
        "SELECT count(*) FROM digests WHERE failures = 0",
        1,
    )
    .await;

    let text = String::from_utf8_lossy(&delivery.message).into_owned();
    let parsed = mail_parser::MessageParser::default()
        .parse(&delivery.message)
        .unwrap();
    let plain = parsed.body_text(0).unwrap();
    let opens = database
        .count(
            "SELECT sum(opens)::bigint FROM activity, digests
             WHERE hour >= now() - interval '4 days' AND hour < told_until",
            &[],
        )
        .await;
    assert_eq!(
        number_before(&plain, " times and followed"),
        opens,
        "{text}"
    );
}

fn url_in(page: &str) -> String {
    let (_, rest) = page.split_once("/feed.atom?key=").unwrap();
    let (key, _) = rest.split_once('<').unwrap();
    let (before, _) = page.split_once("/feed.atom?key=").unwrap();
    let (_, host) = before.rsplit_once("http://").unwrap();
    format!("http://{host}/feed.atom?key={key}")
}
