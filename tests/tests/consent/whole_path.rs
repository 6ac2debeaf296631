// SPDX-License-Identifier: GPL-3.0-or-later
//! Consent from end to end: what Postfix delivers, and what the collector keeps of it.

use harness::{
    dkim::Signature,
    messages::Message,
    needs, samples,
    site::{ALICE, ANNA, BOB, Said, Site},
    web::{MAIL_PROGRAM, Visitor},
};

use crate::place::wait_for_hits;

const DAVE: &str = "dave@recipient.test";

async fn says(site: &Site, address: &str, purpose: &str, state: &str) {
    let client = site.database.connect().await;
    client
        .execute(
            "INSERT INTO subjects (controller_id, subject_ref, address, base_address)
             VALUES ('example', gen_random_uuid(), $1, $1) ON CONFLICT DO NOTHING",
            &[&address],
        )
        .await
        .unwrap();
    let subject = "SELECT subject_ref FROM subjects WHERE address = $1";
    let subject = client.query_one(subject, &[&address]).await.unwrap().get(0);
    samples::say(&client, subject, purpose, state).await;
}

/// C1, C2, C3: nothing, the image alone, links alone, both; each only where the person agreed and the user asks.
#[tokio::test]
async fn purposes_go_in_one_by_one() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    let _milter = site.installation.start_milter().await;

    for (address, purposes) in [
        ("none@recipient.test", &[][..]),
        ("opens@recipient.test", &["open"]),
        ("links@recipient.test", &["click"]),
        ("both@recipient.test", &["open", "click"]),
    ] {
        for purpose in purposes {
            says(&site, address, purpose, "granted").await;
        }
        let message = Message::new(ALICE, address).build();
        let delivery = site.deliver(ALICE, &[address], &message).await;
        let ours = site.artefacts(&delivery);

        let found = (ours.pixels.len(), ours.links.len());
        let expected = (
            usize::from(purposes.contains(&"open")),
            usize::from(purposes.contains(&"click")),
        );
        assert_eq!(found, expected, "{address}");
        assert_eq!(ours.choices.len(), usize::from(!purposes.is_empty()));
        assert_eq!(ours.field.is_some(), !purposes.is_empty(), "{address}");
        // C22: whose mail it is, and who gets it, stands in no URL.
        for url in ours.pixels.iter().chain(&ours.links).chain(&ours.choices) {
            let url = url.to_lowercase();
            for word in ["recipient.test", "alice", "20261124120000"] {
                assert!(!url.contains(word), "{word} is in {url}");
            }
        }
    }
}

/// C6, C8, C28, C84: from the commit on, nothing is kept of the message before and nothing goes into the next; and the
/// milter's log has one word for all of it.
#[tokio::test]
async fn withdrawal_counts_for_the_hit_before_and_the_message_after() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    site.says(DAVE, Said::No).await;
    let milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;
    let message = Message::new(ALICE, BOB).build();
    let mut reader = Visitor::with_agent(MAIL_PROGRAM);
    let hits = "SELECT count(*) FROM hits";

    let first = site.deliver(ALICE, &[BOB], &message).await;
    let ours = site.artefacts(&first);
    reader.get(&ours.pixels[0]).await;
    wait_for_hits(&site.database, 1).await;
    let withdrawn = reader
        .post_form(&ours.choices[0], &[("Tracking-Consent", "Withdraw")])
        .await;
    let pixel = reader.get(&ours.pixels[0]).await;
    let link = reader.get(&ours.links[0]).await;
    let second = site.deliver(ALICE, &[BOB], &message).await;
    let refused = Message::new(ALICE, DAVE).build();
    site.deliver(ALICE, &[DAVE], &refused).await;

    assert_eq!(withdrawn.status, 200);
    // C30, C31: answered as ever.
    assert_eq!((pixel.status.as_u16(), link.status.as_u16()), (200, 302));
    assert_eq!(site.database.count(hits, &[]).await, 0);
    assert_eq!(second.without_trace_and_signature(), message);
    let log = milter.log().to_string();
    assert_eq!(log.matches("untouched: untracked").count(), 2, "{log}");
    for word in ["denied", "withdrawn", "refus", "recipient.test", "alice"] {
        assert!(
            !log.to_lowercase().contains(word),
            "{word} is in the log:\n{log}"
        );
    }
}

