// SPDX-License-Identifier: GPL-3.0-or-later
//! What is counted and told once verdicts are settled.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::time::Duration;

use collector::auth::secret;
use harness::{
    database::{Database, wait_for_a_waiter},
    installation::{Builder, Installation},
    samples::Sample,
    web::{MAIL_PROGRAM, Visitor},
};
use tokio_postgres::Client;

/// Settles after a moment instead of a minute.
fn hasty(database: &Database) -> Builder {
    Installation::on(database)
        .set("classify.settle", "100ms")
        .set("classify.late_recheck", "500ms")
}

/// Waits until so many hits are in the database.
async fn until_recorded(client: &Client, hits: i64) {
    let wait = async {
        loop {
            let row = client.query_one("SELECT count(*) FROM hits", &[]).await;
            if row.unwrap().get::<_, i64>(0) >= hits {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(harness::log::PATIENCE, wait)
        .await
        .expect("the hits never came");
}

/// Waits until no verdict is left to be settled.
async fn until_settled(client: &Client, hits: i64) {
    let wait = async {
        loop {
            let row = client
                .query_one(
                    "SELECT count(*) FILTER (WHERE settled AND at <= settled_until),
                        (SELECT count(*) FROM settlements) + (SELECT count(*) FROM arrivals)
                     FROM hits JOIN messages ON messages.id = message_id",
                    &[],
                )
                .await
                .unwrap();
            if (row.get::<_, i64>(0), row.get::<_, i64>(1)) == (hits, 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(harness::log::PATIENCE, wait)
        .await
        .expect("the verdicts were never settled");
}

async fn counters(client: &Client, sample: &Sample) -> (i32, i32, i32) {
    let row = client
        .query_one(
            "SELECT open_count, click_count, automatic_count FROM messages WHERE id = $1",
            &[&sample.message.0],
        )
        .await
        .unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn told(client: &Client) -> Vec<String> {
    let rows = client
        .query("SELECT kind FROM notifications ORDER BY id", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn open_of_a_person_is_counted_and_told_once() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = hasty(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let client = database.connect().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    visitor.get(&sample.pixel()).await;
    until_settled(&client, 1).await;
    visitor.get(&sample.pixel()).await;
    until_settled(&client, 2).await;

    assert_eq!(counters(&client, &sample).await, (1, 0, 0));
    assert_eq!(told(&client).await, ["first-open"]);
    let duplicates = "SELECT count(*) FROM hits d JOIN hits o ON d.duplicate_of = o.id
        WHERE d.class = 'duplicate' AND o.class = 'human'";
    assert_eq!(database.count(duplicates, &[]).await, 1);
    let activity = "SELECT sum(opens) FROM activity WHERE clicks = 0 AND automatic = 0";
    assert_eq!(database.count(activity, &[]).await, 1);
}

#[tokio::test]
async fn hit_of_which_it_is_not_clear_who_made_it_is_counted_apart_until_it_is_withdrawn() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = hasty(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let client = database.connect().await;
    let unclear =
        "SELECT (unclear_opens * 10 + unclear_clicks)::bigint FROM messages WHERE id = $1";

    let mut visitor = Visitor::with_agent("Fenster/1.0 (somebody's own program)");
    visitor.get(&sample.pixel()).await;
    until_settled(&client, 1).await;
    let counted = database.count(unclear, &[&sample.message.0]).await;
    let address = format!("{}@elsewhere.example", sample.subject);
    installation.ctl(&["consent", "withdraw", &address, "--channel", "telephone"]);

    assert_eq!(counted, 10);
    assert_eq!(counters(&client, &sample).await, (0, 0, 0));
    assert_eq!(database.count(unclear, &[&sample.message.0]).await, 0);
}

/// Somebody else is about to notify the same user and has a number already: whoever saw a higher one first would miss it.
#[tokio::test]
async fn numbers_of_notifications_appear_in_their_order() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = hasty(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let (client, mut other) = (database.connect().await, database.connect().await);
    let first = other.transaction().await.unwrap();
    let said = "WITH held AS MATERIALIZED (
            SELECT pg_advisory_xact_lock(hashtextextended('notifications|example|' || $1::uuid, 0)) AS lock)
        INSERT INTO notifications (controller_id, user_id, kind, detail, at)
        SELECT 'example', $1, 'warning', 'first', now() FROM held";
    first.execute(said, &[&sample.user]).await.unwrap();

    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    visitor.get(&sample.pixel()).await;
    wait_for_a_waiter(&client).await;
    let before = told(&client).await;
    first.commit().await.unwrap();
    until_settled(&client, 1).await;

    assert_eq!(before, Vec::<String>::new());
    assert_eq!(told(&client).await, ["warning", "first-open"]);
}

/// Settling takes the hours in their order: whoever takes them in another one may wait for it while it waits.
#[tokio::test]
async fn withdrawal_takes_the_hours_of_the_picture_in_their_order() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let (client, mut settling) = (database.connect().await, database.connect().await);
    // The last hour first, so that the order in which the rows lie is the wrong one.
    for statement in [
        "INSERT INTO activity (controller_id, user_id, hour, opens)
         SELECT 'example', user_id, date_trunc('hour', now() - n * interval '1 hour', 'UTC'), 1
         FROM messages, generate_series(1, 20) n WHERE id = $1 ORDER BY n",
        "INSERT INTO hits SELECT 'example', $1, now() - n * interval '1 hour', gen_random_uuid(), 'open', 0, '{}', 'human',
            90, '{R50a}', 1, true FROM generate_series(1, 20) n",
        "UPDATE messages SET settled_until = now(), open_count = 20 WHERE id = $1",
    ] {
        client
            .execute(statement, &[&sample.message.0])
            .await
            .unwrap();
    }
    let _collector = installation.start_collector().await;
    let first = settling.transaction().await.unwrap();
    let lock = "SELECT FROM activity WHERE user_id = $1 ORDER BY hour LIMIT 1 FOR UPDATE";
    first.execute(lock, &[&sample.user]).await.unwrap();

    let mut visitor = Visitor::new();
    let (url, fields) = (sample.choices(), [("Tracking-Consent", "Withdraw")]);
    let withdrawal = visitor.post_form(&url, &fields);
    let meanwhile = async {
        wait_for_a_waiter(&client).await;
        let others =
            "SELECT FROM activity WHERE user_id = $1 ORDER BY hour OFFSET 1 FOR UPDATE NOWAIT";
        let free = first.execute(others, &[&sample.user]).await;
        first.commit().await.unwrap();
        free
    };
    let (answer, free) = tokio::join!(withdrawal, meanwhile);

    assert_eq!(free.unwrap(), 19);
    assert_eq!(answer.status, 200);
    let left = "SELECT sum(opens) FROM activity";
    assert_eq!(database.count(left, &[]).await, 0);
}

#[tokio::test]
async fn sweep_of_a_scanner_is_counted_apart_and_never_told() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = hasty(&database).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let client = database.connect().await;
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";
    let mut scanner = Visitor::with_agent(agent).header("Accept-Language", "en");

    for ordinal in 1..=5 {
        scanner
            .get(&sample.link(ordinal, "https://a.example/"))
            .await;
    }
    until_settled(&client, 5).await;

    assert_eq!(counters(&client, &sample).await, (0, 0, 5));
    assert_eq!(told(&client).await, Vec::<String>::new());
    assert_eq!(
        database
            .count("SELECT sum(automatic) FROM activity", &[])
            .await,
        5
    );
}

#[tokio::test]
async fn settings_mute_and_withdrawal_keep_it_quiet() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("classify.settle", "3s")
        .write();
    let [silent, muted, withdrawn] = [
        Sample::with_consent(&installation, &database).await,
        Sample::with_consent(&installation, &database).await,
        Sample::with_consent(&installation, &database).await,
    ];
    let client = database.connect().await;
    client
        .execute(
            "UPDATE users SET notifications = 'clicks' WHERE id = $1",
            &[&silent.user],
        )
        .await
        .unwrap();
    client
        .execute(
            "UPDATE messages SET muted = true WHERE id = $1",
            &[&muted.message.0],
        )
        .await
        .unwrap();
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    for sample in [&silent, &muted, &withdrawn] {
        visitor.get(&sample.pixel()).await;
    }
    until_recorded(&client, 3).await;
    withdrawn.state(&client, "open", "withdrawn").await;
    until_settled(&client, 3).await;

    assert_eq!(counters(&client, &silent).await, (1, 0, 0));
    assert_eq!(told(&client).await, Vec::<String>::new());
}

#[tokio::test]
async fn two_collectors_on_one_database_count_and_tell_once() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let one = hasty(&database).write();
    let other = hasty(&database).write();
    std::fs::copy(one.keys(), other.keys()).unwrap();
    let mut samples = Vec::new();
    for _ in 0..10 {
        samples.push(Sample::with_consent(&one, &database).await);
    }
    let _first = one.start_collector().await;
    let _second = other.start_collector().await;
    let client = database.connect().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    for sample in &samples {
        visitor.get(&sample.pixel()).await;
        let elsewhere = sample.pixel().replace(&one.url(), &other.url());
        visitor.get(&elsewhere).await;
    }
    until_settled(&client, 20).await;

    for sample in &samples {
        assert_eq!(counters(&client, sample).await, (1, 0, 0));
    }
    assert_eq!(told(&client).await, ["first-open"; 10]);
    assert_eq!(
        database.count("SELECT sum(opens) FROM activity", &[]).await,
        10
    );
}

#[tokio::test]
async fn sender_who_is_signed_in_is_nobodys_reader() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = hasty(&database)
        // Through the database: a session is not written to the log.
        .set("collector.answer_within", "30s")
        .write();
    let own = Sample::with_consent(&installation, &database).await;
    let foreign = Sample::with_consent(&installation, &database).await;
    let client = database.connect().await;
    let session = secret::random().unwrap();
    client
        .execute(
            "INSERT INTO sessions VALUES ('example', $1, $2, $3, now(), now(), now() + interval '1 day')",
            &[&secret::hash(&session), &own.user, &vec![7_u8; 32]],
        )
        .await
        .unwrap();
    let _collector = installation.start_collector().await;
    let mut sender =
        Visitor::with_agent(MAIL_PROGRAM).header("Cookie", &format!("fairtrack={session}"));

    for sample in [&own, &foreign] {
        sender.get(&sample.pixel()).await;
    }
    until_settled(&client, 2).await;

    assert_eq!(counters(&client, &own).await, (0, 0, 0));
    assert_eq!(counters(&client, &foreign).await, (1, 0, 0));
    assert_eq!(told(&client).await, ["first-open"]);
    let hidden = "SELECT count(*) FROM hits WHERE class = 'self' AND message_id = $1";
    assert_eq!(database.count(hidden, &[&own.message.0]).await, 1);
}

#[tokio::test]
async fn only_who_reads_the_mail_of_three_people_is_a_crowd() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        // Through the database: where a hit came from is not written to the log.
        .set("collector.answer_within", "30s")
        .write();
    let (mut single, mut shared, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        single.push(Sample::with_consent(&installation, &database).await);
        shared.push(Sample::with_consent(&installation, &database).await);
        hidden.push(Sample::with_consent(&installation, &database).await);
    }
    let client = database.connect().await;
    for sample in &shared {
        let second = Sample::with_consent(&installation, &database).await;
        client
            .execute(
                "INSERT INTO message_recipients VALUES ('example', $1, $2)",
                &[&sample.message.0, &second.subject],
            )
            .await
            .unwrap();
    }
    let _collector = installation.start_collector().await;
    let from = |address: &str| Visitor::with_agent(MAIL_PROGRAM).header("X-Forwarded-For", address);

    for (samples, mut visitor) in [
        (&single, from("203.0.113.7")),
        (&shared, from("203.0.113.8")),
        // The proxy says nothing about who asks.
        (&hidden, Visitor::with_agent(MAIL_PROGRAM)),
    ] {
        for sample in samples {
            visitor.get(&sample.pixel()).await;
        }
    }

    let crowded = "SELECT count(*) FROM hits WHERE features ? 'cr' AND message_id = ANY ($1)";
    let traced =
        "SELECT count(*) FROM hits WHERE features ->> 'i' <> '0' AND message_id = ANY ($1)";
    for (samples, crowd, traces) in [(single, 1, 3), (shared, 0, 3), (hidden, 0, 0)] {
        let messages: Vec<_> = samples.iter().map(|sample| sample.message.0).collect();
        assert_eq!(database.count(crowded, &[&messages]).await, crowd);
        assert_eq!(database.count(traced, &[&messages]).await, traces);
    }
}

#[tokio::test]
async fn filter_that_takes_the_mail_is_known_by_its_name() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let name_server = name_server_of("mx0a-1.pphosted.com").await;
    let installation = hasty(&database)
        .set("classify.name_server", name_server.to_string())
        .write();
    let sample = Sample::with_consent(&installation, &database).await;
    let client = database.connect().await;
    let sent = "UPDATE messages SET sent_at = now() - interval '30 seconds'";
    client.execute(sent, &[]).await.unwrap();
    let _collector = installation.start_collector().await;
    // No list knows it, and nothing speaks for a person.
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";
    let mut visitor = Visitor::with_agent(agent).header("X-Forwarded-For", "203.0.113.9");

    visitor.get(&sample.link(1, "https://a.example/")).await;
    until_settled(&client, 1).await;

    let row = client
        .query_one(
            "SELECT class, reasons, exchanger FROM hits JOIN messages ON messages.id = message_id",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "security-scanner");
    assert_eq!(row.get::<_, Vec<String>>(1), ["R34"]);
    assert_eq!(row.get::<_, Option<&str>>(2), Some("proofpoint"));
}

/// Starts a name server that names one host as the exchanger of every domain, and returns where it listens.
async fn name_server_of(host: &'static str) -> std::net::SocketAddr {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            let mut answer: Vec<u8> = question.into_iter().take(length).collect();
            // An answer of a resolver, with one record.
            answer.splice(2..4, [0x81, 0x80]);
            answer.splice(7..8, [1]);
            let mut name: Vec<u8> = host.split('.').fold(Vec::new(), |mut name, label| {
                name.push(u8::try_from(label.len()).unwrap());
                name.extend(label.bytes());
                name
            });
            name.push(0);
            // The name in question; an exchanger, for five minutes, of preference 10.
            answer.extend([0xC0, 12, 0, 15, 0, 1, 0, 0, 1, 44]);
            answer.extend(u16::try_from(name.len() + 2).unwrap().to_be_bytes());
            answer.extend([0, 10]);
            answer.extend(name);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}
