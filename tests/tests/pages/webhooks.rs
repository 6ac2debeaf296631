// SPDX-License-Identifier: GPL-3.0-or-later
//! Webhooks: what others' programs are told, and where we never call.

use std::time::{Duration, Instant};

use harness::{
    database::Database,
    installation::Installation,
    log::PATIENCE,
    python::Python,
    receiver::{Call, Receiver},
};
use serde_json::{Value, json};

use crate::account::{Account, until};

struct Hooked {
    database: Database,
    installation: Installation,
    anna: Account,
    receiver: Receiver,
    webhook: String,
    secret: String,
    collectors: Vec<harness::installation::Program>,
}

/// A user with a webhook and a covered message; two collectors.
async fn hooked() -> Hooked {
    let database = Database::start().await;
    let settings = |builder: harness::installation::Builder| {
        builder
            .set("collector.webhook_networks", vec!["127.0.0.0/8"])
            .write()
    };
    let installation = settings(Installation::on(&database));
    let second = settings(Installation::on(&database));
    std::fs::copy(installation.keys(), second.keys()).unwrap();
    let collectors = vec![
        installation.start_collector().await,
        second.start_collector().await,
    ];
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 3).await;
    anna.agree(&installation.url()).await;
    let receiver = Receiver::start().await;
    let url = format!("{}/api/v1/webhooks", installation.url());
    let made = anna
        .program()
        .send_json("POST", &url, &json!({"url": receiver.url()}))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let webhook = made.json()["id"].as_str().unwrap().to_owned();
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    Hooked {
        database,
        installation,
        anna,
        receiver,
        webhook,
        secret,
        collectors,
    }
}

impl Hooked {
    /// Ends the collectors.
    fn stop(&mut self) {
        self.collectors.clear();
    }

    /// Starts one again.
    async fn go_on(&mut self) {
        self.collectors
            .push(self.installation.start_collector().await);
    }

    /// Makes a notification, as a settled verdict does.
    async fn notify(&self) {
        let client = self.database.connect().await;
        client
            .execute(
                "INSERT INTO notifications (controller_id, user_id, message_id, kind, ordinal, at)
                 SELECT controller_id, user_id, id, 'first-click', 1, now() FROM messages
                 WHERE user_id = $1 AND links ORDER BY sent_at DESC LIMIT 1",
                &[&self.anna.id],
            )
            .await
            .unwrap();
    }

    async fn show(&self) -> Value {
        let url = format!(
            "{}/api/v1/webhooks/{}",
            self.installation.url(),
            self.webhook
        );
        self.anna.program().get(&url).await.json()
    }

    /// Waits for the outcome of the newest delivery.
    async fn outcome(&self) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.show().await;
            let delivery = shown["deliveries"][0].clone();
            if delivery["outcome"].is_string() {
                // What else came of it is written with it, but may have been read before.
                return self.show().await;
            }
            assert!(Instant::now() < deadline, "no outcome: {shown}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn resend(&self, delivery: &Value) -> u16 {
        let base = format!(
            "{}/api/v1/webhooks/{}",
            self.installation.url(),
            self.webhook
        );
        let url = format!("{base}/resend");
        let body = json!({ "delivery": delivery });
        self.anna
            .program()
            .send_json("POST", &url, &body)
            .await
            .status
            .as_u16()
    }
}

