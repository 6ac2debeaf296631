// SPDX-License-Identifier: GPL-3.0-or-later
//! Rows as the milter and the recipient's page leave them: a message that was instrumented, and consent for it.

use common::{ids::MessageId, keys::KeyRing, tracking_url};
use tokio_postgres::Client;
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
        let (user, subject, message) = (sample.user, sample.subject, sample.message.0);
        let login = format!("{user}@example.com");
        let address = format!("{subject}@elsewhere.example");
        let steps: [(&str, &[&(dyn tokio_postgres::types::ToSql + Sync)]); 6] = [
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
            (
                "INSERT INTO messages (controller_id, id, user_id, queue_id, sent_at, opens, links)
                 VALUES ('example', $1, $2, 'Q', now() - interval '1 hour', true, true)",
                &[&message, &user],
            ),
            (
                "INSERT INTO message_recipients VALUES ('example', $1, $2)",
                &[&message, &subject],
            ),
            (
                "INSERT INTO links (controller_id, message_id, ordinal, host, label)
                 SELECT 'example', $1, n, 'a.example', '' FROM generate_series(1, 9) n",
                &[&message],
            ),
        ];
        for (statement, parameters) in steps {
            client.execute(statement, parameters).await.unwrap();
        }
        sample
    }

    /// Lets the recipient state something about one purpose.
    pub async fn state(&self, client: &Client, purpose: &str, state: &str) {
        client
            .execute(
                "INSERT INTO consent_events (controller_id, seq, event_id, subject_ref, purpose, state, author, assurance,
                    at, effective_at, profile, method, evidence_sha256, prev_hash, entry_hash)
                 SELECT 'example', coalesce(max(seq), 0) + 1, gen_random_uuid(), $1, $2, $3, 'recipient', 2,
                    now(), CASE $3 WHEN 'granted' THEN now() - interval '1 day' ELSE now() END, 'p1', 'page', '', '', ''
                 FROM consent_events",
                &[&self.subject, &purpose, &state],
            )
            .await
            .unwrap();
    }

    /// Returns the URL of the pixel.
    pub fn pixel(&self) -> String {
        tracking_url::pixel(&self.base, &self.keys, self.message)
    }

    /// Returns the URL of a tracked link.
    pub fn link(&self, ordinal: u16, destination: &str) -> String {
        tracking_url::link(&self.base, &self.keys, self.message, ordinal, destination)
    }
}
