// SPDX-License-Identifier: GPL-3.0-or-later
//! A place where recipients meet us: database, collector, mail, and what people do there.

use chrono::Utc;
use common::{ids::MessageId, keys::KeyRing, tracking_url};
use harness::{
    artefacts::urls,
    cpu::Family,
    database::Database,
    installation::{Installation, Program},
    log::PATIENCE,
    samples::Sample,
    sink::{Delivery, Sink},
    web::{Answer, Visitor},
};
use mail_parser::MessageParser;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// Everything that a test of the recipient's pages needs.
pub(crate) struct Place {
    pub(crate) database: Database,
    pub(crate) installation: Installation,
    pub(crate) mail: Sink,
    pub(crate) collector: Program,
}

impl Place {
    /// Starts it.
    pub(crate) async fn open() -> Self {
        let database = Database::start().await;
        let mail = Sink::start();
        let installation = Installation::on(&database)
            .mail_through(mail.port())
            .write();
        installation.ctl(&["migrate"]);
        let collector = installation.start_collector().await;
        Self {
            database,
            installation,
            mail,
            collector,
        }
    }

    /// Returns a URL of the collector.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.installation.url())
    }

    /// Returns the URL of the page about a message.
    pub(crate) fn choices(&self, message: MessageId) -> String {
        let keys = KeyRing::read(&self.installation.keys()).unwrap();
        tracking_url::choices(&self.installation.url(), &keys, message)
    }

    /// Writes a message to one recipient down, and returns it with the recipient's address.
    pub(crate) async fn message(&self) -> (Sample, String) {
        let sample = Sample::without_consent(&self.installation, &self.database).await;
        let address = format!("{}@elsewhere.example", sample.subject);
        (sample, address)
    }

    /// Has a link mailed to an address, and returns it.
    pub(crate) async fn link_for(&self, address: &str) -> String {
        let answer = Visitor::new()
            .post_form(&self.url("/privacy"), &[("address", address)])
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let delivery = self.mail.next().await;
        assert_eq!(delivery.recipients, [address]);
        self.link_in(&delivery)
    }

    /// Returns the link that a mail of ours carries.
    pub(crate) fn link_in(&self, delivery: &Delivery) -> String {
        link_in(delivery, &self.url("/c/"))
    }

    /// Allows both purposes for the whole organisation, as a person does, and returns the page that follows.
    pub(crate) async fn allow(&self, address: &str) -> Answer {
        let link = self.link_for(address).await;
        let mut visitor = Visitor::new();
        let page = visitor.get(&link).await;
        let answer = visitor
            .post_form(
                &link,
                &[
                    ("act", "choose"),
                    ("open", "allow"),
                    ("click", "allow"),
                    ("scope", "controller"),
                    ("notice", &hidden(&page, "notice")),
                ],
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // The receipt.
        let receipt = self.mail.next().await;
        assert_eq!(receipt.recipients, [address]);
        answer
    }

    /// Keeps a hit on a message, as settled as can be, with its notification and its counters.
    pub(crate) async fn hit(&self, sample: &Sample, kind: &str) {
        let client = self.database.connect().await;
        let ordinal: i16 = if kind == "open" { 0 } else { 1 };
        let first = format!("first-{kind}");
        let steps: [(&str, &[&(dyn ToSql + Sync)]); 4] = [
            (
                "INSERT INTO hits VALUES ('example', $1, now(), gen_random_uuid(), $2, $3, '{}', 'human', 90, '{}', 1, true)",
                &[&sample.message.0, &kind, &ordinal],
            ),
            (
                "UPDATE messages SET open_count = open_count + CASE $2 WHEN 'open' THEN 1 ELSE 0 END,
                    click_count = click_count + CASE $2 WHEN 'click' THEN 1 ELSE 0 END,
                    settled_until = now(), first_open_at = now(), last_open_at = now(), first_click_at = now(), last_click_at = now()
                 WHERE id = $1",
                &[&sample.message.0, &kind],
            ),
            (
                "INSERT INTO notifications (controller_id, user_id, message_id, kind, at)
                 VALUES ('example', $1, $2, $3, now())",
                &[&sample.user, &sample.message.0, &first],
            ),
            (
                "INSERT INTO activity VALUES ('example', $1, date_trunc('hour', now(), 'UTC'),
                    CASE $2 WHEN 'open' THEN 1 ELSE 0 END, CASE $2 WHEN 'click' THEN 1 ELSE 0 END)
                 ON CONFLICT (controller_id, user_id, hour) DO UPDATE SET
                    opens = activity.opens + excluded.opens, clicks = activity.clicks + excluded.clicks",
                &[&sample.user, &kind],
            ),
        ];
        for (statement, parameters) in steps {
            client.execute(statement, parameters).await.unwrap();
        }
    }

    /// Adds a recipient to a message, and returns the address.
    pub(crate) async fn add_recipient(&self, sample: &Sample) -> String {
        let client = self.database.connect().await;
        let subject = Uuid::new_v4();
        let address = format!("{subject}@elsewhere.example");
        client
            .execute(
                "INSERT INTO subjects (controller_id, subject_ref, address, base_address) VALUES ('example', $1, $2, $2)",
                &[&subject, &address],
            )
            .await
            .unwrap();
        client
            .execute(
                "INSERT INTO message_recipients VALUES ('example', $1, $2)",
                &[&sample.message.0, &subject],
            )
            .await
            .unwrap();
        address
    }

    /// Counts rows.
    pub(crate) async fn count(&self, table_and_condition: &str) -> i64 {
        let query = format!("SELECT count(*) FROM {table_and_condition}");
        self.database.count(&query, &[]).await
    }

    /// Returns states in the order of the log: `open granted`.
    pub(crate) async fn states(&self) -> Vec<String> {
        let client = self.database.connect().await;
        client
            .query(
                "SELECT purpose || ' ' || state FROM consent_events ORDER BY seq",
                &[],
            )
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    }

    /// Returns everything that the database holds, as text.
    pub(crate) fn dump(&self) -> String {
        self.database.dump()
    }

    /// Returns the memory that the collector has in use, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        Family::of(self.collector.id()).resident()
    }

    /// Runs `fairtrackctl`, whatever its status will be, and returns the status with what it printed.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.installation.run("fairtrackctl", arguments, b"");
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    /// Checks that the logs are whole.
    pub(crate) fn verify(&self) -> (i32, String) {
        let (status, _, complaint) = self.ctl(&["audit", "verify"]);
        (status, complaint)
    }
}

