// SPDX-License-Identifier: GPL-3.0-or-later
//! From the recipient's click to the bell of an open page, across two collectors.

use std::time::{Duration, Instant};

use harness::{
    browser::Browser, database::Database, installation::Installation, log::PATIENCE,
    samples::Sample, web::Visitor,
};

use crate::account::Account;

#[tokio::test]
async fn click_rings_the_bell_of_another_collectors_page_at_once() {
    harness::needs!(PostgreSql, Chromium);
    let database = Database::start().await;
    let settings =
        |builder: harness::installation::Builder| builder.set("classify.settle", "300ms").write();
    let clicked = settings(Installation::on(&database));
    let shown = settings(Installation::on(&database));
    std::fs::copy(clicked.keys(), shown.keys()).unwrap();
    let sample = Sample::with_consent(&clicked, &database).await;
    let anna = Account::of(&database, sample.user).await;
    let _collectors = (
        clicked.start_collector().await,
        shown.start_collector().await,
    );
    let browser = Browser::start().await;
    anna.enter(&browser, &shown.url()).await;
    browser.open(&format!("{}/", shown.url())).await;
    let client = database.connect().await;

    let link = sample.link(1, "https://a.example/");
    let answer = Visitor::with_agent(BROWSER)
        .header("Accept-Language", "pl")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-User", "?1")
        .get(&link)
        .await;
    let settled = until("told", async || {
        let told = client
            .query_one("SELECT count(*) FROM notifications", &[])
            .await;
        told.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    let rung = until("rung", async || {
        let script = "return document.querySelector('[data-unread]').textContent.trim() === '1'
            && document.querySelector('[role=status]')?.textContent.length > 0";
        let seen = browser.client().execute(script, Vec::new()).await.unwrap();
        seen.as_bool().unwrap_or_default()
    })
    .await;

    assert_eq!(answer.status, 302);
    let took = rung.duration_since(settled);
    assert!(
        took < Duration::from_secs(2),
        "the bell rang after {took:?}"
    );
}

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Waits until something is so, and returns when it was.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Instant {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "never {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Instant::now()
}
