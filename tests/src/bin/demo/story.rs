// SPDX-License-Identifier: GPL-3.0-or-later
//! What happens, in order.

use std::{fmt::Write, time::Duration};

use harness::{
    artefacts::Artefacts,
    database::Database,
    dkim::Signature,
    installation::Program,
    log::PATIENCE,
    sink::Delivery,
    site::{ALICE, BOB, Site},
    web::Visitor,
};
use sha2::{Digest, Sha256};

use crate::{
    console::Console,
    people::{Alice, Bob, mail_for},
    shop::{GREETING, Shop},
};

/// Tells the story, and ends; or, if somebody watches, waits for Ctrl-C first.
pub(crate) async fn tell(is_watched: bool) {
    let mut story = Story::begin().await;
    story.switch_on().await;
    story.write_without_consent().await;
    story.consent().await;
    let ours = story.write_with_consent().await;
    story.open_and_follow(&ours).await;
    story.look_at_report().await;
    story.withdraw(&ours).await;
    story.sign_in().await;

    if is_watched {
        println!("\nRunning until Ctrl-C.");
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Everybody and everything that takes part; ends in this order.
struct Story {
    console: Console,
    alice: Alice,
    bob: Bob,
    shop: Shop,
    _milter: Program,
    _collector: Program,
    site: Site,
}

impl Story {
    async fn begin() -> Self {
        let mut console = Console::start();
        console.step("Servers, on loopback ports and in temporary folders");
        let site = Site::with(Database::start_alone().await, |builder| {
            // So that nobody waits: a verdict settles after a second instead of a minute.
            builder
                .set("classify.settle", "1s")
                .set("classify.instant", "0s")
                .set("classify.proxy_instant", "0s")
        })
        .await;
        let milter = site.installation.start_milter().await;
        let collector = site.installation.start_collector().await;
        console.tell("PostgreSQL: a cluster of its own");
        console.tell(&format!(
            "Postfix: submission with SASL on port {}; milters: ours, then OpenDKIM",
            site.postfix.submission_port()
        ));
        console.tell(&format!("collector: {}", site.installation.url()));
        console.check(true, "all are running");
        Self {
            console,
            alice: Alice::arrive(&site).await,
            bob: Bob::arrive().await,
            shop: Shop::open().await,
            _milter: milter,
            _collector: collector,
            site,
        }
    }

    async fn switch_on(&mut self) {
        self.console
            .step("Alice switches tracking on for herself: opens, links, and a notice of clicks");
        let before = self.alice.settings().await;
        let after = self.alice.switch_on().await;
        self.console.check(
            before["opens"] == false && before["links"] == false,
            "until then both were off",
        );
        self.console
            .check(after["opens"] == true && after["links"] == true, "saved");
    }

    async fn write_without_consent(&mut self) {
        self.console
            .step("She writes to Bob, who has not been asked");
        let subject = "Without consent";
        let sent = self.alice.write_to_bob(subject, &self.shop.offer()).await;
        let came = mail_for(BOB, &self.site).await;
        let (before, after) = (digest(&sent), digest(&came.without_trace_and_signature()));
        self.console
            .tell(&format!("SHA-256 of what she sent  {before}"));
        self.console
            .tell(&format!("SHA-256 of what Bob got   {after}"));
        self.console.check(before == after, "byte-identical");
        self.check_signature(&came);
        let report = self
            .alice
            .wait_for_report(subject, |report| report.is_object())
            .await;
        self.console.check(
            report["reason"] == "untracked",
            "her report says \"untracked\", and no more than that",
        );
    }

    async fn consent(&mut self) {
        self.console
            .step("Bob asks for a link to his page, gets it by mail, and allows both");
        let link = self.bob.ask_for_link(&self.site).await;
        self.bob.allow(&link).await;
        let granted =
            "SELECT count(*) FROM consent_events WHERE state = 'granted' AND author = 'recipient'";
        let granted = self.site.database.count(granted, &[]).await;
        self.console.check(
            granted == 2,
            "two consents are recorded, his own: for opens, for clicks",
        );
    }

    async fn write_with_consent(&mut self) -> Artefacts {
        self.console.step("She writes to Bob again");
        let subject = "With consent";
        self.alice.write_to_bob(subject, &self.shop.offer()).await;
        let came = mail_for_with_subject(BOB, subject, &self.site).await;
        let ours = self.site.artefacts(&came);
        self.console.check(
            ours.pixels.len() == 1 && ours.links.len() == 1 && ours.text_links.len() == 1,
            "instrumented: one pixel, one tracked link, in the plain text too",
        );
        self.console.check(
            ours.choices.len() == 1 && ours.text_choices == ours.choices,
            "a visible line says so in both parts, and links to Bob's page",
        );
        self.check_signature(&came);
        ours
    }

    async fn open_and_follow(&mut self, ours: &Artefacts) {
        self.console
            .step("Bob's mail program loads the picture, and he follows the link in Chromium");
        self.bob.load(&ours.pixels[0]).await;
        let page = self.bob.follow(&ours.links[0]).await;
        self.console.check(
            page.contains(GREETING) && self.shop.visits() == 1,
            "he is in the shop, at the address as Alice wrote it",
        );
        self.console
            .check(!self.bob.has_cookies(), "nobody set a cookie");
    }

    async fn look_at_report(&mut self) {
        self.console.step("What was recorded");
        let report = self
            .alice
            .wait_for_report("With consent", |report| {
                report["open_count"] == 1 && report["click_count"] == 1
            })
            .await;
        self.console.check(
            report["status"] == "clicked",
            &format!(
                "one open at {}, one click at {}",
                report["first_open_at"], report["first_click_at"]
            ),
        );
        let notifications = self.alice.notifications().await;
        self.console.check(
            notifications.len() == 1,
            &format!("one notification: {}", notifications[0]["text"]),
        );
    }

    async fn withdraw(&mut self, ours: &Artefacts) {
        self.console.step("Bob withdraws, in one step");
        self.bob.withdraw(&ours.choices[0]).await;
        let hits = self.hits().await;
        self.console
            .check(hits == 0, "what was recorded is deleted");
        self.bob.load(&ours.pixels[0]).await;
        let page = self.bob.follow(&ours.links[0]).await;
        self.console.check(
            page.contains(GREETING) && self.shop.visits() == 2,
            "picture and link of the old message still answer",
        );
        self.wait_for_drops(2).await;
        let hits = self.hits().await;
        self.console.check(
            hits == 0,
            "nothing is recorded; the collector counts two requests answered and dropped",
        );
        let subject = "After the withdrawal";
        let sent = self.alice.write_to_bob(subject, &self.shop.offer()).await;
        let came = mail_for_with_subject(BOB, subject, &self.site).await;
        self.console.check(
            came.without_trace_and_signature() == sent,
            "Alice's next message is byte-identical again",
        );
    }

    async fn sign_in(&mut self) {
        self.console.step("Alice's report");
        let link = self.alice.sign_in_link(&self.site).await;
        self.console.tell(&format!(
            "{}  To sign in as {ALICE}, open this link from her mail (it works once):",
            self.site.installation.url()
        ));
        self.console.tell(&link);
        self.console.check(true, "everything came as promised");
    }

    async fn hits(&self) -> i64 {
        self.site
            .database
            .count("SELECT count(*) FROM hits", &[])
            .await
    }

    /// Waits until the collector has decided about so many requests that consent does not cover them. The milter asks for
    /// a picture of no message now and then, to see that the collector answers; that is another reason.
    async fn wait_for_drops(&self, number: u64) {
        let url = format!("{}/metrics", self.site.installation.admin_url());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let metrics = Visitor::new().get(&url).await.text();
            let dropped: u64 = metrics
                .lines()
                .filter(|line| line.starts_with("fairtrack_hits_dropped_total{"))
                .filter(|line| line.contains("\"untracked\"") || line.contains("\"stopped\""))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
                .sum();
            if dropped == number {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{dropped} requests were dropped instead of {number}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn check_signature(&self, delivery: &Delivery) {
        let verdict = self.site.signer.verify(&delivery.message);
        self.console.check(
            verdict == Signature::Valid,
            "DKIM signature valid, says dkimpy",
        );
    }
}

/// Returns the next mail to an address with this subject; others, such as receipts, are put aside.
async fn mail_for_with_subject(address: &str, subject: &str, site: &Site) -> Delivery {
    loop {
        let delivery = mail_for(address, site).await;
        if delivery.field("Subject").as_deref() == Some(subject) {
            return delivery;
        }
    }
}

fn digest(message: &[u8]) -> String {
    Sha256::digest(message)
        .iter()
        .fold(String::new(), |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        })
}
