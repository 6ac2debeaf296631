// SPDX-License-Identifier: GPL-3.0-or-later
//! Who takes part: Alice, who writes from a mail program and reads her report; Bob, who gets her mail.

use std::time::Duration;

use fantoccini::Locator;
use harness::{
    artefacts::urls,
    browser::Browser,
    log::PATIENCE,
    sink::Delivery,
    site::{ALICE, BOB, PASSWORD, Site},
    web::{MAIL_PROGRAM, Visitor},
};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{MultiPart, header::HeaderName, header::HeaderValue},
    transport::smtp::authentication::Credentials,
};
use serde_json::{Value, json};

/// Alice and her mail program.
pub(crate) struct Alice {
    mail: AsyncSmtpTransport<Tokio1Executor>,
    api: Visitor,
    collector: String,
}

impl Alice {
    /// Gives Alice an account and lets her switch on what she wants.
    pub(crate) async fn arrive(site: &Site) -> Self {
        let installation = &site.installation;
        installation.ctl(&["user", "add", ALICE]);
        let token = installation.ctl(&["token", "create", ALICE, "--name", "demo"]);
        let token = token
            .split_whitespace()
            .find(|word| word.starts_with("ft_"))
            .expect("a token is printed");
        let credentials = Credentials::new(ALICE.into(), PASSWORD.into());
        Self {
            mail: AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
                .port(site.postfix.submission_port())
                .credentials(credentials)
                .build(),
            api: Visitor::new().header("Authorization", &format!("Bearer {token}")),
            collector: installation.url(),
        }
    }

    /// Returns her settings.
    pub(crate) async fn settings(&mut self) -> Value {
        let url = self.url("/api/v1/settings");
        self.api.get(&url).await.json()
    }

