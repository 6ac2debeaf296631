// SPDX-License-Identifier: GPL-3.0-or-later
//! `multi_recipient = "split"`: each recipient gets a message of their own, instrumented for those who consent; whatever
//! dies in the middle, each gets exactly one.

use std::collections::BTreeMap;

use harness::{
    database::{Database, wait_for_a_waiter},
    dkim::Signature,
    installation::Program,
    messages::{Encoding, Message},
    needs,
    scratch::Scratch,
    sink::Delivery,
    site::{ALICE, BOB, PASSWORD, Said, Site},
    smtp::Session,
};

/// Consents.
const CAROL: &str = "carol@other.test";

/// Says no.
const DAVE: &str = "dave@recipient.test";

/// Says nothing.
const ERIN: &str = "erin@recipient.test";

const EVERYBODY: [&str; 4] = [BOB, CAROL, DAVE, ERIN];

async fn site(deadline: &str) -> Site {
    let site = Site::with(Database::start().await, |builder| {
        builder
            .set("controller.multi_recipient", "split")
            .set("milter.deadline", deadline)
    })
    .await;
    site.user(ALICE).await;
    for (address, said) in [(BOB, Said::Yes), (CAROL, Said::Yes), (DAVE, Said::No)] {
        site.says(address, said).await;
    }
    site
}

async fn start_milter(site: &Site) -> Program {
    let milter = site.installation.start_milter().await;
    milter
        .log()
        .wait_for("messages to several recipients are split")
        .await;
    milter
}

/// Takes the deliveries of one message to everybody, and shows that each got one, with nobody else in the envelope.
async fn deliveries(site: &Site) -> BTreeMap<String, Delivery> {
    let mut by_recipient = BTreeMap::new();
    for _ in 0..EVERYBODY.len() {
        let delivery = site.sink.next().await;
        for recipient in &delivery.recipients {
            let earlier = by_recipient.insert(recipient.clone(), delivery.clone());
            assert!(earlier.is_none(), "{recipient} got it twice");
        }
        if by_recipient.len() == EVERYBODY.len() {
            break;
        }
    }
    site.postfix.wait_until_idle().await;
    assert!(site.sink.take().is_none(), "somebody got it twice");
    assert!(by_recipient.keys().map(String::as_str).eq(EVERYBODY));
    by_recipient
}

/// Returns the message without what servers put on top of it.
fn as_sent(delivery: &Delivery) -> Vec<u8> {
    let mut delivery = delivery.clone();
    loop {
        let stripped = delivery.without_trace_and_signature();
        if stripped == delivery.message {
            return stripped;
        }
        delivery.message = stripped;
    }
}

#[tokio::test]
async fn each_recipient_gets_what_they_consent_to() {
    needs!(PostgreSql, Postfix, OpenDkim, Dkimpy);
    let site = site("5s").await;
    let milter = start_milter(&site).await;
    let message = Message::new(ALICE, BOB)
        .field("Cc", &format!("{CAROL}, {DAVE}"))
        .field("X-Track", "yes; once")
        .field("X-Fairtrack-Split", "no");
    let untouched = Message::new(ALICE, BOB)
        .field("Cc", &format!("{CAROL}, {DAVE}"))
        .build();

    // Erin is a blind-copy recipient: the envelope alone names her.
    let reply = site.submit(ALICE, &EVERYBODY, &message.build()).await;
    assert_eq!(reply.code, 250, "{}", reply.text);
    let deliveries = deliveries(&site).await;

    for (recipient, delivery) in &deliveries {
        assert_eq!(
            delivery.recipients,
            [recipient.as_str()],
            "{}",
            milter.log()
        );
        assert_eq!(delivery.sender, ALICE);
        assert_eq!(site.signer.verify(&delivery.message), Signature::Valid);
        let text = String::from_utf8_lossy(&delivery.message).into_owned();
        assert!(
            recipient == ERIN || !text.contains(ERIN),
            "a blind copy is revealed"
        );
        assert!(!text.to_lowercase().contains("x-fairtrack-split"), "{text}");
        let ours = site.artefacts(delivery);
        if [BOB, CAROL].contains(&recipient.as_str()) {
            assert_eq!((ours.pixels.len(), ours.links.len()), (1, 1), "{text}");
            // The signature of the message as it came is gone: it would not verify.
            assert_eq!(text.matches("DKIM-Signature:").count(), 1);
        } else {
            assert!(as_sent(delivery) == untouched, "{recipient}: {text}");
        }
    }
    let pixel = |recipient: &str| site.artefacts(&deliveries[recipient]).pixels.remove(0);
    assert_ne!(pixel(BOB), pixel(CAROL));

    let rows = "SELECT string_agg(a, ' ' ORDER BY a) FROM (
            SELECT coalesce(m.reason, 'opens=' || m.opens || ',links=' || m.links) || ':' ||
                string_agg(s.address, '+' ORDER BY s.address) || ':' ||
                (SELECT count(*) FROM tracked_links l WHERE l.message_id = m.id) AS a
            FROM messages m JOIN message_recipients r ON r.message_id = m.id JOIN subjects s USING (subject_ref)
            GROUP BY m.controller_id, m.id) rows";
    let client = site.database.connect().await;
    let rows: String = client.query_one(rows, &[]).await.unwrap().get(0);
    assert_eq!(
        rows,
        format!(
            "opens=true,links=true:{BOB}:1 opens=true,links=true:{CAROL}:1 untracked:{DAVE}+{ERIN}:0"
        )
    );
}

