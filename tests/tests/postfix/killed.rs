// SPDX-License-Identifier: GPL-3.0-or-later
//! The milter is killed while it answers: each message arrives once and whole, old or new.
//!
//! A milter that sends a new body piece by piece fails here: Postfix then delivers a mixture of both, or loses the
//! message after having taken it.

use std::time::{Duration, Instant};

use harness::{
    database::Database,
    log::PATIENCE,
    messages::{Encoding, Message},
    needs,
    sink::Delivery,
    site::{ALICE, BOB, PASSWORD, Said, Site},
    smtp::Session,
};
use tokio_postgres::Client;

const TRIALS: u32 = 40;

#[tokio::test]
async fn message_arrives_once_and_whole_whenever_the_milter_is_killed() {
    needs!(PostgreSql, Postfix, OpenDkim);
    // A build for tests is slow; the deadline is another test's subject.
    let site = Site::with(Database::start().await, |builder| {
        builder.set("milter.deadline", "20s")
    })
    .await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let database = site.database.connect().await;
    let message = large_message();
    let (instrumented, span) = undisturbed(&site, &message).await;

    let mut old = 0;
    for trial in 0..TRIALS {
        let mut milter = site.installation.start_milter().await;
        let mut session = Session::open_as(site.postfix.submission_port(), ALICE, PASSWORD).await;
        let recorded = count_messages(&database).await;
        session.send_without_waiting(ALICE, &[BOB], &message).await;
        // Not waiting for something: the moment of death is what differs between trials.
        if trial % 2 == 0 {
            tokio::time::sleep(span * trial / TRIALS).await;
        } else {
            // The message is recorded just before the answer is written.
            let is_recorded = async { while count_messages(&database).await == recorded {} };
            tokio::time::timeout(PATIENCE, is_recorded)
                .await
                .unwrap_or_else(|_late| panic!("trial {trial}: {}", milter.log()));
            tokio::time::sleep(Duration::from_micros(500) * trial).await;
        }
        milter.kill9();
        let reply = session.reply().await;
        assert_eq!(reply.code, 250, "trial {trial}: {}", reply.text);

        let delivery = site.sink.next().await;
        site.postfix.wait_until_idle().await;

        assert!(site.sink.take().is_none(), "trial {trial}: it came twice");
        if delivery.without_trace_and_signature() == message {
            old += 1;
        } else {
            assert!(
                without_tokens(&delivery) == instrumented,
                "trial {trial}: neither old nor new"
            );
        }
    }

    assert_eq!(site.postfix.corrupt(), 0);
    // Deaths before and after the answer were both among the trials.
    assert!(
        old > 0 && old < TRIALS,
        "{old} of {TRIALS} arrived as they came"
    );
}

/// Returns what comes of the message, and how long that takes, when nobody is killed.
async fn undisturbed(site: &Site, message: &[u8]) -> (Vec<u8>, Duration) {
    let milter = site.installation.start_milter().await;
    let begun = Instant::now();
    let delivery = site.deliver(ALICE, &[BOB], message).await;
    let span = begun.elapsed();
    let ours = site.artefacts(&delivery);
    assert_eq!(ours.pixels.len(), 1, "{}", milter.log());
    (without_tokens(&delivery), span)
}

async fn count_messages(database: &Client) -> i64 {
    let count = "SELECT count(*) FROM messages WHERE reason IS NULL";
    database.query_one(count, &[]).await.unwrap().get(0)
}

/// Some megabytes: far more than what lies in a socket's buffers unless they were made larger.
fn large_message() -> Vec<u8> {
    let mut html = String::from("<html><body>\r\n");
    for number in 0..200 {
        html.push_str(&format!(
            "<p>Item {number}: <a href=\"https://shop.example.org/item/{number}\">look at it</a></p>\r\n"
        ));
        for _ in 0..200 {
            html.push_str("It is as good as all the others, and a little longer; so is this line, which ends here.\r\n");
        }
    }
    html.push_str("</body></html>\r\n");
    Message::new(ALICE, BOB)
        .without_text()
        .html(&html)
        .encoding(Encoding::EightBit)
        .build()
}

/// Each message has tokens of its own; everything else is the same.
fn without_tokens(delivery: &Delivery) -> Vec<u8> {
    let message = delivery.without_trace_and_signature();
    let mut text = String::from_utf8(message).unwrap();
    for start in ["/o/", "/l/", "/c/"] {
        let pieces: Vec<&str> = text.split(start).collect();
        let (first, rest) = pieces.split_first().unwrap();
        let mut joined = (*first).to_owned();
        for piece in rest {
            joined.push_str(start);
            joined.push_str(piece.get(common::token::LENGTH..).unwrap_or(piece));
        }
        text = joined;
    }
    text.into_bytes()
}
