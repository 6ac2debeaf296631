// SPDX-License-Identifier: GPL-3.0-or-later
//! A whole site: Postfix with users, our milter before OpenDKIM, a database, and the world that the mail goes out to.
//!
//! Our own programs are configured, not started.

use common::address::Address;

use crate::{
    artefacts::Artefacts,
    database::Database,
    dkim::OpenDkim,
    installation::{self, Installation},
    postfix::{self, Postfix},
    samples,
    sink::{Delivery, Sink},
    smtp::Reply,
};

/// A user with a mailbox at the site.
pub const ALICE: &str = "alice@example.com";

/// Another.
pub const ANNA: &str = "anna@example.com";

/// The password of every user.
pub const PASSWORD: &str = "correct horse";

/// Somebody elsewhere.
pub const BOB: &str = "bob@recipient.test";

/// A site; its parts end in the order in which they stand here.
pub struct Site {
    pub postfix: Postfix,
    pub signer: OpenDkim,
    pub installation: Installation,
    pub sink: Sink,
    pub database: Database,
}

/// What a recipient says of opens and clicks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Said {
    No,
    Yes,
}

impl Site {
    /// Starts a site whose database is one of many in a cluster.
    pub async fn start() -> Self {
        Self::with(Database::start().await, |builder| builder).await
    }

    /// Starts a site with a database and settings of the test's choice.
    pub async fn with(
        database: Database,
        settings: impl FnOnce(installation::Builder) -> installation::Builder,
    ) -> Self {
        Self::with_postfix(database, settings, |postfix| postfix).await
    }

    /// Starts a site whose Postfix has settings of the test's choice as well.
    pub async fn with_postfix(
        database: Database,
        settings: impl FnOnce(installation::Builder) -> installation::Builder,
        postfix_settings: impl FnOnce(postfix::Builder) -> postfix::Builder,
    ) -> Self {
        let sink = Sink::start();
        let signer = OpenDkim::start("example.com").await;
        let builder = Installation::on(&database);
        let postfix = Postfix::relaying_to(sink.port())
            .user(ALICE, PASSWORD)
            .user(ANNA, PASSWORD)
            .milter(&builder.milter_socket())
            .milter(&signer.socket());
        let postfix = postfix_settings(postfix).start().await;
        let builder = builder.mail_through(postfix.local_port()).set(
            "milter.reinject",
            format!("smtp://127.0.0.1:{}", postfix.copies_port()),
        );
        let installation = settings(builder).write();
        Self {
            postfix,
            signer,
            installation,
            sink,
            database,
        }
    }

    /// Makes a user who has switched opens and links on.
    pub async fn user(&self, login: &str) {
        user(&self.database, login).await;
    }

    /// Lets a recipient say yes or no to everything, towards the whole organisation.
    pub async fn says(&self, address: &str, said: Said) {
        says(&self.database, address, said).await;
    }

    /// Submits a message as a user.
    pub async fn submit(&self, login: &str, recipients: &[&str], message: &[u8]) -> Reply {
        self.postfix
            .submit((login, PASSWORD), recipients, message)
            .await
    }

    /// Submits a message as a user, and returns what the one delivery of it looks like.
    ///
    /// # Panics
    ///
    /// Panics if the message is not taken, or is not delivered exactly once.
    pub async fn deliver(&self, login: &str, recipients: &[&str], message: &[u8]) -> Delivery {
        let reply = self.submit(login, recipients, message).await;
        assert_eq!(reply.code, 250, "{}", reply.text);
        let delivery = self.sink.next().await;
        self.postfix.wait_until_idle().await;
        assert!(self.sink.take().is_none(), "the message came twice");
        delivery
    }

    /// Returns what is ours in a message.
    pub fn artefacts(&self, delivery: &Delivery) -> Artefacts {
        Artefacts::of(delivery, &self.installation.url())
    }
}

/// Makes a user who has switched opens and links on.
pub async fn user(database: &Database, login: &str) {
    database
        .execute(&format!(
            "INSERT INTO controllers (id, name, address, contact, authority)
                VALUES ('example', '', '', '', '') ON CONFLICT DO NOTHING;
             INSERT INTO users (controller_id, id, login, opens, links, notifications)
                VALUES ('example', gen_random_uuid(), '{login}', true, true, 'all')"
        ))
        .await;
}

/// Lets a recipient say yes or no to everything, towards the whole organisation.
pub async fn says(database: &Database, address: &str, said: Said) {
    let state = match said {
        Said::No => "denied",
        Said::Yes => "granted",
    };
    let client = database.connect().await;
    let base = Address::parse(address).unwrap().base().as_str().to_owned();
    client.execute(SUBJECT, &[&address, &base]).await.unwrap();
    let subject = client
        .query_one(
            "SELECT subject_ref FROM subjects WHERE address = $1",
            &[&address],
        )
        .await
        .unwrap()
        .get(0);
    for purpose in ["open", "click"] {
        samples::say(&client, subject, purpose, state).await;
    }
}

const SUBJECT: &str = "
    INSERT INTO subjects (controller_id, subject_ref, address, base_address)
    VALUES ('example', gen_random_uuid(), $1, $2) ON CONFLICT DO NOTHING";
