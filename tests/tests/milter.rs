// SPDX-License-Identifier: GPL-3.0-or-later
//! The milter within a real Postfix, over a real database: mail goes out through authenticated submission.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails must end the test where it failed"
)]

use harness::{
    artefacts::Artefacts,
    database::Database,
    installation::{Installation, Program},
    messages::Message,
    needs,
    postfix::Postfix,
    sink::{Delivery, Sink},
};
use uuid::Uuid;

const ANNA: (&str, &str) = ("anna@example.com", "secret");
const EWA: &str = "ewa@customer.example";
const JAN: &str = "jan@customer.example";

/// Postfix, the milter, and a database in which Anna has tracking on and Ewa has consented to everything.
struct Site {
    milter: Program,
    postfix: Postfix,
    sink: Sink,
    installation: Installation,
    database: Database,
}

impl Site {
    async fn start(database: Database) -> Self {
        let installation = Installation::on(&database)
            .set("milter.health_gate", false)
            .write();
        let milter = installation.start_milter().await;
        database
            .execute(
                "INSERT INTO controllers (id, name, address, contact, authority) VALUES
                    ('example', 'Example', '-', '-', '-') ON CONFLICT DO NOTHING;
                 INSERT INTO users (controller_id, id, login, opens, links) VALUES
                    ('example', gen_random_uuid(), 'anna@example.com', true, true)",
            )
            .await;
        consent(&database, EWA).await;
        let sink = Sink::start();
        let postfix = Postfix::relaying_to(sink.port())
            .user(ANNA.0, ANNA.1)
            .milter(&installation.milter_socket())
            .start()
            .await;
        Self {
            milter,
            postfix,
            sink,
            installation,
            database,
        }
    }

    /// Sends a message as Anna and returns what was delivered.
    async fn send(&self, recipients: &[&str], message: &[u8]) -> Delivery {
        let reply = self.postfix.submit(ANNA, recipients, message).await;
        assert_eq!(reply.code, 250, "{reply:?}");
        self.sink.next().await
    }

    async fn reasons(&self) -> Vec<Option<String>> {
        let client = self.database.connect().await;
        client
            .query("SELECT reason FROM messages ORDER BY sent_at", &[])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    }
}

/// Writes down that a recipient allows everything to everybody.
async fn consent(database: &Database, address: &str) {
    let subject = Uuid::new_v4();
    let mut statements = format!(
        "INSERT INTO subjects (controller_id, subject_ref, address, base_address) VALUES
            ('example', '{subject}', '{address}', '{address}');"
    );
    for purpose in ["open", "click"] {
        statements.push_str(&format!(
            "INSERT INTO consent_events (controller_id, seq, event_id, subject_ref, purpose, state, author, assurance,
                at, effective_at, profile, method, evidence_sha256, prev_hash, entry_hash)
             SELECT 'example', coalesce(max(seq), 0) + 1, gen_random_uuid(), '{subject}', '{purpose}', 'granted',
                'recipient', 2, now(), now() - interval '1 hour', 'p1', 'page', '', '', '' FROM consent_events;"
        ));
    }
    database.execute(&statements).await;
}

fn message() -> Message {
    Message::new("Anna <anna@example.com>", "ewa@customer.example")
}

#[tokio::test]
async fn consented_message_is_instrumented_and_written_down_first() {
    needs!(Postfix, PostgreSql);
    let site = Site::start(Database::start().await).await;

    let delivery = site.send(&[EWA], &message().build()).await;

    let artefacts = Artefacts::of(&delivery, &site.installation.url());
    assert_eq!(artefacts.pixels.len(), 1, "{delivery:?}");
    assert_eq!(artefacts.links.len(), 1);
    assert!(
        delivery
            .field("Tracking-Consent")
            .is_some_and(|value| value.contains("open click"))
    );
    assert_eq!(site.reasons().await, [None]);
    assert_eq!(
        site.database
            .count(
                "SELECT count(*) FROM messages JOIN links USING (controller_id) JOIN message_recipients
                 USING (controller_id) WHERE opens AND links AND host = 'shop.example.org' AND subject = 'Our offer'
                 AND message_id_header = '<20261124120000.1@example.com>'",
                &[]
            )
            .await,
        1
    );
    site.milter
        .log()
        .wait_for("instrumented opens=yes links=1")
        .await;
}

