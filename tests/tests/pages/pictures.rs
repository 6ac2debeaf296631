// SPDX-License-Identifier: GPL-3.0-or-later
//! Pictures of every page, for people to look at: phone and desk, light and dark.

use harness::{browser::Browser, database::Database, installation::Installation};
use serde_json::json;

use crate::account::Account;

#[tokio::test]
async fn pages_are_pictured() {
    harness::needs!(PostgreSql, Chromium);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 70).await;
    let message = anna.newest_message(&database).await;
    let browser = Browser::start().await;
    let base = installation.url();
    let pages = [
        ("sign-in", format!("{base}/sign-in")),
        ("report", format!("{base}/")),
        ("message", format!("{base}/messages/{message}")),
        ("notifications", format!("{base}/notifications")),
        ("contacts", format!("{base}/contacts")),
        ("settings", format!("{base}/settings")),
        ("not-found", format!("{base}/nothing")),
    ];
    for (place, (name, url)) in pages.iter().enumerate() {
        if place == 1 {
            anna.enter(&browser, &base).await;
        }
        browser.open(url).await;
        for (size, width, height) in [("phone", 360, 740), ("desk", 1280, 900)] {
            browser.resize(width, height).await;
            for scheme in ["light", "dark"] {
                let media = json!({"features": [
                    {"name": "prefers-color-scheme", "value": scheme},
                    {"name": "prefers-reduced-motion", "value": "reduce"}
                ]});
                browser.devtools("Emulation.setEmulatedMedia", media).await;

                browser.screenshot(&format!("{name}-{size}-{scheme}")).await;

                let script = "return document.documentElement.scrollWidth - window.innerWidth";
                let overflow = browser.client().execute(script, Vec::new()).await.unwrap();
                assert!(
                    overflow.as_i64().unwrap() <= 0,
                    "{name} is too wide on a {size}"
                );
            }
        }
    }
}
