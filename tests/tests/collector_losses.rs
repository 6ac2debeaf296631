// SPDX-License-Identifier: GPL-3.0-or-later
//! An answered hit is a kept hit, whatever is killed, stopped or restarted meanwhile.

use std::time::{Duration, Instant};

use harness::{
    clicks::{Load, assert_kept, stored, until_replayed},
    database::Database,
    installation::{Installation, Program},
    samples::Sample,
    web::{MAIL_PROGRAM, Visitor},
};

/// What a round kills.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Both,
    Collector,
    Database,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_collector_and_database_under_load_loses_no_answered_hit() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let address = installation.url().replace("http://", "");
    let mut collector: Option<Program> = Some(installation.start_collector().await);
    let mut rounds = Vec::new();

    let victims = [Victim::Collector, Victim::Database, Victim::Both];
    for (round, victim) in (0..10).zip(victims.into_iter().cycle()) {
        let sample = Sample::with_consent(&installation, &database).await;
        let load = Load::start(sample, &address, 8);
        // Somewhere in the middle of it, each time elsewhere.
        load.answers(200 + 37 * round).await;
        if matches!(victim, Victim::Database | Victim::Both) {
            database.cluster().kill9();
            load.answers(13 * round).await;
        }
        if matches!(victim, Victim::Collector | Victim::Both) {
            collector.take().unwrap().kill9();
            collector = Some(installation.start_collector().await);
        }
        load.answers(50).await;
        if matches!(victim, Victim::Database | Victim::Both) {
            database.cluster().restart().await;
        }
        rounds.push((victim, load.stop().await));
    }
    until_replayed(&installation).await;

    for (victim, (sample, answered)) in rounds {
        let stored = stored(&database.connect().await, &sample).await;
        println!(
            "{victim:?}: {} answered, {} stored",
            answered.len(),
            stored.len()
        );
        assert_kept(&answered, &stored);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_and_stopped_database_breaks_no_answer_and_loses_no_hit() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let address = installation.url().replace("http://", "");
    let sample = Sample::with_consent(&installation, &database).await;
    let silent = Sample::without_consent(&installation, &database).await;
    let silent_message = silent.message;
    let _collector = installation.start_collector().await;

    let load = Load::start(sample, &address, 4);
    let unwanted = Load::start(silent, &address, 1);
    load.answers(200).await;
    database.cluster().pause();
    load.answers(50).await;
    database.cluster().resume();
    load.answers(200).await;
    database.cluster().stop();
    load.answers(200).await;
    database.cluster().restart().await;
    load.answers(200).await;
    let (sample, answered) = load.stop().await;
    unwanted.stop().await;
    until_replayed(&installation).await;

    let client = database.connect().await;
    assert_kept(&answered, &stored(&client, &sample).await);
    let unwanted = "SELECT count(*) FROM hits WHERE message_id = $1";
    assert_eq!(database.count(unwanted, &[&silent_message.0]).await, 0);
}

/// `FAIRTRACK_OUTAGE_SECONDS=60` makes the outage as long as the promise speaks of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_under_load_breaks_no_answer_and_is_made_up_for_within_a_minute() {
    harness::needs!(PostgreSql);
    let seconds = std::env::var("FAIRTRACK_OUTAGE_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let address = installation.url().replace("http://", "");
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;

    let load = Load::start(sample, &address, 2);
    load.answers(100).await;
    database.cluster().stop();
    // The length of the outage is what is tested.
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    database.cluster().restart().await;
    let back = Instant::now();
    let (sample, answered) = load.stop().await;
    until_replayed(&installation).await;

    println!(
        "{seconds} s away: {} hits answered, all in the database {} ms after its return",
        answered.len(),
        back.elapsed().as_millis()
    );
    let client = database.connect().await;
    assert_kept(&answered, &stored(&client, &sample).await);
}

#[tokio::test]
async fn hits_that_waited_are_dropped_if_consent_ended_meanwhile() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let kept = Sample::with_consent(&installation, &database).await;
    let withdrawn = Sample::with_consent(&installation, &database).await;
    let mut collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    database.cluster().kill9();
    for sample in [&kept, &withdrawn] {
        assert_eq!(visitor.get(&sample.pixel()).await.status, 200);
    }
    collector.kill9();
    database.cluster().restart().await;
    let client = database.connect().await;
    withdrawn.state(&client, "open", "withdrawn").await;
    let _collector = installation.start_collector().await;
    until_replayed(&installation).await;

    let count = "SELECT count(*) FROM hits WHERE message_id = $1";
    assert_eq!(database.count(count, &[&kept.message.0]).await, 1);
    assert_eq!(database.count(count, &[&withdrawn.message.0]).await, 0);
}

#[tokio::test]
async fn full_log_breaks_no_answer_and_is_counted() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database)
        .set("collector.hit_log_size", "1KB")
        .write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    database.cluster().kill9();

    for _ in 0..20 {
        assert_eq!(visitor.get(&sample.pixel()).await.status, 200);
    }
    let metrics = visitor
        .get(&format!("{}/metrics", installation.admin_url()))
        .await
        .text();
    let readiness = visitor
        .get(&format!("{}/readyz", installation.admin_url()))
        .await;
    database.cluster().restart().await;
    until_replayed(&installation).await;

    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("fairtrack_hits_lost_total "))
        .unwrap();
    let lost: i64 = line.parse().unwrap();
    assert!(lost > 0 && lost < 20, "{lost} lost");
    assert_eq!(readiness.status, 503);
    assert!(readiness.text().contains("database: away"));
    let hits = "SELECT count(*) FROM hits";
    assert_eq!(database.count(hits, &[]).await, 20 - lost);
}

#[tokio::test]
async fn log_of_another_release_is_set_aside_and_counted() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let folder = installation.hit_log();
    let set_aside = folder.join("0000000000000001.unreadable");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&set_aside, "set aside before").unwrap();
    std::fs::write(folder.join("0000000000000001.hits"), "FTHITS2\nrecords").unwrap();

    let collector = installation.start_collector().await;
    until_replayed(&installation).await;

    let metrics = Visitor::with_agent(MAIL_PROGRAM)
        .get(&format!("{}/metrics", installation.admin_url()))
        .await
        .text();
    assert!(metrics.contains("fairtrack_hits_lost_total 1\n"));
    assert!(metrics.contains("fairtrack_hit_log_torn_total 0\n"));
    assert!(collector.log().to_string().contains("set aside"));
    let kept = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(kept("0000000000000001.unreadable"), "set aside before");
    assert_eq!(kept("0000000000000001.1.unreadable"), "FTHITS2\nrecords");
}

#[tokio::test]
async fn hit_that_is_accepted_at_the_second_try_repeats_nothing() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        // Through the database first.
        .set("collector.answer_within", "30s")
        .write();
    let sample = Sample::with_consent(&installation, &database).await;
    // Refused at once, and refused once more when it is replayed in a batch; accepted by itself.
    database
        .execute(
            "CREATE SEQUENCE tries; GRANT USAGE ON SEQUENCE tries TO PUBLIC;
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('tries') <= 2 THEN RAISE check_violation; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON hits FOR EACH ROW EXECUTE FUNCTION refuse();",
        )
        .await;
    let _collector = installation.start_collector().await;
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);

    visitor.get(&sample.pixel()).await;
    until_replayed(&installation).await;

    let tries = "SELECT last_value FROM tries";
    assert_eq!(database.count(tries, &[]).await, 3);
    let people = "SELECT count(*) FROM hits WHERE class = 'human' AND duplicate_of IS NULL";
    assert_eq!(database.count(people, &[]).await, 1);
}
