// SPDX-License-Identifier: GPL-3.0-or-later
//! Two database servers: when the first goes and the second takes over, no answer breaks and no hit is lost.

use harness::{
    clicks::{Load, assert_kept, stored, until_replayed},
    database::Database,
    installation::Installation,
    log::PATIENCE,
    samples::Sample,
    web::{MAIL_PROGRAM, Visitor},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_to_the_other_host_loses_no_hit() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let replica = database.alone().start_replica().await;
    // The replica stands first: a server that takes no writes is passed over.
    let url = replica.url_with(database.alone(), &database);
    let installation = Installation::on(&database).database_at(&url).write();
    let address = installation.url().replace("http://", "");
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;

    let load = Load::start(sample, &address, 4);
    load.answers(300).await;
    let before = database.count("SELECT count(*) FROM hits", &[]).await;
    database.cluster().kill9();
    load.answers(200).await;
    replica.promote().await;
    load.answers(300).await;
    let (sample, answered) = load.stop().await;
    until_replayed(&installation).await;

    let client = replica.connect(&database).await;
    assert!(before > 0, "the first server was never written to");
    assert_kept(&answered, &stored(&client, &sample).await);
    // Straight to the new one, not by way of the log for ever.
    let mut visitor = Visitor::with_agent(MAIL_PROGRAM);
    let mut opens = 0;
    let until_direct = async {
        loop {
            let before = logged(&installation).await;
            visitor.get(&sample.pixel()).await;
            opens += 1;
            if logged(&installation).await == before {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, until_direct)
        .await
        .expect("every hit goes by way of the log");
    until_replayed(&installation).await;
    let stored = "SELECT count(*) FROM hits WHERE message_id = $1 AND ordinal = 0";
    let stored = client.query_one(stored, &[&sample.message.0]).await;
    assert_eq!(stored.unwrap().get::<_, i64>(0), opens);
}

/// Returns how many hits were handed to the local log so far.
async fn logged(installation: &Installation) -> String {
    let url = format!("{}/metrics", installation.admin_url());
    let metrics = Visitor::new().get(&url).await.text();
    let mut lines = metrics.lines();
    let logged = lines.find_map(|line| line.strip_prefix("fairtrack_hits_logged_total "));
    logged.expect("no such line").to_owned()
}
