// SPDX-License-Identifier: GPL-3.0-or-later
//! A database on another host: reached through TLS, by its proven name, or not at all.

use harness::{
    clicks::until_replayed,
    database::Database,
    installation::Installation,
    needs,
    samples::Sample,
    web::{MAIL_PROGRAM, Visitor},
};

const NAME: &str = "db.example.com";

#[tokio::test]
async fn hit_is_recorded_over_an_encrypted_connection() {
    needs!(PostgreSql);
    let (database, url) = Database::start_with_tls(NAME).await;
    let authority = database.alone().authority().display().to_string();
    let url = format!("{url}&sslmode=verify-full&sslrootcert={authority}");
    let installation = Installation::on(&database).database_at(&url).write();
    let sample = Sample::with_consent(&installation, &database).await;
    let _collector = installation.start_collector().await;

    Visitor::with_agent(MAIL_PROGRAM).get(&sample.pixel()).await;

    // The connection is made meanwhile; on a slow machine the hit goes to the log first.
    until_replayed(&installation).await;
    assert_eq!(database.count("SELECT count(*) FROM hits", &[]).await, 1);
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE client_addr IS NOT NULL AND ssl";
    assert!(database.count(encrypted, &[]).await > 0);
}

#[tokio::test]
async fn server_that_cannot_prove_its_name_gets_nothing() {
    needs!(PostgreSql);
    let (database, url) = Database::start_with_tls("other.example.com").await;
    let authority = database.alone().authority().display().to_string();
    let elsewhere = url.replace("other.example.com", NAME);
    for (url, word) in [
        (format!("{url}&sslmode=verify-full"), "UnknownIssuer"),
        (
            format!("{elsewhere}&sslmode=verify-full&sslrootcert={authority}"),
            "not valid for name",
        ),
        (
            format!("{url}&sslmode=require&sslrootcert=/nowhere"),
            "/nowhere",
        ),
        (format!("{url}&sslmode=disable"), "no pg_hba.conf entry"),
        (format!("{url}&sslmode=always"), "is no sslmode"),
    ] {
        let installation = Installation::on(&database).database_at(&url).write();

        let output = installation.run("fairtrackctl", &["doctor"], b"");

        let said = String::from_utf8(output.stdout).unwrap();
        let line = said
            .lines()
            .find(|line| line.contains("database:"))
            .unwrap();
        assert!(line.contains(word), "{url}: {line}");
        assert_eq!(output.status.code(), Some(1));
    }
}