#[tokio::test]
async fn message_without_consent_arrives_octet_for_octet_but_for_control_fields() {
    needs!(Postfix, PostgreSql);
    let site = Site::start(Database::start().await).await;
    let plain = message().build();
    let with_field = message().field("X-Track", "yes").build();

    for recipients in [&[JAN][..], &[EWA, JAN]] {
        let delivery = site.send(recipients, &with_field).await;
        assert_eq!(
            String::from_utf8_lossy(&delivery.without_trace()),
            String::from_utf8_lossy(&plain)
        );
    }
    let delivery = site.send(&[JAN], &plain).await;

    assert_eq!(delivery.without_trace(), plain);
    assert_eq!(site.reasons().await, vec![Some("untracked".to_owned()); 3]);
}

#[tokio::test]
async fn unauthenticated_message_is_not_looked_at() {
    needs!(Postfix, PostgreSql);
    let site = Site::start(Database::start().await).await;
    let message = message().field("X-Track", "yes").build();

    let mut session = harness::smtp::Session::open(site.postfix.inbound_port()).await;
    session.send("anna@example.com", &[EWA], &message).await;
    session.quit().await;
    let delivery = site.sink.next().await;

    assert_eq!(delivery.without_trace(), message);
    assert!(site.reasons().await.is_empty());
}

#[tokio::test]
async fn mail_flows_without_the_milter() {
    needs!(Postfix, PostgreSql);
    let mut site = Site::start(Database::start().await).await;
    let message = message().build();

    assert!(site.milter.terminate().success());
    let delivery = site.send(&[EWA], &message).await;

    assert_eq!(delivery.without_trace(), message);
}

#[tokio::test]
async fn mail_flows_without_the_database_and_instrumenting_comes_back_with_it() {
    needs!(Postfix, PostgreSql);
    let mut site = Site::start(Database::start_alone().await).await;
    let with_field = message().field("X-Track", "yes").build();

    site.database.cluster().kill9();
    let delivery = site.send(&[EWA], &with_field).await;
    assert_eq!(
        delivery.without_trace(),
        message().build(),
        "the control field goes without the database too"
    );
    site.milter.log().wait_for("untouched: database").await;
    site.database.cluster().restart().await;
    site.milter
        .log()
        .wait_for("the database answers again")
        .await;
    let delivery = site.send(&[EWA], &message().build()).await;

    assert!(!Artefacts::of(&delivery, &site.installation.url()).is_empty());
}

#[tokio::test]
async fn paused_database_delays_mail_no_longer_than_the_deadline() {
    needs!(Postfix, PostgreSql);
    let mut site = Site::start(Database::start_alone().await).await;
    let message = message().build();
    site.send(&[EWA], &message).await;

    site.database.cluster().pause();
    let began = std::time::Instant::now();
    let mut deliveries = Vec::new();
    for _ in 0..5 {
        deliveries.push(site.send(&[EWA], &message).await);
    }
    let took = began.elapsed();
    site.database.cluster().resume();

    for delivery in deliveries {
        assert_eq!(delivery.without_trace(), message);
    }
    // One waits for the deadline of 1.5 s; the breaker spares the others that.
    assert!(took.as_millis() < 4_000, "{took:?}");
    site.milter.log().wait_for("untouched: deadline").await;
    site.milter.log().wait_for("untouched: database").await;
}

#[tokio::test]
async fn choice_in_a_message_becomes_the_default_and_is_kept_apart_by_once() {
    needs!(Postfix, PostgreSql);
    let site = Site::start(Database::start().await).await;
    let settings = async || {
        let client = site.database.connect().await;
        let row = client
            .query_one("SELECT opens, links FROM users", &[])
            .await
            .unwrap();
        (row.get::<_, bool>(0), row.get::<_, bool>(1))
    };

    site.send(
        &[EWA],
        &message().field("X-Track-Opens", "no; once").build(),
    )
    .await;
    assert_eq!(settings().await, (true, true));
    site.send(&[EWA], &message().field("X-Track-Opens", "no").build())
        .await;
    assert_eq!(settings().await, (false, true));
    site.send(&[EWA], &message().field("X-Track", "yes").build())
        .await;

    assert_eq!(settings().await, (true, true));
}