/// C10, C14, C94: a message in another organisation's name, and mail within one's own, are left alone whatever was
/// granted.
#[tokio::test]
async fn other_organisations_and_colleagues_are_left_alone() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let second = toml::toml! {
        id = "second"
        name = "Second GmbH"
        address = "Hauptstr. 1, Berlin"
        contact = "privacy@second.example"
        authority = "BfDI"
        domains = ["second.example"]
        public_url = "http://localhost:1"
    };
    let database = harness::database::Database::start().await;
    let site = Site::with(database, |builder| builder.controller(second)).await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    site.says("colleague@example.com", Said::Yes).await;
    let _milter = site.installation.start_milter().await;

    for (from, to, fields) in [
        ("Boss <boss@second.example>", BOB, 0),
        ("Alice <sales@example.com>", BOB, 1),
        (ALICE, "colleague@example.com", 0),
    ] {
        let message = Message::new(ALICE, to).field("From", from).build();
        let delivery = site.deliver(ALICE, &[to], &message).await;
        let ours = site.artefacts(&delivery);

        assert_eq!(ours.pixels.len(), fields, "{from} to {to}");
        if fields == 0 {
            assert_eq!(delivery.without_trace_and_signature(), message);
        }
    }
}

/// Off by default. Switched on, whoever was never asked finds one line in a message that observes nothing, and only once.
#[tokio::test]
async fn invitation_is_one_line_once_and_observes_nothing() {
    needs!(PostgreSql, Postfix, OpenDkim, Dkimpy);
    let database = harness::database::Database::start().await;
    let site = Site::with(database, |builder| builder.set("controller.invite", true)).await;
    site.installation.ctl(&["migrate"]);
    site.user(ALICE).await;
    site.user(ANNA).await;
    site.says(DAVE, Said::No).await;
    let milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;
    let message = Message::new(ALICE, BOB).build();
    let explain = || {
        let arguments = ["explain", "--from", ALICE, "--to", BOB];
        let output = site
            .installation
            .run("fairtrack-milter", &arguments, &message);
        String::from_utf8(output.stdout).unwrap()
    };
    let line = "One line in it would invite the recipient to choose";

    assert!(explain().contains(line), "{}", explain());
    let first = site.deliver(ALICE, &[BOB], &message).await;
    assert!(!explain().contains(line), "{}", explain());
    let ours = site.artefacts(&first);
    for (login, recipients) in [
        (ALICE, &[BOB][..]),
        (ANNA, &[BOB]),
        (ALICE, &[DAVE]),
        (ALICE, &["info@recipient.test"]),
        (ALICE, &["dev@lists.recipient.test"]),
        (ALICE, &["eve@recipient.test", "mallory@recipient.test"]),
    ] {
        let message = Message::new(login, recipients[0]).build();
        let delivery = site.deliver(login, recipients, &message).await;
        assert_eq!(
            delivery.without_trace_and_signature(),
            message,
            "{login} to {recipients:?}"
        );
    }

    assert!(ours.pixels.is_empty() && ours.links.is_empty() && ours.text_links.is_empty());
    assert_eq!(ours.choices.len(), 1);
    assert_eq!(ours.text_choices, ours.choices);
    assert_eq!(ours.field, None);
    assert_eq!(site.signer.verify(&first.message), Signature::Valid);
    assert!(!milter.log().to_string().contains("instrumented"));
    let asked = "SELECT count(*) FROM consent_requests";
    assert_eq!(site.database.count(asked, &[]).await, 1);
    let observed = "SELECT count(*) FROM messages WHERE opens OR links OR coalesce(reason, '') NOT IN ('untracked', 'list')";
    assert_eq!(site.database.count(observed, &[]).await, 0);
    // The line leads to the page, and the page to a link for the mailbox.
    let mut reader = Visitor::new();
    let page = reader.get(&ours.choices[0]).await;
    assert!(
        page.text()
            .contains("Nothing is recorded about this message")
    );
    reader.post_form(&ours.choices[0], &[("act", "link")]).await;
    let mail = site.sink.next().await;
    assert_eq!(mail.recipients, [BOB]);
    // Who was invited is not asked by mail as well.
    let token = site.installation.ctl(&["token", "create", ALICE]);
    let mut sender = Visitor::new().header("Authorization", &format!("Bearer {}", token.trim()));
    let request = serde_json::json!({"recipient": BOB, "purposes": ["open"]});
    let url = format!("{}/api/v1/consent-requests", site.installation.url());
    sender.send_json("POST", &url, &request).await;
    assert_eq!(site.database.count(asked, &[]).await, 1);
    assert!(site.sink.take().is_none());
}
