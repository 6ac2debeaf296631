// SPDX-License-Identifier: GPL-3.0-or-later
//! What the milter decides, and what it leaves in the database about it.

use std::time::{Duration, Instant};

use harness::{
    database::Database,
    messages::Message,
    needs,
    site::{ALICE, ANNA, BOB, Said, Site},
};

#[tokio::test]
async fn instrumented_message_is_written_down_with_links_and_recipients() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let milter = site.installation.start_milter().await;
    let message = Message::new(ALICE, BOB).field("Subject", "[track] =?utf-8?Q?Za=C5=BC?=");

    let delivery = site.deliver(ALICE, &[BOB], &message.build()).await;

    assert_eq!(
        delivery.field("Subject").unwrap().trim(),
        "=?utf-8?Q?Za=C5=BC?="
    );
    let row = "SELECT count(*) FROM messages m
         JOIN tracked_links l ON l.message_id = m.id JOIN message_recipients r ON r.message_id = m.id
         JOIN subjects s USING (subject_ref)
         WHERE m.opens AND m.links AND m.reason IS NULL AND m.subject = 'Zaż' AND l.host = 'shop.example.org'
         AND s.address = $1 AND m.message_id_header = '<20261124120000.1@example.com>'
         AND jsonb_array_length(m.record->'parts') = 2";
    assert_eq!(site.database.count(row, &[&BOB]).await, 1);
    milter
        .log()
        .wait_for("instrumented opens=yes links=1")
        .await;
}

#[tokio::test]
async fn recipient_whom_another_milter_writes_down_meanwhile_is_one_and_the_same() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::with(Database::start().await, |builder| {
        builder.set("milter.deadline", "20s")
    })
    .await;
    site.user(ALICE).await;
    let _milter = site.installation.start_milter().await;
    let (mut other, watcher) = (site.database.connect().await, site.database.connect().await);
    let insert = "INSERT INTO subjects (controller_id, subject_ref, address, base_address)
        VALUES ('example', gen_random_uuid(), $1, $1)";
    let transaction = other.transaction().await.unwrap();
    transaction.execute(insert, &[&BOB]).await.unwrap();

    let message = Message::new(ALICE, BOB).build();
    let submission = site.submit(ALICE, &[BOB], &message);
    let commit = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while watcher
            .query_one(waiting, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 0
        {}
        transaction.commit().await.unwrap();
    };
    let (reply, ()) = tokio::join!(submission, commit);

    assert_eq!(reply.code, 250);
    let rows = "SELECT count(*) FROM message_recipients JOIN subjects USING (subject_ref) WHERE address = $1";
    assert_eq!(site.database.count(rows, &[&BOB]).await, 1);
}

#[tokio::test]
async fn untouched_message_is_written_down_with_its_reason_where_its_user_asked() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.user(ANNA).await;
    site.database
        .execute("UPDATE users SET opens = false, links = false WHERE login LIKE 'anna%'")
        .await;
    let _milter = site.installation.start_milter().await;

    let list = Message::new(ALICE, BOB).field("List-Id", "<l.example.com>");
    site.deliver(ALICE, &[BOB], &list.build()).await;
    site.deliver(ALICE, &[BOB], &Message::new(ALICE, BOB).build())
        .await;
    let choice = Message::new(ALICE, BOB).field("X-Track", "no; once");
    site.deliver(ALICE, &[BOB], &choice.build()).await;
    let strange = Message::new(ALICE, BOB).field("X-Track", "perhaps");
    site.deliver(ALICE, &[BOB], &strange.build()).await;
    site.deliver(ANNA, &[BOB], &Message::new(ANNA, BOB).build())
        .await;

    let client = site.database.connect().await;
    let rows = client
        .query("SELECT reason FROM messages ORDER BY sent_at", &[])
        .await
        .unwrap();
    let reasons: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(reasons, ["list", "untracked", "control", "control"]);
    let warnings =
        "SELECT count(*) FROM notifications WHERE kind = 'warning' AND detail ILIKE '%x-track%'";
    assert_eq!(site.database.count(warnings, &[]).await, 1);
}

