// SPDX-License-Identifier: GPL-3.0-or-later
//! The whole way through the pages in a real browser: by keyboard alone, on a phone, without scripts; and every page, in
//! every language and both themes, before axe-core.

use std::time::{Duration, Instant};

use fantoccini::{Locator, elements::Element, key::Key};
use harness::{
    axe::Axe, browser::Browser, database::Database, installation::Installation, log::PATIENCE,
};
use serde_json::{Value, json};

use crate::account::Account;

/// How somebody gets through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Manner {
    Keyboard,
    Phone,
    WithoutScript,
}

struct Visit {
    browser: Browser,
    manner: Manner,
}

impl Visit {
    /// Activates what a selector finds.
    async fn press(&self, selector: &str) {
        let element = self.find(selector).await;
        match self.manner {
            Manner::Keyboard => {
                self.reach(&element).await;
                let is_box = selector.contains("checkbox") || selector.starts_with("summary");
                let key = if is_box {
                    " ".to_owned()
                } else {
                    char::from(Key::Enter).to_string()
                };
                element.send_keys(&key).await.unwrap();
            }
            Manner::Phone | Manner::WithoutScript => element.click().await.unwrap(),
        }
    }

    async fn find(&self, selector: &str) -> Element {
        let wait = self.browser.client().wait().at_most(PATIENCE);
        wait.for_element(Locator::Css(selector))
            .await
            .unwrap_or_else(|error| panic!("{:?}: no {selector}: {error}", self.manner))
    }

    /// Writes into what a selector finds.
    async fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        if self.manner == Manner::Keyboard {
            self.reach(&element).await;
        }
        element.send_keys(text).await.unwrap();
    }

    /// Goes on with Tab until the element has the focus, and sees that the focus can be seen.
    async fn reach(&self, wanted: &Element) {
        let client = self.browser.client();
        for _ in 0..200 {
            let focused = client.active_element().await.unwrap();
            if focused.element_id() == wanted.element_id() {
                let style = "const s = getComputedStyle(document.activeElement);
                    return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== 'none'";
                let seen = client.execute(style, Vec::new()).await.unwrap();
                assert_eq!(seen, json!(true), "the focus cannot be seen");
                return;
            }
            focused
                .send_keys(&char::from(Key::Tab).to_string())
                .await
                .unwrap();
        }
        panic!("Tab never leads to {}", wanted.html(false).await.unwrap());
    }

    /// Waits until the page has this text: without scripts the browser does not tell when a page is there.
    async fn sees(&self, text: &str) {
        until(text, async || self.browser.text().await.contains(text)).await;
    }

    /// Waits until the page is at a place.
    async fn arrives(&self, place: &str) {
        until(place, async || self.path().await.contains(place)).await;
    }

    async fn path(&self) -> String {
        let url = self.browser.client().current_url().await.unwrap();
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }
}

/// Report, filter, search, message, mute, notifications, contacts, settings, feed, webhooks, sign-out.
async fn walk(manner: Manner) {
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 40).await;
    let browser = Browser::start().await;
    let base = installation.url();
    anna.enter(&browser, &base).await;
    if manner == Manner::Phone {
        browser.resize(360, 740).await;
    }
    if manner == Manner::WithoutScript {
        let off = json!({"value": true});
        browser
            .devtools("Emulation.setScriptExecutionDisabled", off)
            .await;
    }
    let visit = Visit { browser, manner };

    let counts = async |query: &str, expected: i64| {
        until(query, async || database.count(query, &[]).await == expected).await;
    };

    visit.browser.open(&format!("{base}/")).await;
    visit.press("a[href='/?state=clicked']").await;
    visit.arrives("/?state=clicked").await;
    visit.write("input[name=q]", "stairwell").await;
    visit.press("form.search button").await;
    visit.arrives("q=stairwell").await;
    visit.press(".messages a").await;
    visit.arrives("/messages/").await;
    visit.sees("customer").await;
    visit.press("form[action$='/mute'] button").await;
    counts("SELECT count(*) FROM messages WHERE muted", 1).await;

    visit.press("a[data-bell]").await;
    visit.arrives("/notifications").await;
    visit
        .press("form[action='/notifications/read'] button")
        .await;
    counts(
        "SELECT count(*) FROM notifications WHERE read_at IS NULL",
        0,
    )
    .await;

    visit.press("a[href='/contacts']").await;
    visit.arrives("/contacts").await;
    visit.write("#ask-recipient", "new@client.test").await;
    visit.press("input[type=checkbox]#ask-opens").await;
    visit.press("form[action='/contacts/ask'] button").await;
    // The exact mail is shown; nothing was sent.
    visit.find(".letter").await;

    visit.press("a[href='/settings']").await;
    visit.arrives("/settings").await;
    visit.press("input[type=checkbox][name=digest]").await;
    visit
        .press("form[action='/settings'] button:not([type=button])")
        .await;
    counts("SELECT count(*) FROM users WHERE digest = 'daily'", 1).await;
    visit.arrives("saved").await;
    visit.press("form[action='/settings/feed'] button").await;
    visit.sees("/feed.atom?key=").await;
    visit.press("a[href='/settings/webhooks']").await;
    visit.arrives("/settings/webhooks").await;
    visit.write("#url", "https://hooks.example/x").await;
    visit
        .press("form[action='/settings/webhooks'] button")
        .await;
    visit.sees("whsec_").await;
    visit.press("form[action$='/delete'] button").await;
    counts("SELECT count(*) FROM webhooks", 0).await;

    visit.press("a[href='/settings']").await;
    visit.sees("anna@example.com").await;
    visit.press("form[action='/sign-out'] button").await;
    counts("SELECT count(*) FROM sessions", 0).await;
    visit.arrives("/sign-in").await;
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "it never came to be: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn all_can_be_done_by_keyboard() {
    harness::needs!(PostgreSql, Chromium);
    walk(Manner::Keyboard).await;
}