#[tokio::test]
async fn message_that_cannot_be_instrumented_is_not_split() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = site("5s").await;
    let milter = start_milter(&site).await;
    let message = Message::new(ALICE, BOB).without_html().build();

    let reply = site.submit(ALICE, &EVERYBODY, &message).await;
    assert_eq!(reply.code, 250);
    deliveries(&site).await;

    milter.log().wait_for("untouched: no-html").await;
    let rows = "SELECT count(*) FROM messages WHERE reason = 'no-html'";
    assert_eq!(site.database.count(rows, &[]).await, 1);
    assert_eq!(
        site.database
            .count("SELECT count(*) FROM messages", &[])
            .await,
        1
    );
}

#[tokio::test]
async fn nothing_is_split_while_the_way_back_does_not_ask_us() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::with(Database::start().await, |builder| {
        builder.set("controller.multi_recipient", "split")
    })
    .await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    // It answers, and asks nobody.
    let path = site.installation.configuration();
    let text = std::fs::read_to_string(&path).unwrap().replace(
        &site.postfix.copies_port().to_string(),
        &site.postfix.local_port().to_string(),
    );
    std::fs::write(&path, text).unwrap();
    let milter = site.installation.start_milter().await;
    milter.log().wait_for("nothing is split while").await;
    let message = Message::new(ALICE, BOB).build();

    let delivery = site.deliver(ALICE, &[BOB, DAVE], &message).await;

    assert_eq!(delivery.without_trace_and_signature(), message);
    milter.log().wait_for("untouched: several-recipients").await;
}

#[tokio::test]
async fn nothing_is_split_while_the_way_back_takes_no_mail_from_here() {
    needs!(PostgreSql, Postfix, OpenDkim);
    // Postfix says so at the recipient, and would return each copy to its author.
    let site = Site::with_postfix(
        Database::start().await,
        |builder| builder.set("controller.multi_recipient", "split"),
        |postfix| postfix.way_back_option("mynetworks=192.0.2.0/24"),
    )
    .await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let milter = site.installation.start_milter().await;
    milter
        .log()
        .wait_for("does not take mail from this host")
        .await;
    let message = Message::new(ALICE, BOB).build();

    let delivery = site.deliver(ALICE, &[BOB, DAVE], &message).await;

    assert_eq!(delivery.without_trace_and_signature(), message);
    milter.log().wait_for("untouched: several-recipients").await;
}

#[tokio::test]
async fn copies_wait_where_the_way_back_was_blocked_meanwhile() {
    needs!(PostgreSql, Postfix, OpenDkim);
    // Whom the way in takes mail from stands in a file, which is read anew for each connection.
    let scratch = Scratch::new("way");
    let networks = scratch.write("networks", "127.0.0.0/8\n");
    let option = format!("mynetworks={}", networks.display());
    // Postfix tries again when it is told to.
    let site = Site::with_postfix(
        Database::start().await,
        |builder| {
            builder
                .set("controller.multi_recipient", "split")
                .set("milter.deadline", "10s")
        },
        |postfix| {
            postfix
                .setting("minimal_backoff_time = 1h")
                .setting("maximal_backoff_time = 1h")
                .way_back_option(&option)
                .way_back_option("max_use=1")
        },
    )
    .await;
    site.user(ALICE).await;
    for address in [BOB, CAROL] {
        site.says(address, Said::Yes).await;
    }
    let milter = start_milter(&site).await;
    scratch.write("networks", "192.0.2.0/24\n");

    let reply = site
        .submit(ALICE, &EVERYBODY, &Message::new(ALICE, BOB).build())
        .await;
    assert_eq!(reply.code, 250, "{}", reply.text);
    site.postfix.wait_until_deferred(1).await;
    assert!(site.sink.take().is_none(), "{}", site.postfix.log());
    scratch.write("networks", "127.0.0.0/8\n");
    site.postfix.flush();
    let deliveries = deliveries(&site).await;

    milter.log().wait_for("split copies=2 recipients=4").await;
    for recipient in [BOB, CAROL] {
        assert_eq!(site.artefacts(&deliveries[recipient]).pixels.len(), 1);
    }
}