fn verified(python: &Python, call: &Call, secret: &str) -> String {
    let headers = json!(call.headers).to_string();
    python.script(
        "import sys, json
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
try:
    Webhook(sys.argv[1]).verify(sys.argv[2], json.loads(sys.argv[3]))
    print('yes', end='')
except WebhookVerificationError:
    print('no', end='')",
        &[secret, &call.body, &headers],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn notification_is_delivered_once_and_others_verify_it() {
    harness::needs!(PostgreSql);
    let Some(python) = Python::find() else { return };
    let mut hooked = hooked().await;

    hooked.notify().await;
    let call = hooked.receiver.next().await;
    let shown = hooked.outcome().await;

    assert_eq!(verified(&python, &call, &hooked.secret), "yes");
    let altered = Call {
        body: call.body.replace("first", "worst"),
        ..call.clone()
    };
    assert_eq!(verified(&python, &altered, &hooked.secret), "no");
    let event: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!(event["type"], "message.first-click");
    assert_eq!(event["data"]["link"]["host"], "a.example");
    assert!(event["data"]["recipients"][0].is_string());
    let delivery = &shown["deliveries"][0];
    assert_eq!(
        (&delivery["outcome"], &delivery["attempts"]),
        (&json!("200"), &json!(1))
    );
    assert_eq!(call.headers["webhook-id"], delivery["id"].as_str().unwrap());
    assert!(!shown.to_string().contains("whsec_"));
    assert!(hooked.receiver.take().is_none(), "it was called twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_sign_for_a_day_and_what_failed_is_sent_again() {
    harness::needs!(PostgreSql);
    let Some(python) = Python::find() else { return };
    let mut hooked = hooked().await;
    hooked.receiver.answer_with(302);

    hooked.notify().await;
    let first = hooked.receiver.next().await;
    let failed = hooked.outcome().await;
    let rotate = format!(
        "{}/api/v1/webhooks/{}/rotate",
        hooked.installation.url(),
        hooked.webhook
    );
    let rotated = hooked
        .anna
        .program()
        .send_json("POST", &rotate, &json!({}))
        .await
        .json();
    let fresh = rotated["secret"].as_str().unwrap();
    hooked.receiver.answer_with(204);
    let status = hooked.resend(&failed["deliveries"][0]["id"]).await;
    let second = hooked.receiver.next().await;

    assert_eq!(
        failed["deliveries"][0]["outcome"], "302",
        "a redirect is not followed"
    );
    assert!(failed["deliveries"][0]["next_at"].is_string());
    assert!(failed["failing_since"].is_string());
    assert_eq!(status, 202);
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_ne!(fresh, hooked.secret);
    assert_eq!(verified(&python, &first, fresh), "no");
    for secret in [fresh, &hooked.secret] {
        assert_eq!(verified(&python, &second, secret), "yes");
    }
    hooked
        .database
        .execute("UPDATE webhooks SET rotated_at = now() - interval '25 hours'")
        .await;
    hooked.resend(&failed["deliveries"][0]["id"]).await;
    let third = hooked.receiver.next().await;
    assert_eq!(verified(&python, &third, &hooked.secret), "no");
    assert_eq!(verified(&python, &third, fresh), "yes");
}

#[tokio::test]
async fn consent_is_asked_again_at_sending() {
    harness::needs!(PostgreSql);
    let mut hooked = hooked().await;
    hooked.stop();

    hooked.notify().await;
    hooked.installation.ctl(&[
        "consent",
        "withdraw",
        "customer1@recipient.test",
        "--channel",
        "telephone",
    ]);
    let left = "SELECT count(*) FROM webhook_deliveries WHERE outcome IS NULL";
    let queued = hooked.database.count(left, &[]).await;
    // A withdrawal takes the notification away, and its delivery with it; one that came after it is not sent.
    hooked.notify().await;
    hooked.go_on().await;
    let shown = hooked.outcome().await;

    assert_eq!(queued, 0);
    assert_eq!(shown["deliveries"][0]["outcome"], "untracked");
    assert!(hooked.receiver.take().is_none());
}

#[tokio::test]
async fn what_is_frozen_is_neither_sent_nor_shown_and_comes_back() {
    harness::needs!(PostgreSql);
    let mut hooked = hooked().await;
    hooked.notify().await;
    hooked.receiver.next().await;
    let before = hooked.outcome().await;
    let delivery = &before["deliveries"][0]["id"];
    let customer = "customer1@recipient.test";
    let made = "SELECT count(*) FROM webhook_deliveries WHERE outcome = 'untracked'";

    hooked.installation.ctl(&["consent", "restrict", customer]);
    let frozen = hooked.show().await;
    let refused = hooked.resend(delivery).await;
    hooked.notify().await;
    until(&hooked.database, made, 1).await;
    let still = hooked.show().await;
    hooked
        .installation
        .ctl(&["consent", "restrict", customer, "--lift"]);
    let after = hooked.show().await;

    assert_eq!(frozen["deliveries"], json!([]));
    assert_eq!(refused, 404);
    assert_eq!(still["deliveries"], json!([]));
    assert!(hooked.receiver.take().is_none(), "it was sent");
    assert_eq!(after["deliveries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn delivery_of_somebody_else_is_not_sent_again() {
    harness::needs!(PostgreSql);
    let mut hooked = hooked().await;
    hooked.notify().await;
    hooked.receiver.next().await;
    let shown = hooked.outcome().await;
    let delivery = &shown["deliveries"][0]["id"];
    let eve = Account::create(&hooked.database, "eve@example.com").await;
    let base = format!("{}/api/v1/webhooks", hooked.installation.url());
    let mut receiver = Receiver::start().await;
    let mut own = Vec::new();
    for account in [&eve, &hooked.anna] {
        let made = account
            .program()
            .send_json("POST", &base, &json!({"url": receiver.url()}))
            .await;
        own.push(made.json()["id"].as_str().unwrap().to_owned());
    }
    let body = json!({ "delivery": delivery });

    // By another user, through the own webhook and through the other's; by its owner, through another webhook.
    for (account, webhook) in [
        (&eve, &own[0]),
        (&eve, &hooked.webhook),
        (&hooked.anna, &own[1]),
    ] {
        let url = format!("{base}/{webhook}/resend");
        let answer = account.program().send_json("POST", &url, &body).await;
        assert_eq!(answer.status, 404);
        let page = url.replace("/api/v1/webhooks", "/settings/webhooks");
        let fields = [
            ("csrf", Account::csrf()),
            ("delivery", delivery.as_str().unwrap().to_owned()),
        ];
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = account.browser().post_form(&page, &fields).await;
        assert_eq!(answer.status, 404);
    }

    let untouched = hooked.show().await;
    assert_eq!(untouched["deliveries"], shown["deliveries"]);
    assert!(receiver.take().is_none());
}

/// A receiver that holds the line, and has much to be told, keeps nobody else waiting.
#[tokio::test]
async fn slow_receiver_holds_up_no_other() {
    harness::needs!(PostgreSql);
    let mut hooked = hooked().await;
    hooked.stop();
    let mut slow = Receiver::start().await;
    slow.answer_with(0);
    // All of it is older, so it comes first.
    let client = hooked.database.connect().await;
    client
        .execute("UPDATE webhooks SET url = $1", &[&slow.url()])
        .await
        .unwrap();
    client
        .execute(
            "INSERT INTO notifications (controller_id, user_id, message_id, kind, ordinal, at)
             SELECT controller_id, user_id, id, 'first-click', 1, now() FROM messages, generate_series(1, 400)
             WHERE user_id = $1 AND links",
            &[&hooked.anna.id],
        )
        .await
        .unwrap();
    client
        .execute(
            "UPDATE webhook_deliveries SET next_at = now() - interval '1 hour'",
            &[],
        )
        .await
        .unwrap();
    client
        .execute(
            "INSERT INTO webhooks (controller_id, user_id, id, url, created_at)
             VALUES ('example', $1, gen_random_uuid(), $2, now())",
            &[&hooked.anna.id, &hooked.receiver.url()],
        )
        .await
        .unwrap();
    hooked.notify().await;

    hooked.go_on().await;
    slow.next().await;
    // Sooner than the slow one is given up.
    let call = tokio::time::timeout(Duration::from_secs(12), hooked.receiver.next()).await;

    assert!(call.is_ok(), "it waited for the slow one");
}

#[tokio::test]
async fn receiver_that_fails_for_days_is_switched_off_and_its_user_is_told() {
    harness::needs!(PostgreSql);
    let mut hooked = hooked().await;
    hooked.receiver.answer_with(500);
    hooked
        .database
        .execute(
            "UPDATE webhooks SET failing_since = now() - interval '4 days', failed_at = now() - interval '20 hours'",
        )
        .await;

    hooked.notify().await;
    hooked.receiver.next().await;
    let shown = hooked.outcome().await;
    hooked.notify().await;

    assert_eq!(shown["enabled"], false);
    let warnings = "SELECT count(*) FROM notifications WHERE detail = 'webhook-disabled'";
    assert_eq!(hooked.database.count(warnings, &[]).await, 1);
    let queued = "SELECT count(*) FROM webhook_deliveries";
    assert_eq!(hooked.database.count(queued, &[]).await, 1);
}

/// What failed weeks ago and was never tried since says nothing of today.
#[tokio::test]
async fn failing_begins_anew_after_a_long_time_without_a_delivery() {
    harness::needs!(PostgreSql);
    let mut hooked = hooked().await;
    hooked.receiver.answer_with(500);
    hooked
        .database
        .execute(
            "UPDATE webhooks SET failing_since = now() - interval '30 days', failed_at = now() - interval '28 days'",
        )
        .await;

    hooked.notify().await;
    hooked.receiver.next().await;
    let shown = hooked.outcome().await;

    assert_eq!(shown["enabled"], true);
    let fresh = "SELECT count(*) FROM webhooks WHERE failing_since > now() - interval '1 hour'";
    assert_eq!(hooked.database.count(fresh, &[]).await, 1);
}

#[tokio::test]
async fn nothing_around_us_is_called() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    anna.send(&database, 3).await;
    anna.agree(&installation.url()).await;
    let mut receiver = Receiver::start().await;
    let url = format!("{}/api/v1/webhooks", installation.url());

    for target in [
        receiver.url(),
        receiver.url().replace("http:", "https:"),
        "https://169.254.169.254/latest".into(),
        "https://[::1]/".into(),
        "http://[::1]/".into(),
        "https://[::ffff:127.0.0.1]/".into(),
        "file:///etc/passwd".into(),
    ] {
        let answer = anna
            .program()
            .send_json("POST", &url, &json!({"url": target}))
            .await;
        assert_eq!(answer.status, 422, "{target}");
    }
    // A name is looked up when it is called; this one leads inside.
    let named = receiver
        .url()
        .replace("http://127.0.0.1", "https://localhost");
    let made = anna
        .program()
        .send_json("POST", &url, &json!({"url": named}))
        .await;
    let hooked = Hooked {
        webhook: made.json()["id"].as_str().unwrap().to_owned(),
        secret: String::new(),
        collectors: Vec::new(),
        receiver: Receiver::start().await,
        database,
        installation,
        anna,
    };
    hooked.notify().await;
    let shown = hooked.outcome().await;

    assert_eq!(shown["deliveries"][0]["outcome"], "refused");
    assert!(receiver.take().is_none());
}
