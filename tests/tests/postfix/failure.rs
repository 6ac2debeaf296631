// SPDX-License-Identifier: GPL-3.0-or-later
//! Something fails: mail flows as it came, and what was sent before keeps answering.

use std::time::{Duration, Instant};

use harness::{
    database::Database,
    messages::Message,
    needs,
    site::{ALICE, BOB, Said, Site},
    smtp::Session,
    web::Visitor,
};

#[tokio::test]
async fn mail_flows_while_the_milter_is_down() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    let message = Message::new(ALICE, BOB).build();

    let delivery = site.deliver(ALICE, &[BOB], &message).await;

    assert_eq!(delivery.without_trace_and_signature(), message);
}

#[tokio::test]
async fn mail_flows_when_the_milter_ends_within_a_session() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let mut milter = site.installation.start_milter().await;
    let message = Message::new(ALICE, BOB).build();
    let mut session = Session::open_as(
        site.postfix.submission_port(),
        ALICE,
        harness::site::PASSWORD,
    )
    .await;
    session.send(ALICE, &[BOB], &message).await;
    let before = site.sink.next().await;

    milter.terminate();
    let reply = session.send(ALICE, &[BOB], &message).await;
    let after = site.sink.next().await;

    assert_eq!(site.artefacts(&before).pixels.len(), 1);
    assert_eq!(reply.code, 250, "{}", reply.text);
    assert_eq!(after.without_trace_and_signature(), message);
}

#[tokio::test]
async fn milter_that_comes_back_instruments_again() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let message = Message::new(ALICE, BOB).build();
    let mut milter = site.installation.start_milter().await;
    milter.kill9();

    // A killed program leaves its socket behind.
    let _milter = site.installation.start_milter().await;
    let delivery = site.deliver(ALICE, &[BOB], &message).await;

    assert_eq!(site.artefacts(&delivery).pixels.len(), 1);
}

#[tokio::test]
async fn everything_answers_while_the_database_is_down() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let mut site = Site::with(Database::start_alone().await, |builder| builder).await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;
    let message = Message::new(ALICE, BOB).build();
    let sent = site.deliver(ALICE, &[BOB], &message).await;
    let ours = site.artefacts(&sent);

    site.database.cluster().kill9();
    let delivery = site.deliver(ALICE, &[BOB], &message).await;

    assert_eq!(delivery.without_trace_and_signature(), message);
    pixel_and_link_answer(&ours.pixels[0], &ours.links[0]).await;
}

#[tokio::test]
async fn everything_answers_while_the_database_hangs() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let mut site = Site::with(Database::start_alone().await, |builder| builder).await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let _milter = site.installation.start_milter().await;
    let _collector = site.installation.start_collector().await;
    let message = Message::new(ALICE, BOB).build();
    let sent = site.deliver(ALICE, &[BOB], &message).await;
    let ours = site.artefacts(&sent);

    site.database.cluster().pause();
    let begun = Instant::now();
    let delivery = site.deliver(ALICE, &[BOB], &message).await;
    let took = begun.elapsed();
    pixel_and_link_answer(&ours.pixels[0], &ours.links[0]).await;
    site.database.cluster().resume();

    assert_eq!(delivery.without_trace_and_signature(), message);
    // The deadline is 1.5 s; without it Postfix would give up on us after 30 s.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

async fn pixel_and_link_answer(pixel: &str, link: &str) {
    let mut visitor = Visitor::new();
    let pixel = visitor.get(pixel).await;
    assert_eq!(pixel.status, 200);
    assert_eq!(pixel.body.len(), 43);
    let link = visitor.get(link).await;
    assert_eq!(link.status, 302);
    assert_eq!(
        link.header("location"),
        Some("https://shop.example.org/offer?id=7&lang=pl")
    );
}
