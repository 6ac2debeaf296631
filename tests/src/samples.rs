// SPDX-License-Identifier: GPL-3.0-or-later
//! Rows as the milter and the recipient's page leave them: a message that was instrumented, and consent for it.

use chrono::{TimeDelta, Utc};
use common::{
    consent::{Profile, chain},
    db::consent_events::Recorded,
    ids::{ControllerId, MessageId},
    keys::KeyRing,
    tracking_url,
};
use tokio_postgres::{Client, types::ToSql};
use uuid::Uuid;

use crate::{database::Database, installation::Installation};

/// A message from one user to one recipient, with a pixel and tracked links.
pub struct Sample {
    pub message: MessageId,
    pub user: Uuid,
    pub subject: Uuid,
    base: String,
    keys: KeyRing,
}

impl Sample {
    /// Writes down a message of `example.com` that was sent an hour ago, to a recipient who granted both purposes.
    pub async fn with_consent(installation: &Installation, database: &Database) -> Self {
        let sample = Self::without_consent(installation, database).await;
        let client = database.connect().await;
        for purpose in ["open", "click"] {
            sample.state(&client, purpose, "granted").await;
        }
        sample
    }

    /// Writes down a message of `example.com` that was sent an hour ago, to a recipient who said nothing.
    pub async fn without_consent(installation: &Installation, database: &Database) -> Self {
        let client = database.connect().await;
        let sample = Self {
            message: MessageId::random(),
            user: Uuid::new_v4(),
            subject: Uuid::new_v4(),
            base: installation.url(),
            keys: KeyRing::read(&installation.keys()).unwrap(),
        };
        let (user, subject) = (sample.user, sample.subject);
        let login = format!("{user}@example.com");
        let address = format!("{subject}@elsewhere.example");
        let steps: [(&str, &[&(dyn ToSql + Sync)]); 3] = [
            (
                "INSERT INTO controllers (id, name, address, contact, authority) VALUES ('example', '', '', '', '')
                 ON CONFLICT DO NOTHING",
                &[],
            ),
            (
                "INSERT INTO users (controller_id, id, login, notifications) VALUES ('example', $1, $2, 'all')",
                &[&user, &login],
            ),
            (
                "INSERT INTO subjects (controller_id, subject_ref, address, base_address) VALUES ('example', $1, $2, $2)",
                &[&subject, &address],
            ),
        ];
        for (statement, parameters) in steps {
            client.execute(statement, parameters).await.unwrap();
        }
        sample.send(&client).await;
        sample
    }

    /// Writes down another message, from the same user to the same recipient.
    pub async fn another(&self, client: &Client) -> Self {
        let another = Self {
            message: MessageId::random(),
            base: self.base.clone(),
            keys: self.keys.clone(),
            ..*self
        };
        another.send(client).await;
        another
    }

    async fn send(&self, client: &Client) {
        let (user, subject, message) = (self.user, self.subject, self.message.0);
        let steps: [(&str, &[&(dyn ToSql + Sync)]); 2] = [
            (
                "INSERT INTO messages (controller_id, id, user_id, queue_id, sent_at, opens, links, record)
                 SELECT 'example', $1, $2, 'Q', now() - interval '1 hour', true, true,
                     jsonb_build_object('parts', jsonb_build_array(jsonb_build_object('links', jsonb_agg(
                         jsonb_build_object('ordinal', n, 'host', 'a.example', 'text', '')))))
                 FROM generate_series(1, 9) n",
                &[&message, &user],
            ),
            (
                "INSERT INTO message_recipients VALUES ('example', $1, $2)",
                &[&message, &subject],
            ),
        ];
        for (statement, parameters) in steps {
            client.execute(statement, parameters).await.unwrap();
        }
    }

    /// Lets the recipient state something about one purpose.
    pub async fn state(&self, client: &Client, purpose: &str, state: &str) {
        say(client, self.subject, purpose, state).await;
    }

    /// Returns the URL of the pixel.
    pub fn pixel(&self) -> String {
        tracking_url::pixel(&self.base, &self.keys, self.message)
    }

    /// Returns the URL of the recipient's page.
    pub fn choices(&self) -> String {
        tracking_url::choices(&self.base, &self.keys, self.message)
    }

    /// Returns the URL of a tracked link.
    pub fn link(&self, ordinal: u16, destination: &str) -> String {
        tracking_url::link(&self.base, &self.keys, self.message, ordinal, destination)
    }
}

/// Appends a recipient's statement, for the whole of `example`, to the consent log.
///
/// It is chained as the programs chain it, so that the log can be verified. A grant is a day old, so that it covers what
/// came before the test.
pub async fn say(client: &Client, subject: Uuid, purpose: &str, state: &str) {
    let lock = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('consent|example', 0))";
    client.batch_execute(lock).await.unwrap();
    let newest = "SELECT seq, entry_hash FROM consent_events WHERE controller_id = 'example' ORDER BY seq DESC LIMIT 1";
    let (seq, prev_hash) = match client.query_opt(newest, &[]).await.unwrap() {
        Some(row) => (row.get(0), row.get(1)),
        None => (
            0_i64,
            chain::genesis(&ControllerId("example".into())).to_vec(),
        ),
    };
    let at = chain::storable(Utc::now());
    let age = TimeDelta::days(i64::from(state == "granted"));
    let mut entry = Recorded {
        controller_id: "example".into(),
        seq: seq + 1,
        event_id: Uuid::new_v4(),
        subject_ref: subject,
        purpose: purpose.into(),
        scope_user: None,
        state: state.into(),
        author: "recipient".into(),
        assurance: 2,
        at,
        effective_at: at - age,
        expires_at: None,
        profile: Profile::CURRENT.to_string(),
        notice_hash: None,
        language: None,
        method: "page".into(),
        evidence_sha256: chain::sha256("{}").to_vec(),
        prev_hash,
        entry_hash: Vec::new(),
    };
    entry.entry_hash = entry.computed_hash().to_vec();
    client
        .execute(
            "INSERT INTO consent_events (controller_id, seq, event_id, subject_ref, purpose, state, author, assurance, at,
                effective_at, profile, method, evidence_sha256, prev_hash, entry_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            &[
                &entry.controller_id,
                &entry.seq,
                &entry.event_id,
                &entry.subject_ref,
                &entry.purpose,
                &entry.state,
                &entry.author,
                &entry.assurance,
                &entry.at,
                &entry.effective_at,
                &entry.profile,
                &entry.method,
                &entry.evidence_sha256,
                &entry.prev_hash,
                &entry.entry_hash,
            ],
        )
        .await
        .unwrap();
    client.batch_execute("COMMIT").await.unwrap();
}
