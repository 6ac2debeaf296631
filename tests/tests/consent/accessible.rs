// SPDX-License-Identifier: GPL-3.0-or-later
//! Whoever cannot see well, or uses no mouse, can decide as well: axe-core looks at every recipient page, in four
//! languages, light and dark.

use fantoccini::Locator;
use harness::{axe::Axe, browser::Browser, log::PATIENCE};

use crate::place::Place;

/// Looks at the page as it stands, light and dark.
async fn look(axe: &Axe, browser: &Browser, page: &str) {
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        axe.check(browser, &format!("{page}, {scheme}")).await;
    }
}

async fn press(browser: &Browser, selector: &str) {
    let client = browser.client();
    client
        .find(Locator::Css(selector))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
}

/// C54: no page of the recipient's breaks a rule of WCAG 2.2 A or AA that can be checked by a program.
#[tokio::test]
async fn every_recipient_page_is_accessible() {
    harness::needs!(PostgreSql, Chromium);
    let Some(axe) = Axe::get() else { return };
    let place = Place::open().await;
    let browser = Browser::start().await;
    browser.resize(360, 740).await;
    let (sample, _) = place.message().await;
    let (shared, _) = place.message().await;
    place.add_recipient(&shared).await;

    for language in ["en", "pl", "de", "fr"] {
        let query = format!("?lang={language}");
        let one = format!("{}{query}", place.choices(sample.message));
        let several = format!("{}{query}", place.choices(shared.message));
        for (page, url) in [
            ("a message's page", one.as_str()),
            ("the page of a message to several", &several),
            ("the notice", &place.url(&format!("/privacy{query}"))),
            ("an invalid link", &place.url(&format!("/c/x{query}"))),
        ] {
            browser.open(url).await;
            look(&axe, &browser, &format!("{page}, {language}")).await;
        }

        browser.open(&one).await;
        press(&browser, "button[value=choose]").await;
        look(&axe, &browser, &format!("an open question, {language}")).await;
        browser.open(&several).await;
        press(&browser, "button[value=stop-message]").await;
        look(&axe, &browser, &format!("what was done, {language}")).await;

        let link = place
            .link_for(&format!("ewa-{language}@elsewhere.example"))
            .await;
        let link = format!("{}{query}", link.split('?').next().unwrap());
        browser.open(&link).await;
        look(&axe, &browser, &format!("the owner's page, {language}")).await;
        press(&browser, "#open-allow").await;
        press(&browser, "#click-refuse").await;
        press(&browser, "button[value=choose]").await;
        place.mail.next().await;
        look(&axe, &browser, &format!("the owner's choice, {language}")).await;
        press(&browser, "button[value=see]").await;
        look(&axe, &browser, &format!("the owner's data, {language}")).await;
        press(&browser, "#confirm").await;
        press(&browser, "button[value=erase]").await;
        look(&axe, &browser, &format!("an erasure, {language}")).await;
        browser.open(&link).await;
        look(&axe, &browser, &format!("a used link, {language}")).await;
    }
    browser.close().await;
}

/// C47, C49: everything can be reached and done from the keyboard, one button stops everything, and no script is needed.
#[tokio::test]
async fn one_key_press_stops_everything_without_script_and_mouse() {
    harness::needs!(PostgreSql, Chromium);
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    let browser = Browser::start().await;
    let off = serde_json::json!({"value": true});
    browser
        .devtools("Emulation.setScriptExecutionDisabled", off)
        .await;

    browser.open(&place.choices(sample.message)).await;
    let button = Locator::Css("button[value=stop]");
    let button = browser.client().find(button).await.unwrap();
    button.send_keys("\u{e007}").await.unwrap();
    // Without scripts the browser does not tell when the next page is there.
    let said = browser
        .client()
        .wait()
        .at_most(PATIENCE)
        .for_element(Locator::Css("[role=status]"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();

    assert!(
        said.contains("The recording") || said.contains("Recording has been stopped"),
        "{said}"
    );
    assert_eq!(place.states().await.len(), 4);
    browser.close().await;
}
