// SPDX-License-Identifier: GPL-3.0-or-later
//! Users with a session and an API token, and mail to report on.

use std::time::{Duration, Instant};

use collector::auth::secret;
use harness::{browser::Browser, database::Database, log::PATIENCE, web::Visitor};
use serde_json::json;
use uuid::Uuid;

/// A user who is signed in and has a token.
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) session: String,
    pub(crate) token: String,
}

impl Account {
    /// Makes a user of the controller `example`.
    pub(crate) async fn create(database: &Database, login: &str) -> Self {
        let id = Uuid::new_v4();
        let client = database.connect().await;
        client
            .batch_execute(
                "INSERT INTO controllers (id, name, address, contact, authority) VALUES ('example', '', '', '', '')
                 ON CONFLICT DO NOTHING",
            )
            .await
            .unwrap();
        client
            .execute(
                "INSERT INTO users (controller_id, id, login, notifications, opens, links)
                 VALUES ('example', $1, $2, 'all', true, true)",
                &[&id, &login],
            )
            .await
            .unwrap();
        Self::of(database, id).await
    }

    /// Signs a user of the controller `example` in.
    pub(crate) async fn of(database: &Database, id: Uuid) -> Self {
        let account = Self {
            id,
            session: secret::random().unwrap(),
            token: secret::api_token().unwrap(),
        };
        let client = database.connect().await;
        client
            .execute(
                "INSERT INTO sessions VALUES ('example', $1, $2, $3, now(), now(), now() + interval '1 day')",
                &[&secret::hash(&account.session), &account.id, &vec![7_u8; 32]],
            )
            .await
            .unwrap();
        client
            .execute(
                "INSERT INTO api_tokens VALUES ('example', $1, gen_random_uuid(), 'test', $2, now())",
                &[&account.id, &secret::hash(&account.token)],
            )
            .await
            .unwrap();
        account
    }

    /// Returns a browser in which the user is signed in.
    pub(crate) fn browser(&self) -> Visitor {
        Visitor::new().header("Cookie", &format!("fairtrack={}", self.session))
    }

    /// Returns a program that shows the user's token.
    pub(crate) fn program(&self) -> Visitor {
        Visitor::new().header("Authorization", &format!("Bearer {}", self.token))
    }

    /// Signs a real browser in.
    pub(crate) async fn enter(&self, browser: &Browser, base: &str) {
        let cookie = json!({"name": "fairtrack", "value": self.session, "url": base});
        browser.devtools("Network.setCookie", cookie).await;
    }

    /// Returns what the forms of this session carry.
    pub(crate) fn csrf() -> String {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode([7_u8; 32])
    }

    /// Writes down messages with everything that pages can show of them, one every eleven hours up to now, or as
    /// close together as retention demands.
    pub(crate) async fn send(&self, database: &Database, messages: i32) {
        let client = database.connect().await;
        client
            .execute(MESSAGES, &[&self.id, &messages])
            .await
            .unwrap();
        for statement in [RECIPIENTS, HITS, NOTIFICATIONS, ACTIVITY] {
            client.execute(statement, &[&self.id]).await.unwrap();
        }
    }

    /// Makes what a user makes by asking: something of everything that has an id.
    pub(crate) async fn fill(&self, base: &str) {
        for (path, body) in [
            ("tokens", json!({"name": "CRM"})),
            ("webhooks", json!({"url": "https://hooks.example/x"})),
        ] {
            let url = format!("{base}/api/v1/{path}");
            let made = self.browser().send_json("POST", &url, &body).await;
            assert_eq!(made.status, 201, "{path}: {}", made.text());
        }
    }