#[tokio::test]
async fn all_can_be_done_on_a_phone() {
    harness::needs!(PostgreSql, Chromium);
    walk(Manner::Phone).await;
}

#[tokio::test]
async fn all_can_be_done_without_scripts() {
    harness::needs!(PostgreSql, Chromium);
    walk(Manner::WithoutScript).await;
}

/// Pages that come in answer to a form.
const ADMIN_LOOK: &str = "/admin/look";
const ASK_PREVIEW: &str = "/contacts/ask";

/// Opens a page, by its form if it has one.
async fn show(browser: &Browser, base: &str, path: &str) {
    let (form, fields, expected) = match path {
        ADMIN_LOOK => (
            "/admin",
            vec![("#look-login", "anna@example.com"), ("#reason", "ticket 7")],
            "a[href='/admin']",
        ),
        ASK_PREVIEW => (
            "/contacts",
            vec![("#ask-recipient", "new@client.test"), ("#ask-opens", "")],
            ".letter",
        ),
        plain => return browser.open(&format!("{base}{plain}")).await,
    };
    let client = browser.client();
    browser.open(&format!("{base}{form}")).await;
    for (selector, text) in fields {
        let field = client.find(Locator::Css(selector)).await.unwrap();
        if text.is_empty() {
            field.click().await.unwrap();
        } else {
            field.send_keys(text).await.unwrap();
        }
    }
    let button = format!("form[action='{path}'] button");
    client
        .find(Locator::Css(&button))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    let wait = client.wait().at_most(PATIENCE);
    wait.for_element(Locator::Css(expected)).await.unwrap();
}

#[tokio::test]
async fn pages_are_accessible_in_every_language_and_theme() {
    harness::needs!(PostgreSql, Chromium);
    let Some(axe) = Axe::get() else { return };
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("collector.administrators", vec!["anna@example.com"])
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 40).await;
    anna.fill(&installation.url()).await;
    let base = installation.url();
    let message = anna.newest_message(&database).await;
    let webhooks = anna
        .program()
        .get(&format!("{base}/api/v1/webhooks"))
        .await
        .json();
    let webhook = webhooks
        .pointer("/webhooks/0/id")
        .and_then(Value::as_str)
        .unwrap();
    let browser = Browser::start().await;
    let paths = [
        "/sign-in".to_owned(),
        "/".into(),
        "/?state=untracked".into(),
        "/?q=nothing-of-the-kind".into(),
        format!("/messages/{message}"),
        "/notifications".into(),
        "/contacts".into(),
        "/settings".into(),
        "/settings/webhooks".into(),
        format!("/settings/webhooks/{webhook}"),
        "/admin".into(),
        ADMIN_LOOK.into(),
        ASK_PREVIEW.into(),
        "/nothing".into(),
    ];

    for language in ["en", "pl", "de", "fr"] {
        database
            .execute(&format!("UPDATE users SET language = '{language}'"))
            .await;
        for path in &paths {
            if path == "/sign-in" {
                browser
                    .devtools("Network.clearBrowserCookies", json!({}))
                    .await;
            } else {
                anna.enter(&browser, &base).await;
            }
            show(&browser, &base, path).await;
            browser.resize(360, 740).await;
            fits(&browser, &format!("{path} ({language})")).await;
            for theme in ["light", "dark"] {
                browser.prefer(theme).await;
                let page = format!("{path} ({language}, {theme})");
                axe.check(&browser, &page).await;
                let name = path
                    .trim_start_matches(['/', '?'])
                    .replace(['/', '?', '='], "-");
                let name = name
                    .replace(&message.to_string(), "one")
                    .replace(webhook, "one");
                let name = if name.is_empty() {
                    "report".into()
                } else {
                    name
                };
                browser.resize(1280, 900).await;
                browser
                    .screenshot(&format!("{name}-desk-{theme}-{language}"))
                    .await;
            }
        }
    }
}

/// Sees that a page shows what it has to say, and goes in no direction but down.
async fn fits(browser: &Browser, page: &str) {
    let script = "const main = document.querySelector('main').innerText.trim().length;
        const over = [...document.querySelectorAll('main *')]
            .filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > innerWidth + 1);
        return [main, document.scrollingElement.scrollWidth - innerWidth, over.map(e => e.outerHTML.slice(0, 80))]";
    let seen = browser.client().execute(script, Vec::new()).await.unwrap();
    let (text, sideways, over) = (&seen[0], &seen[1], &seen[2]);
    assert!(text.as_i64() > Some(20), "{page} shows nothing: {seen}");
    assert!(sideways.as_i64() <= Some(0), "{page} is too wide: {over}");
}