    /// Switches on opens, links in both kinds of text, and notifications of clicks.
    pub(crate) async fn switch_on(&mut self) -> Value {
        let settings =
            json!({"opens": true, "links": true, "text_links": true, "notifications": "clicks"});
        let url = self.url("/api/v1/settings");
        let answer = self.api.send_json("PATCH", &url, &settings).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Writes to Bob and returns the message as it left the mail program.
    pub(crate) async fn write_to_bob(&self, subject: &str, offer: &str) -> Vec<u8> {
        let text = format!("Dzień dobry Bob,\r\n\r\nhere is our offer: {offer}\r\n\r\nAlice\r\n");
        let html = format!(
            "<html><body><p>Dzień dobry Bob,</p>\r\n<p>here is <a href=\"{}\">our offer</a>.</p>\r\n\
             <p>Alice</p></body></html>\r\n",
            offer.replace('&', "&amp;")
        );
        let message = Message::builder()
            .from(format!("Alice <{ALICE}>").parse().unwrap())
            .to(format!("Bob <{BOB}>").parse().unwrap())
            .subject(subject)
            .message_id(None)
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("User-Agent"),
                "Alice's mail program".into(),
            ))
            .multipart(MultiPart::alternative_plain_html(text, html))
            .unwrap();
        let octets = message.formatted();
        // The client ends what it sends with a line end of its own.
        let sent = octets.strip_suffix(b"\r\n").unwrap();
        self.mail.send_raw(message.envelope(), sent).await.unwrap();
        octets
    }

    /// Returns what the report says of the message with that subject.
    pub(crate) async fn report_of(&mut self, subject: &str) -> Value {
        let url = self.url("/api/v1/messages");
        let report = self.api.get(&url).await.json();
        let found = report["messages"].as_array().and_then(|messages| {
            messages
                .iter()
                .find(|message| message["subject"] == subject)
        });
        found.cloned().unwrap_or_default()
    }

    /// Returns the notifications so far.
    pub(crate) async fn notifications(&mut self) -> Vec<Value> {
        let url = self.url("/api/v1/notifications");
        let feed = self.api.get(&url).await.json();
        feed["notifications"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until the report says of the message with that subject what is expected.
    pub(crate) async fn wait_for_report(
        &mut self,
        subject: &str,
        is_expected: fn(&Value) -> bool,
    ) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let report = self.report_of(subject).await;
            if is_expected(&report) {
                return report;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "the report stays at {report}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks for a mailed link to sign in with, and returns it.
    pub(crate) async fn sign_in_link(&self, site: &Site) -> String {
        let page = self.url("/sign-in");
        let answer = Visitor::new()
            .header("Origin", &self.collector)
            .post_form(&page, &[("address", ALICE)])
            .await;
        assert!(answer.status.as_u16() < 400, "{}", answer.text());
        let mail = mail_for(ALICE, site).await;
        link_in(&mail, &page)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.collector)
    }
}

/// Bob, his mail program and his browser.
pub(crate) struct Bob {
    browser: Browser,
    mail_program: Visitor,
}

impl Bob {
    /// Starts Bob's browser.
    pub(crate) async fn arrive() -> Self {
        Self {
            browser: Browser::start().await,
            mail_program: Visitor::with_agent(MAIL_PROGRAM),
        }
    }

    /// Asks on the page about privacy for a link, and returns the one that comes by mail.
    pub(crate) async fn ask_for_link(&self, site: &Site) -> String {
        let collector = site.installation.url();
        let client = self.browser.client();
        self.browser.open(&format!("{collector}/privacy")).await;
        let field = client
            .find(Locator::Css("input[type=email]"))
            .await
            .unwrap();
        field.send_keys(BOB).await.unwrap();
        let button = client
            .find(Locator::Css("form:has(input[type=email]) button"))
            .await
            .unwrap();
        button.click().await.unwrap();
        let mail = mail_for(BOB, site).await;
        link_in(&mail, &format!("{collector}/c/"))
    }

    /// Allows both purposes, for the whole organisation, on the page behind the mailed link.
    pub(crate) async fn allow(&self, link: &str) -> String {
        let client = self.browser.client();
        self.browser.open(link).await;
        for choice in [
            "input[name=open][value=allow]",
            "input[name=click][value=allow]",
            "form:has([name=open]) button[value=choose]",
        ] {
            let element = client.find(Locator::Css(choice)).await.unwrap();
            element.click().await.unwrap();
        }
        // A click returns before the page that it leads to is there.
        client
            .wait()
            .for_element(Locator::Css("[role=status]"))
            .await
            .unwrap();
        self.browser.text().await
    }

    /// Opens the message: the mail program loads its picture.
    pub(crate) async fn load(&mut self, pixel: &str) {
        let answer = self.mail_program.get(pixel).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with(b"GIF89a") && answer.body.len() == 43);
    }

    /// Follows a link, and returns what the page says.
    pub(crate) async fn follow(&self, link: &str) -> String {
        self.browser.open(link).await;
        self.browser.text().await
    }

    /// Withdraws in one step, as a mail program does for its user.
    pub(crate) async fn withdraw(&mut self, choices: &str) {
        let fields = [("Tracking-Consent", "Withdraw")];
        let answer = self.mail_program.post_form(choices, &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Tells whether anybody set a cookie.
    pub(crate) fn has_cookies(&self) -> bool {
        self.mail_program.has_cookies()
    }
}

/// Returns the next mail, which must be for this address.
pub(crate) async fn mail_for(address: &str, site: &Site) -> Delivery {
    let delivery = site.sink.next().await;
    assert_eq!(delivery.recipients, [address]);
    delivery
}

fn link_in(mail: &Delivery, start: &str) -> String {
    let parsed = mail_parser::MessageParser::new()
        .parse(&mail.message)
        .unwrap();
    let text = parsed.body_text(0).unwrap_or_default();
    urls(&text, start)
        .pop()
        .unwrap_or_else(|| panic!("no link in this mail:\n{text}"))
}
