// SPDX-License-Identifier: GPL-3.0-or-later
//! What a page costs does not grow with the archive.

use harness::{database::Database, installation::Installation};

use crate::account::Account;

/// What one request cost.
#[derive(Debug, Eq, PartialEq)]
struct Cost {
    queries: usize,
    bytes: usize,
}

#[tokio::test]
async fn hundred_thousand_messages_cost_what_two_hundred_do() {
    harness::needs!(PostgreSql);
    let mut database = Database::start_alone().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let few = Account::create(&database, "ania@example.com").await;
    let many = Account::create(&database, "anna@example.com").await;
    few.send(&database, 200).await;
    many.send(&database, 100_000).await;
    database.execute("ANALYZE").await;
    // What is said of each message differs in length: here it is the same for all.
    database
        .execute(
            "UPDATE messages SET subject = 'the same', sent_at = date_trunc('day', now()) - interval '1 hour' - interval '1 second' * substr(queue_id, 2)::int / 100,
                first_open_at = NULL, last_open_at = NULL, first_click_at = NULL, last_click_at = NULL, open_count = 0, click_count = 0,
                automatic_count = 0, opens = true, links = true, reason = NULL;
             DELETE FROM activity; DELETE FROM notifications;
             UPDATE subjects SET address = 'x' || substr(md5(address), 1, 8) || '@recipient.test'",
        )
        .await;
    for statement in [
        "ALTER SYSTEM SET log_statement = 'all'",
        "SELECT pg_reload_conf()",
    ] {
        database.execute(statement).await;
    }
    let base = installation.url();

    for path in ["/", "/?state=quiet", "/api/v1/messages", "/notifications"] {
        let url = format!("{base}{path}");
        // The first request of each kind may prepare statements.
        for account in [&few, &many] {
            account.browser().get(&url).await;
        }
        let small = cost(&few, &url, &mut database).await;
        let large = cost(&many, &url, &mut database).await;

        assert_eq!(small.queries, large.queries, "{path}");
        assert!(small.queries > 1 && small.queries < 12, "{path}: {small:?}");
        let difference = small.bytes.abs_diff(large.bytes);
        assert!(
            difference * 50 < small.bytes,
            "{path}: {small:?}, {large:?}"
        );
    }
}

async fn cost(account: &Account, url: &str, database: &mut Database) -> Cost {
    let mark = database.cluster().log().mark();
    let answer = account.browser().get(url).await;
    assert_eq!(answer.status, 200);
    // A word of ours in the log, behind all that was asked before.
    let word = uuid::Uuid::new_v4().to_string();
    database.execute(&format!("SELECT '{word}'")).await;
    let log = database.cluster().log();
    log.wait_for_after(mark, &word).await;
    let queries = log
        .lines()
        .iter()
        .skip(mark)
        .filter(|line| line.contains("execute ") && line.contains("controller_id"))
        // Jobs ask besides.
        .filter(|line| {
            !["settlements", "webhook", "digest"]
                .iter()
                .any(|job| line.contains(job))
        })
        .count();
    Cost {
        queries,
        bytes: answer.body.len(),
    }
}