#[tokio::test]
async fn choice_becomes_the_default_unless_it_is_for_once() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    let _milter = site.installation.start_milter().await;
    let defaults_after = async |field: &str, value: &str| {
        let message = Message::new(ALICE, BOB).field(field, value).build();
        site.deliver(ALICE, &[BOB], &message).await;
        let client = site.database.connect().await;
        let row = client
            .query_one("SELECT opens, links FROM users", &[])
            .await
            .unwrap();
        (row.get::<_, bool>(0), row.get::<_, bool>(1))
    };

    assert_eq!(defaults_after("X-Track", "no; once").await, (true, true));
    assert_eq!(defaults_after("X-Track-Opens", "no").await, (false, true));
    assert_eq!(defaults_after("X-Track", "yes").await, (true, true));
}

#[tokio::test]
async fn first_choice_of_a_login_makes_its_user() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    let _milter = site.installation.start_milter().await;
    let plain = Message::new(ALICE, BOB);
    let users = "SELECT count(*) FROM users WHERE opens";

    site.deliver(ALICE, &[BOB], &plain.build()).await;
    assert_eq!(
        site.database.count("SELECT count(*) FROM users", &[]).await,
        0
    );
    let choosing = plain.field("X-Track", "yes").build();
    site.deliver(ALICE, &[BOB], &choosing).await;

    assert_eq!(site.database.count(users, &[]).await, 1);
}

#[tokio::test]
async fn reply_of_a_user_who_tracks_nothing_carries_no_old_artefacts() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let milter = site.installation.start_milter().await;
    let sent = site
        .deliver(ALICE, &[BOB], &Message::new(ALICE, BOB).build())
        .await;
    let ours = site.artefacts(&sent);
    let quoted = format!(
        "<html><body><p>See below.</p><blockquote><p><a href=\"{}\">offer</a></p>\
         <img src=\"{}\" width=\"1\" height=\"1\" alt=\"\"></blockquote></body></html>\r\n",
        ours.links[0], ours.pixels[0]
    );

    let reply = Message::new(ANNA, BOB).html(&quoted).build();
    let delivery = site.deliver(ANNA, &[BOB], &reply).await;

    assert!(site.artefacts(&delivery).is_empty());
    assert!(
        String::from_utf8_lossy(&delivery.message).contains("shop.example.org"),
        "the link leads where it led before"
    );
    milter.log().wait_for("untouched: off unwrapped=yes").await;
}

#[tokio::test]
async fn database_that_hangs_delays_one_message_and_not_the_next() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let mut site = Site::with(Database::start_alone().await, |builder| builder).await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let milter = site.installation.start_milter().await;
    let plain = Message::new(ALICE, BOB);
    let choosing = plain.clone().field("X-Track", "yes").build();
    site.deliver(ALICE, &[BOB], &plain.build()).await;

    site.database.cluster().pause();
    let first = site.deliver(ALICE, &[BOB], &choosing).await;
    let begun = Instant::now();
    let second = site.deliver(ALICE, &[BOB], &choosing).await;
    let took = begun.elapsed();
    site.database.cluster().resume();

    for delivery in [first, second] {
        assert_eq!(delivery.without_trace_and_signature(), plain.build());
    }
    assert!(took < Duration::from_millis(1_400), "{took:?}");
    milter.log().wait_for("untouched: deadline").await;
    milter.log().wait_for("untouched: database").await;
    milter.log().wait_for("the database answers again").await;
    let delivery = site.deliver(ALICE, &[BOB], &plain.build()).await;
    assert!(!site.artefacts(&delivery).is_empty());
}

#[tokio::test]
async fn explaining_says_what_would_be_done_and_changes_nothing() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.user(ALICE).await;
    let explain = |to: &str| {
        let arguments = ["explain", "--from", ALICE, "--to", to, "--json"];
        let output = site.installation.run(
            "fairtrack-milter",
            &arguments,
            &Message::new(ALICE, BOB).build(),
        );
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };

    let before = explain(BOB);
    site.says(BOB, Said::Yes).await;
    let after = explain(BOB);
    let internal = explain(ANNA);

    assert_eq!(before["reason"], "untracked");
    assert_eq!(before["recipients"][0]["open"], false);
    assert_eq!(after["reason"], serde_json::Value::Null);
    assert_eq!(after["purposes"]["opens"], true);
    assert_eq!(
        after["record"]["parts"][1]["links"][0]["host"],
        "shop.example.org"
    );
    assert_eq!(internal["reason"], "internal");
    assert_eq!(
        site.database
            .count("SELECT count(*) FROM messages", &[])
            .await,
        0
    );
}
