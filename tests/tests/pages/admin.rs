// SPDX-License-Identifier: GPL-3.0-or-later
//! The administrators' page: how much, never what; a look is recorded and told.

use harness::{database::Database, installation::Installation};
use serde_json::Value;

use crate::account::Account;

/// Settling is held up by the table itself, so that what is due stays due.
#[tokio::test]
async fn hits_that_nobody_settles_show_and_frozen_ones_do_not() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("collector.administrators", vec!["boss@example.com"])
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let boss = Account::create(&database, "boss@example.com").await;
    anna.send(&database, 2).await;
    let is_well = async || {
        let url = format!("{}/admin", installation.url());
        let page = boss.browser().get(&url).await.text();
        page.contains("Everything that is due has been done")
    };

    let at_first = is_well().await;
    database
        .execute(
            "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER stay BEFORE DELETE ON arrivals FOR EACH ROW EXECUTE FUNCTION stay();
             INSERT INTO arrivals (controller_id, due_at, oldest_at, message_ids)
             VALUES ('example', now() - interval '1 hour', now() - interval '2 hours', '{}')",
        )
        .await;
    let with_hits = is_well().await;
    database
        .execute(
            "DROP TRIGGER stay ON arrivals; DELETE FROM arrivals;
             UPDATE messages SET frozen = true;
             INSERT INTO settlements (controller_id, message_id, due_at)
             SELECT controller_id, id, now() - interval '1 hour' FROM messages",
        )
        .await;
    let with_frozen_ones = is_well().await;

    assert_eq!((at_first, with_hits, with_frozen_ones), (true, false, true));
}

#[tokio::test]
async fn administrator_sees_counts_and_a_look_is_recorded_and_told() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("collector.administrators", vec!["boss@example.com"])
        .set("milter.users", "listed")
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let boss = Account::create(&database, "boss@example.com").await;
    anna.send(&database, 12).await;
    anna.agree(&installation.url()).await;
    let base = installation.url();
    let csrf = Account::csrf();
    let url = format!("{base}/admin");

    let page = boss.browser().get(&url).await;
    let text = page.text();

    assert_eq!(page.status, 200);
    assert!(text.contains("anna@example.com") && text.contains("granted"));
    for secret in ["stairwell", "customer", "recipient.test"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert_eq!(anna.browser().get(&url).await.status, 404);

    // Without a reason there is no look; with one it is written down and told.
    let look = format!("{base}/admin/look");
    let form = |reason: &'static str| {
        [
            ("csrf", csrf.clone()),
            ("login", "anna@example.com".to_owned()),
            ("reason", reason.to_owned()),
        ]
    };
    let post = async |account: &Account, reason: &'static str| {
        let fields = form(reason);
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        account.browser().post_form(&look, &fields).await
    };
    let without = post(&boss, " ").await;
    let before = database
        .count(
            "SELECT count(*) FROM acts WHERE act = 'user-looked-at'",
            &[],
        )
        .await;
    let with = post(&boss, "ticket 4711").await;
    let after = database
        .count(
            "SELECT count(*) FROM acts WHERE act = 'user-looked-at'",
            &[],
        )
        .await;
    let stranger = post(&anna, "curious").await;
    let told = anna
        .browser()
        .get(&format!("{base}/notifications"))
        .await
        .text();

    assert_eq!((without.status.as_u16(), before), (422, 0));
    assert!(with.text().contains("stairwell"));
    assert_eq!(after, 1);
    assert_eq!(stranger.status, 404);
    assert!(told.contains("ticket 4711"), "{told}");
    // Both acts stand in an unbroken chain: the attestations that `agree` wrote, and the look.
    let chain = installation.ctl(&["audit", "verify", "--json"]);
    let chain: Value = serde_json::from_str(&chain).unwrap();
    let acts = chain
        .as_array()
        .unwrap()
        .iter()
        .find(|log| log["log"] == "acts")
        .unwrap();
    assert_eq!(acts["fault"], Value::Null);
    let written = database.count("SELECT count(*) FROM acts", &[]).await;
    assert_eq!(acts["entries"], written);

    let entitle = format!("{base}/admin/users");
    let fields = [
        ("csrf", csrf.as_str()),
        ("login", "anna@example.com"),
        ("enabled", "false"),
    ];
    let done = boss.browser().post_form(&entitle, &fields).await;
    assert_eq!(done.status, 303);
    assert_eq!(
        anna.program()
            .get(&format!("{base}/api/v1/me"))
            .await
            .status,
        401
    );
    let foreign = [
        ("csrf", csrf.as_str()),
        ("login", "x@elsewhere.example"),
        ("enabled", "true"),
    ];
    assert_eq!(
        boss.browser().post_form(&entitle, &foreign).await.status,
        422
    );
}

/// An administrator who knows whom somebody wrote to today must not learn from a number who refused.
#[tokio::test]
async fn statistics_do_not_tell_of_one_refusal() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("collector.administrators", vec!["boss@example.com"])
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let boss = Account::create(&database, "boss@example.com").await;
    anna.send(&database, 12).await;
    let url = format!("{}/admin", installation.url());
    let statistics = async || {
        let page = boss.browser().get(&url).await.text();
        let (_, rest) = page.split_once("<h2 id=\"consents\">").unwrap();
        rest.split_once("</section>").unwrap().0.to_owned()
    };

    let before = statistics().await;
    anna.agree(&installation.url()).await;
    let granted = statistics().await;
    installation.ctl(&[
        "consent",
        "withdraw",
        "customer1@recipient.test",
        "--channel",
        "telephone",
    ]);
    let refused = statistics().await;

    assert!(before.contains("fewer than 10"), "{before}");
    assert_eq!(before, granted);
    assert_eq!(granted, refused);
    let events = "SELECT count(*) FROM consent_events WHERE state IN ('denied', 'withdrawn')";
    assert!(database.count(events, &[]).await > 0);
}