/// Returns the one link in a mail that begins so.
pub(crate) fn link_in(delivery: &Delivery, start: &str) -> String {
    let found = urls(&text_of(delivery), start);
    assert_eq!(found.len(), 1, "{found:?}");
    found.first().unwrap().clone()
}

/// Waits until so many hits are kept: where the database was slow, an answered hit waits in the log first.
pub(crate) async fn wait_for_hits(database: &Database, wanted: i64) {
    let kept = async || database.count("SELECT count(*) FROM hits", &[]).await;
    let waiting = async {
        while kept().await != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_late| panic!("not {wanted} hits"));
}

/// Returns the text of a mail.
pub(crate) fn text_of(delivery: &Delivery) -> String {
    MessageParser::new()
        .parse(&delivery.message)
        .unwrap()
        .body_text(0)
        .unwrap()
        .into_owned()
}

/// Returns the value of a hidden field on a page.
pub(crate) fn hidden(page: &Answer, name: &str) -> String {
    let text = page.text();
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = text
        .split_once(&start)
        .unwrap_or_else(|| panic!("no field \"{name}\" on the page:\n{text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// A date on which people may have agreed: a month ago.
pub(crate) fn last_month() -> String {
    (Utc::now() - chrono::TimeDelta::days(30))
        .format("%Y-%m-%d")
        .to_string()
}
