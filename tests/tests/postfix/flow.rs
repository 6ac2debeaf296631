// SPDX-License-Identifier: GPL-3.0-or-later
//! Nothing fails: which mail is instrumented, and what mail that is not looks like.

use harness::{
    dkim::Signature,
    messages::{Encoding, Message},
    needs,
    site::{ALICE, BOB, Said, Site},
    smtp::Session,
};

const CAROL: &str = "carol@recipient.test";

#[tokio::test]
async fn consented_message_is_instrumented_and_its_signature_holds() {
    needs!(PostgreSql, Postfix, OpenDkim, Dkimpy);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let _milter = site.installation.start_milter().await;

    for encoding in [
        Encoding::QuotedPrintable,
        Encoding::Base64,
        Encoding::EightBit,
    ] {
        let message = Message::new(ALICE, BOB).encoding(encoding).build();
        let delivery = site.deliver(ALICE, &[BOB], &message).await;
        let ours = site.artefacts(&delivery);

        assert_eq!(ours.pixels.len(), 1, "{encoding:?}");
        assert_eq!(ours.links.len(), 1, "{encoding:?}");
        assert!(ours.text_links.is_empty(), "{encoding:?}");
        assert_eq!(ours.choices.len(), 1, "{encoding:?}");
        assert_eq!(ours.text_choices, ours.choices, "{encoding:?}");
        let field = ours.field.unwrap();
        assert!(
            field.starts_with(&format!("<{}>", ours.choices[0])),
            "{field}"
        );
        assert_eq!(
            site.signer.verify(&delivery.message),
            Signature::Valid,
            "{encoding:?}"
        );
    }
}

#[tokio::test]
async fn links_in_plain_text_are_a_setting_of_their_own() {
    needs!(PostgreSql, Postfix, OpenDkim, Dkimpy);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.database
        .execute("UPDATE users SET text_links = true")
        .await;
    site.says(BOB, Said::Yes).await;
    let _milter = site.installation.start_milter().await;

    let message = Message::new(ALICE, BOB).build();
    let delivery = site.deliver(ALICE, &[BOB], &message).await;
    let ours = site.artefacts(&delivery);

    // The same link, shown twice.
    assert_eq!(ours.links.len(), 1);
    assert_eq!(ours.text_links, ours.links);
    assert_eq!(site.signer.verify(&delivery.message), Signature::Valid);
}

#[tokio::test]
async fn message_without_consent_arrives_octet_for_octet() {
    needs!(PostgreSql, Postfix, OpenDkim, Dkimpy);
    let site = Site::start().await;
    site.user(ALICE).await;
    let _milter = site.installation.start_milter().await;
    let message = Message::new(ALICE, BOB).attachment(&[7; 5000]).build();

    let delivery = site.deliver(ALICE, &[BOB], &message).await;

    assert_eq!(delivery.without_trace_and_signature(), message);
    assert_eq!(site.signer.verify(&delivery.message), Signature::Valid);
}

#[tokio::test]
async fn message_of_a_stranger_arrives_octet_for_octet() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let milter = site.installation.start_milter().await;
    let message = Message::new(ALICE, BOB).field("X-Track", "yes").build();

    // The same envelope and the same milters, but nobody authenticated.
    let mut session = Session::open(site.postfix.inbound_port()).await;
    let reply = session.send(ALICE, &[BOB], &message).await;
    let delivery = site.sink.next().await;

    assert_eq!(reply.code, 250, "{}", reply.text);
    assert_eq!(delivery.without_trace_and_signature(), message);
    let count = "SELECT count(*) FROM messages";
    assert_eq!(site.database.count(count, &[]).await, 0, "{}", milter.log());
}

#[tokio::test]
async fn one_refusal_leaves_the_message_of_all_untouched() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    site.says(CAROL, Said::No).await;
    let _milter = site.installation.start_milter().await;
    let message = Message::new(ALICE, BOB).field("Cc", CAROL).build();

    let delivery = site.deliver(ALICE, &[BOB, CAROL], &message).await;

    assert_eq!(delivery.recipients, [BOB, CAROL]);
    assert_eq!(delivery.without_trace_and_signature(), message);
}

#[tokio::test]
async fn message_to_several_who_all_agreed_is_instrumented() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    site.says(CAROL, Said::Yes).await;
    let _milter = site.installation.start_milter().await;
    let message = Message::new(ALICE, BOB).field("Cc", CAROL).build();

    let delivery = site.deliver(ALICE, &[BOB, CAROL], &message).await;

    assert_eq!(site.artefacts(&delivery).pixels.len(), 1);
}

#[tokio::test]
async fn control_fields_never_reach_the_recipient() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    let _milter = site.installation.start_milter().await;
    let plain = Message::new(ALICE, BOB);

    for value in ["yes", "no", "perhaps", "yes; once"] {
        let asking = plain
            .clone()
            .field("X-Track", value)
            .field("X-Track-Opens", value);
        let delivery = site.deliver(ALICE, &[BOB], &asking.build()).await;

        assert_eq!(
            delivery.without_trace_and_signature(),
            plain.build(),
            "{value}"
        );
    }
}

#[tokio::test]
async fn user_who_switched_nothing_on_is_left_alone() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.database
        .execute("UPDATE users SET opens = false, links = false")
        .await;
    site.says(BOB, Said::Yes).await;
    let _milter = site.installation.start_milter().await;
    let message = Message::new(ALICE, BOB).build();

    let delivery = site.deliver(ALICE, &[BOB], &message).await;

    assert_eq!(delivery.without_trace_and_signature(), message);
}
