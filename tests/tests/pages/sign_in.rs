// SPDX-License-Identifier: GPL-3.0-or-later
//! Signing in by a mailed link, and staying signed in.

use std::time::Duration;

use harness::{
    database::Database,
    installation::Installation,
    sink::{Delivery, Sink},
    web::{Answer, Visitor},
};

use crate::account::Account;

const ANNA: &str = "anna@example.com";

/// Returns the link in a mail.
fn link(delivery: &Delivery) -> String {
    let body = String::from_utf8_lossy(delivery.body()).replace("=\r\n", "");
    let (_, rest) = body.split_once("http://").expect("no link in the mail");
    format!("http://{}", rest.split_whitespace().next().unwrap())
}

async fn ask(visitor: &mut Visitor, base: &str, address: &str) -> Answer {
    let fields = [("address", address), ("next", "")];
    visitor.post_form(&format!("{base}/sign-in"), &fields).await
}

#[tokio::test]
async fn mailed_link_signs_in_once() {
    harness::needs!(PostgreSql);
    let (database, sink) = (Database::start().await, Sink::start());
    let installation = Installation::on(&database)
        .mail_through(sink.port())
        .write();
    let _collector = installation.start_collector().await;
    let base = installation.url();
    let mut browser = Visitor::new();

    let sent = ask(&mut browser, &base, "Anna@Example.com").await;
    let mail = sink.next().await;
    let url = link(&mail);
    for _look in 0..2 {
        let page = browser.get(&url).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("<form method=\"post\""));
    }
    let entered = browser.post_form(&url, &[]).await;
    let report = browser.get(&format!("{base}/")).await;
    let mut thief = Visitor::new();
    let again = thief.post_form(&url, &[]).await;

    assert_eq!(sent.location().unwrap().path(), "/sign-in");
    assert_eq!(mail.recipients, [ANNA]);
    assert_eq!(
        mail.field("Auto-Submitted").as_deref(),
        Some("auto-generated")
    );
    assert_eq!(entered.status, 303);
    let cookie = entered.header("set-cookie").unwrap();
    for needed in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(needed), "{cookie}");
    }
    assert_eq!(report.status, 200);
    assert_eq!(again.status, 200);
    assert!(!thief.has_cookies());
    assert!(thief.get(&format!("{base}/")).await.status.is_redirection());
}

#[tokio::test]
async fn expired_link_does_not_sign_in() {
    harness::needs!(PostgreSql);
    let (database, sink) = (Database::start().await, Sink::start());
    let installation = Installation::on(&database)
        .mail_through(sink.port())
        .write();
    let _collector = installation.start_collector().await;
    let mut browser = Visitor::new();
    ask(&mut browser, &installation.url(), ANNA).await;
    let url = link(&sink.next().await);

    database
        .execute("UPDATE sign_in_links SET expires_at = now() - interval '1 second'")
        .await;
    let entered = browser.post_form(&url, &[]).await;

    assert_eq!(entered.status, 200);
    assert!(!browser.has_cookies());
}

#[tokio::test]
async fn answer_is_the_same_for_every_address() {
    harness::needs!(PostgreSql);
    let (database, sink) = (Database::start().await, Sink::start());
    let installation = Installation::on(&database)
        .set("milter.users", "listed")
        .mail_through(sink.port())
        .write();
    let _collector = installation.start_collector().await;
    Account::create(&database, ANNA).await;
    Account::create(&database, "off@example.com").await;
    database
        .execute("UPDATE users SET enabled = false WHERE login = 'off@example.com'")
        .await;
    let base = installation.url();

    let mut answers = Vec::new();
    for address in [
        "nobody@example.com",
        "off@example.com",
        "anna@elsewhere.example",
        "not an address",
        ANNA,
    ] {
        let answer = ask(&mut Visitor::new(), &base, address).await;
        answers.push((answer.status, answer.location(), answer.body));
    }

    assert!(answers.windows(2).all(|two| two[0] == two[1]));
    assert_eq!(sink.next().await.recipients, [ANNA]);
    assert!(sink.next_within(Duration::from_millis(300)).await.is_none());
}

#[tokio::test]
async fn one_address_is_not_mailed_without_end() {
    harness::needs!(PostgreSql);
    let (database, sink) = (Database::start().await, Sink::start());
    let installation = Installation::on(&database)
        .mail_through(sink.port())
        .write();
    let collector = installation.start_collector().await;
    let base = installation.url();

    for _request in 0..3 {
        ask(&mut Visitor::new(), &base, ANNA).await;
        sink.next().await;
    }
    ask(&mut Visitor::new(), &base, ANNA).await;
    collector.log().wait_for("too many of late").await;

    assert!(sink.take().is_none());
}

#[tokio::test]
async fn signing_out_ends_the_session_everywhere_if_wanted() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let base = installation.url();
    let anna = Account::create(&database, ANNA).await;
    let csrf = Account::csrf();

    let url = format!("{base}/sign-out/everywhere");
    let refused = anna.browser().post_form(&url, &[]).await;
    let left = anna.browser().post_form(&url, &[("csrf", &csrf)]).await;
    let after = anna.browser().get(&format!("{base}/")).await;

    assert_eq!(refused.status, 403);
    assert_eq!(left.status, 303);
    assert_eq!(after.location().unwrap().path(), "/sign-in");
}

#[tokio::test]
async fn idle_and_expired_sessions_are_over() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let url = format!("{}/", installation.url());
    let anna = Account::create(&database, ANNA).await;

    for change in [
        "seen_at = now() - interval '8 days'",
        "expires_at = now() - interval '1 second'",
    ] {
        database
            .execute("UPDATE sessions SET seen_at = now(), expires_at = now() + interval '1 day'")
            .await;
        assert_eq!(anna.browser().get(&url).await.status, 200);
        database
            .execute(&format!("UPDATE sessions SET {change}"))
            .await;
        assert_eq!(anna.browser().get(&url).await.status, 303, "{change}");
    }
}

#[tokio::test]
async fn portal_is_believed_from_trusted_proxies_only() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    for (proxies, expected) in [("127.0.0.1/32", 200), ("192.0.2.0/24", 303)] {
        let installation = Installation::on(&database)
            .set("collector.sign_in", "header:X-Forwarded-User")
            .set(
                "collector.trusted_proxies",
                toml::Value::Array(vec![proxies.into()]),
            )
            .write();
        let _collector = installation.start_collector().await;
        let url = format!("{}/", installation.url());
        let said = |login| Visitor::new().header("X-Forwarded-User", login);

        assert_eq!(said(ANNA).get(&url).await.status, expected);
        assert_eq!(said("eve@elsewhere.example").get(&url).await.status, 303);
        let twice = said(ANNA).header("X-Forwarded-User", "bob@example.com");
        assert_eq!({ twice }.get(&url).await.status, 303);
        assert_eq!(Visitor::new().get(&url).await.status, 303);
    }
}