#[tokio::test]
async fn copies_come_back_by_the_loopback_address_whatever_that_of_other_mail() {
    needs!(PostgreSql, Postfix, OpenDkim);
    // As where mail must leave by one of several addresses; the way in takes mail from one only.
    let site = Site::with_postfix(
        Database::start().await,
        |builder| {
            builder
                .set("controller.multi_recipient", "split")
                .set("milter.deadline", "10s")
        },
        |postfix| {
            postfix
                .setting("smtp_bind_address = 127.0.0.2")
                .way_back_option("mynetworks=127.0.0.1/32")
        },
    )
    .await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let _milter = start_milter(&site).await;

    let reply = site
        .submit(ALICE, &EVERYBODY, &Message::new(ALICE, BOB).build())
        .await;
    assert_eq!(reply.code, 250, "{}", reply.text);
    let deliveries = deliveries(&site).await;

    assert_eq!(site.artefacts(&deliveries[BOB]).pixels.len(), 1);
}

#[tokio::test]
async fn consent_is_asked_again_when_the_copy_comes_back() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = site("20s").await;
    let milter = start_milter(&site).await;
    let message = Message::new(ALICE, BOB).build();
    // The split waits with its promises until we let it go on.
    site.database
        .execute(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
             CREATE TRIGGER linger AFTER INSERT ON copies
                FOR EACH STATEMENT EXECUTE FUNCTION linger()",
        )
        .await;
    let mut holder = site.database.connect().await;
    let lock = holder.transaction().await.unwrap();
    lock.execute("SELECT pg_advisory_xact_lock(7)", &[])
        .await
        .unwrap();
    let watcher = site.database.connect().await;

    let mut session = Session::open_as(site.postfix.submission_port(), ALICE, PASSWORD).await;
    session
        .send_without_waiting(ALICE, &EVERYBODY, &message)
        .await;
    wait_for_a_waiter(&watcher).await;
    site.says(BOB, Said::No).await;
    lock.commit().await.unwrap();
    assert_eq!(session.reply().await.code, 250);
    let deliveries = deliveries(&site).await;

    assert!(as_sent(&deliveries[BOB]) == message, "{}", milter.log());
    assert_eq!(site.artefacts(&deliveries[CAROL]).pixels.len(), 1);
    milter.log().wait_for("copy untouched: untracked").await;
}

const TRIALS: u32 = 30;

#[tokio::test]
async fn each_recipient_gets_exactly_one_whenever_the_milter_is_killed() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = site("20s").await;
    let message = Message::new(ALICE, BOB).build();
    let span = {
        let _milter = start_milter(&site).await;
        let begun = std::time::Instant::now();
        site.submit(ALICE, &EVERYBODY, &message).await;
        deliveries(&site).await;
        begun.elapsed()
    };

    let row = "SELECT count(*) FROM messages WHERE id = $1 AND opens AND links AND reason IS NULL";
    let mut outcomes = BTreeMap::<usize, u32>::new();
    for trial in 0..TRIALS {
        let mut milter = start_milter(&site).await;
        let mut session = Session::open_as(site.postfix.submission_port(), ALICE, PASSWORD).await;
        session
            .send_without_waiting(ALICE, &EVERYBODY, &message)
            .await;
        // Not waiting for something: the moment of death is what differs between trials.
        tokio::time::sleep(span * trial / TRIALS).await;
        milter.kill9();
        let reply = session.reply().await;
        assert_eq!(reply.code, 250, "trial {trial}: {}", reply.text);

        let deliveries = deliveries(&site).await;

        let mut instrumented = 0;
        for (recipient, delivery) in &deliveries {
            let ours = site.artefacts(delivery);
            if ours.is_empty() {
                assert!(as_sent(delivery) == message, "trial {trial}: {recipient}");
            } else {
                assert!([BOB, CAROL].contains(&recipient.as_str()), "trial {trial}");
                assert_eq!(ours.pixels.len(), 1, "trial {trial}");
                let token = ours.pixels[0].rsplit('/').next().unwrap();
                let said = common::token::read(token.trim_end_matches(".gif")).unwrap();
                assert_eq!(
                    site.database.count(row, &[&said.message.0]).await,
                    1,
                    "not recorded"
                );
                instrumented += 1;
            }
        }
        *outcomes.entry(instrumented).or_default() += 1;
    }

    assert_eq!(site.postfix.corrupt(), 0);
    // Deaths before and after both answers were among the trials.
    println!("{outcomes:?}");
    assert!(outcomes.len() > 1, "{outcomes:?} in {span:?}");
}

