// SPDX-License-Identifier: GPL-3.0-or-later
//! PgBouncer between the programs and PostgreSQL: a message is instrumented and its hit is recorded.

use std::process::Command;

use harness::{
    clicks::until_replayed,
    database::Database,
    messages::Message,
    needs,
    programs::find,
    scratch::{Scratch, give_to},
    server::{Server, command_as},
    site::{ALICE, BOB, Said, Site},
    web::{MAIL_PROGRAM, Visitor},
};
use nix::sys::signal::Signal;

/// A running PgBouncer and the URL of a database behind it.
struct Pool {
    _server: Server,
    _scratch: Scratch,
    url: String,
}

impl Pool {
    /// Tells whether it follows prepared statements from one server connection to another, as 1.21 and later do.
    fn follows_statements() -> bool {
        let output = Command::new(find("pgbouncer").unwrap())
            .arg("--version")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = said.split_whitespace().nth(1).unwrap();
        let mut numbers = version.split('.').map(|number| number.parse().unwrap());
        (numbers.next(), numbers.next()) >= (Some(1), Some(21))
    }

    async fn before(database: &Database, mode: &str) -> Self {
        let scratch = Scratch::new("pool");
        give_to(scratch.path(), "postgres");
        let url = database.url();
        let (name, rest) = url
            .trim_start_matches("postgres:///")
            .split_once('?')
            .unwrap();
        let folder = rest
            .split('&')
            .find_map(|pair| pair.strip_prefix("host="))
            .unwrap();
        let place = scratch.path().display();
        let configuration = scratch.write(
            "pgbouncer.ini",
            format!(
                "[databases]\n{name} = host={folder} user=postgres\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {place}\n\
                 listen_port = 6432\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 20\n\
                 {}\n",
                if Self::follows_statements() {
                    "max_prepared_statements = 200"
                } else {
                    ""
                }
            ),
        );
        let mut command: Command = command_as("postgres", find("pgbouncer").unwrap());
        command.arg(configuration).current_dir(scratch.path());
        let server = Server::start(&scratch, "pgbouncer", &mut command, Signal::SIGTERM);
        server.log().wait_for("process up").await;
        Self {
            url: format!("postgres:///{name}?host={place}&port=6432&user=postgres"),
            _server: server,
            _scratch: scratch,
        }
    }
}

#[tokio::test]
async fn pooled_sessions_serve_milter_and_collector() {
    needs!(PostgreSql, Postfix, OpenDkim, PgBouncer);
    serve("session").await;
}

#[tokio::test]
async fn pooled_transactions_serve_milter_and_collector() {
    needs!(PostgreSql, Postfix, OpenDkim, PgBouncer);
    if Pool::follows_statements() {
        serve("transaction").await;
    } else {
        eprintln!(
            "PgBouncer is older than 1.21: it cannot serve our prepared statements in this mode"
        );
    }
}

async fn serve(mode: &str) {
    let database = Database::start_alone().await;
    let pool = Pool::before(&database, mode).await;
    let url = pool.url.clone();
    let site = Site::with(database, |builder| builder.database_at(&url)).await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let _milter = site.installation.start_milter().await;
    let collector = site.installation.start_collector().await;
    let message = Message::new(ALICE, BOB).build();

    for number in 1..=20 {
        let delivery = site.deliver(ALICE, &[BOB], &message).await;
        let ours = site.artefacts(&delivery);
        assert_eq!(ours.pixels.len(), 1, "message {number}");
        Visitor::with_agent(MAIL_PROGRAM).get(&ours.pixels[0]).await;
    }

    // On a slow machine a hit goes by way of the local log.
    until_replayed(&site.installation).await;
    let hits = "SELECT count(*) FROM hits";
    assert_eq!(
        site.database.count(hits, &[]).await,
        20,
        "{}",
        collector.log()
    );
}
