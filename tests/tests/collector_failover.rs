// SPDX-License-Identifier: GPL-3.0-or-later
//! Two database servers: when the first goes and the second takes over, no answer breaks and no hit is lost.

use harness::{
    clicks::{Load, assert_kept, stored, until_replayed},
    database::Database,
    installation::Installation,
    samples::Sample,
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
    let state: bool = client
        .query_one("SELECT pg_is_in_recovery()", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!state);
}