    /// Writes down that everybody whom the user wrote to has agreed.
    pub(crate) async fn agree(&self, base: &str) {
        let contacts = format!("{base}/api/v1/contacts?limit=200");
        let contacts = self.program().get(&contacts).await.json();
        for contact in contacts["contacts"].as_array().into_iter().flatten() {
            let said = json!({"recipient": contact["address"], "purposes": ["open", "click"], "given_at": "2026-10-01",
                "channel": "paper", "evidence": "contract 17"});
            let url = format!("{base}/api/v1/consents");
            let answer = self.program().send_json("POST", &url, &said).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
    }

    /// Returns the id of the user's newest message.
    pub(crate) async fn newest_message(&self, database: &Database) -> Uuid {
        let client = database.connect().await;
        client
            .query_one(
                "SELECT id FROM messages WHERE user_id = $1 ORDER BY sent_at DESC LIMIT 1",
                &[&self.id],
            )
            .await
            .unwrap()
            .get(0)
    }
}

/// Waits until a query counts so many.
pub(crate) async fn until(database: &Database, query: &str, expected: i64) {
    let deadline = Instant::now() + PATIENCE;
    while database.count(query, &[]).await != expected {
        assert!(Instant::now() < deadline, "it never came to be: {query}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Message number 0 is the newest. Of every eight, three were opened, two of these clicked, one was touched by machines
/// only, one left as it came.
const MESSAGES: &str = "
    INSERT INTO messages (controller_id, id, user_id, queue_id, message_id_header, subject, sent_at, opens, links, reason,
        record, open_count, first_open_at, last_open_at, click_count, first_click_at, last_click_at, automatic_count,
        settled_until)
    SELECT 'example', gen_random_uuid(), $1::uuid, 'Q' || n, '<' || n || '@example.com>',
        (ARRAY['Offer 2026-' || n || ' for the renovation of the north stairwell, with drawings', 'Zażółć gęślą jaźń: termin w środę',
            'Re: Invoice <b>overdue</b> & reminder', ''])[1 + n % 4],
        sent, n % 8 <> 3, n % 8 <> 3, CASE WHEN n % 8 = 3 THEN 'untracked' END,
        '{\"parts\": [{\"media\": \"text/plain\", \"outcome\": \"edited\", \"pixel\": false, \"links\": []},
            {\"media\": \"text/html\", \"outcome\": \"edited\", \"pixel\": true, \"links\": [
                {\"ordinal\": 1, \"host\": \"a.example\", \"text\": \"Our offer\", \"skipped\": null},
                {\"ordinal\": 2, \"host\": \"a.example\", \"text\": \"\", \"skipped\": null},
                {\"ordinal\": null, \"host\": \"bank.example\", \"text\": \"Reset\", \"skipped\": \"sensitive\"}]}]}',
        CASE WHEN n % 8 < 3 THEN 1 + n % 5 ELSE 0 END, CASE WHEN n % 8 < 3 THEN sent + interval '2 minutes' END,
        CASE WHEN n % 8 < 3 THEN sent + interval '90 minutes' END,
        CASE WHEN n % 8 < 2 THEN 1 + n % 2 ELSE 0 END, CASE WHEN n % 8 < 2 THEN sent + interval '3 minutes' END,
        CASE WHEN n % 8 < 2 THEN sent + interval '5 minutes' END, CASE WHEN n % 8 IN (0, 4) THEN 3 ELSE 0 END, now()
    FROM (SELECT n, now() - interval '2 hours' - interval '11 hours' * n * least(1, 170.0 / $2::int) AS sent FROM generate_series(0, $2::int - 1) n) numbered";

const RECIPIENTS: &str = "
    WITH sent AS (SELECT id, row_number() OVER (ORDER BY sent_at DESC) AS n FROM messages WHERE user_id = $1),
    wanted AS (
        SELECT id, 'customer' || n % 7 || '@recipient.test' AS address FROM sent
        UNION SELECT id, 'second.person.with.a.long.name@recipient.test' FROM sent WHERE n % 5 = 0),
    made AS (
        INSERT INTO subjects (controller_id, subject_ref, address, base_address)
        SELECT DISTINCT ON (address) 'example', gen_random_uuid(), address, address FROM wanted
        ON CONFLICT (controller_id, address) DO UPDATE SET base_address = excluded.base_address
        RETURNING subject_ref, address)
    INSERT INTO message_recipients SELECT 'example', id, subject_ref FROM wanted JOIN made USING (address)";

const HITS: &str = "
    INSERT INTO hits (controller_id, message_id, at, id, kind, ordinal, features, class, confidence, reasons, rules_version, settled)
    SELECT 'example', m.id, m.sent_at + h.after::interval, gen_random_uuid(), h.kind, h.ordinal,
        jsonb_build_object('k', h.kind, 't', 60000, 'c', h.client, 'n', h.network), h.class, h.confidence,
        ARRAY[h.reason], 1, true
    FROM messages m, (VALUES
        ('2 minutes', 'open', 0, 'image-proxy:gmail', 'google', 'image-proxy-on-open', 90, 'R05a'),
        ('90 minutes', 'open', 0, 'mail-app:thunderbird', 'other', 'human', 90, 'R50a'),
        ('3 minutes', 'click', 1, 'browser:firefox', 'other', 'human', 70, 'R50g'),
        ('4 minutes', 'open', 0, 'unknown', 'other', 'unknown', 30, 'R60'),
        ('20 seconds', 'open', 0, 'bare', 'apple-relay', 'machine-prefetch', 85, 'R06a'),
        ('30 seconds', 'click', 1, 'scanner:microsoft-defender', 'microsoft-filter', 'security-scanner', 90, 'R20a'),
        ('31 seconds', 'click', 2, 'scanner:microsoft-defender', 'microsoft-filter', 'security-scanner', 90, 'R20a'))
        AS h (after, kind, ordinal, client, network, class, confidence, reason)
    WHERE m.user_id = $1 AND m.open_count > 0 AND m.sent_at > now() - interval '20 days'";

const NOTIFICATIONS: &str = "
    INSERT INTO notifications (controller_id, user_id, message_id, kind, ordinal, at, read_at)
    SELECT 'example', $1, id, kind, 1, at, CASE WHEN at < now() - interval '2 days' THEN at END
    FROM (SELECT id, 'first-open' AS kind, first_open_at AS at FROM messages WHERE user_id = $1
          UNION ALL SELECT id, 'first-click', first_click_at FROM messages WHERE user_id = $1) told
    WHERE at IS NOT NULL ORDER BY at";

const ACTIVITY: &str = "
    INSERT INTO activity (controller_id, user_id, hour, opens, clicks, automatic)
    SELECT 'example', $1, date_trunc('hour', first_open_at), sum(open_count), sum(click_count), sum(automatic_count)
    FROM messages WHERE user_id = $1 AND first_open_at IS NOT NULL GROUP BY 3";