#[tokio::test]
async fn each_recipient_gets_one_while_the_database_is_down() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let mut site = site_alone().await;
    let _milter = start_milter(&site).await;
    let message = Message::new(ALICE, BOB).build();

    site.database.cluster().kill9();
    site.submit(ALICE, &EVERYBODY, &message).await;
    let deliveries = deliveries(&site).await;

    for delivery in deliveries.values() {
        assert!(as_sent(delivery) == message);
    }
}

async fn site_alone() -> Site {
    let site = Site::with(Database::start_alone().await, |builder| {
        builder.set("controller.multi_recipient", "split")
    })
    .await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    site
}

#[tokio::test]
async fn message_that_would_outgrow_the_limit_is_left_alone_and_taken() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::with_postfix(
        Database::start().await,
        |builder| {
            builder
                .set("controller.multi_recipient", "split")
                .set("milter.deadline", "10s")
        },
        |postfix| postfix.setting("message_size_limit = 120000"),
    )
    .await;
    site.user(ALICE).await;
    for address in [BOB, CAROL] {
        site.says(address, Said::Yes).await;
    }
    let milter = start_milter(&site).await;
    let message = |links: usize| {
        let mut html = String::from("<html><body>\r\n");
        for number in 0..links {
            html.push_str(&format!(
                "<p><a href=\"https://shop.example.org/{number}\">{}</a></p>\r\n",
                "look ".repeat(20)
            ));
        }
        html.push_str("</body></html>\r\n");
        Message::new(ALICE, BOB)
            .without_text()
            .html(&html)
            .encoding(Encoding::EightBit)
            .build()
    };
    let (small, large) = (message(100), message(720));
    assert!((105_000..115_000).contains(&large.len()), "{}", large.len());

    // What we would make of it Postfix refuses: "5.3.4 Message file too big".
    let alone = site.deliver(ALICE, &[BOB], &large).await;
    assert!(as_sent(&alone) == large);
    milter.log().wait_for("untouched: too-large").await;
    let together = site.deliver(ALICE, &[BOB, CAROL], &large).await;
    assert!(as_sent(&together) == large);
    let fits = site.deliver(ALICE, &[BOB], &small).await;
    assert_eq!(site.artefacts(&fits).links.len(), 100);
}

#[tokio::test]
async fn explaining_says_what_each_recipient_would_get() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = site("5s").await;
    let message = Message::new(ALICE, BOB).build();
    let explain = |more: &[&str]| {
        let mut arguments = vec!["explain", "--from", ALICE];
        for recipient in [BOB, DAVE] {
            arguments.extend(["--to", recipient]);
        }
        arguments.extend(more);
        let output = site
            .installation
            .run("fairtrack-milter", &arguments, &message);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };

    let words = explain(&[]);
    let data: serde_json::Value = serde_json::from_str(&explain(&["--json"])).unwrap();

    assert!(
        words.contains("would be split: a message to each recipient, 1 of 2 instrumented"),
        "{words}"
    );
    assert!(words.contains(&format!("{BOB}: opens allowed, clicks allowed; gets a copy instrumented for opens and links in HTML")), "{words}");
    assert!(
        words.contains(&format!(
            "{DAVE}: opens not allowed, clicks not allowed; gets the message as it came (untracked)"
        )),
        "{words}"
    );
    assert_eq!(data["split"], true);
    assert_eq!(data["reason"], serde_json::Value::Null);
    assert_eq!(data["recipients"][0]["copy"]["opens"], true);
    assert_eq!(data["recipients"][1]["reason"], "untracked");
}
