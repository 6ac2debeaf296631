// SPDX-License-Identifier: GPL-3.0-or-later
//! Signals, as the real program takes them.

use harness::{database::Database, installation::Installation, needs};
use tokio::net::{TcpListener, UnixStream};

use crate::mta::Mta;

const ANNA: Option<&str> = Some("anna@example.com");

async fn connect(installation: &Installation) -> Mta {
    let socket = installation.milter_socket();
    let path = socket.trim_start_matches("unix:");
    Mta::over(Box::new(UnixStream::connect(path).await.unwrap())).await
}

/// Tells whether a message of this size is taken whole.
async fn takes(mta: &mut Mta, size: usize) -> bool {
    mta.mail(ANNA).await;
    mta.recipient("<ewa@customer.example>").await;
    let answer = mta.ask(b'B', &vec![b'x'; size]).await;
    mta.send(b'E', b"").await;
    mta.verdict().await;
    answer == b'c'
}

#[tokio::test]
async fn hangup_changes_what_can_change_from_the_next_message_on() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("milter.max_message_size", "1KB")
        .set("milter.max_sessions", 50)
        .write();
    let milter = installation.start_milter().await;
    let mut session = connect(&installation).await;
    assert!(!takes(&mut session, 20_000).await);
    let path = installation.configuration();
    let before = std::fs::read_to_string(&path).unwrap();
    let after = before
        .replace("max_message_size = \"1KB\"", "max_message_size = \"1MB\"")
        .replace("max_sessions = 50", "max_sessions = 1")
        .replace(
            "domains = [\"example.com\"]",
            "domains = [\"example.net\", \"example.com\"]",
        );
    std::fs::write(&path, after).unwrap();

    milter.reload();
    milter.log().wait_for("configuration read again").await;

    assert!(takes(&mut session, 20_000).await, "{}", milter.log());
    // The limit of sessions takes a restart: a second one is welcome.
    assert!(takes(&mut connect(&installation).await, 20_000).await);
    let log = milter.log().to_string();
    assert!(
        log.contains("\"milter.max_sessions\" keeps its old value until a restart"),
        "{log}"
    );
    assert!(!log.contains("\"milter.max_message_size\" keeps"), "{log}");
}

#[tokio::test]
async fn hangup_with_a_configuration_that_cannot_be_meant_changes_nothing() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database)
        .set("milter.max_message_size", "1KB")
        .write();
    let milter = installation.start_milter().await;
    std::fs::write(
        installation.configuration(),
        "[milter]\nmax_mesage_size = \"1MB\"\n",
    )
    .unwrap();

    milter.reload();
    milter
        .log()
        .wait_for("the old configuration stays in use")
        .await;

    assert!(!takes(&mut connect(&installation).await, 20_000).await);
}

#[tokio::test]
async fn termination_finishes_the_message_in_flight() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://nobody@{}/x", silent.local_addr().unwrap());
    let installation = Installation::on(&database)
        .database_at(&url)
        .set("milter.deadline", "1s")
        .write();
    let mut milter = installation.start_milter().await;
    // At start the program writes its controllers down.
    let _start = silent.accept().await.unwrap();
    let mut mta = connect(&installation).await;
    mta.mail(ANNA).await;
    mta.message(&[("X-Track", " yes")], b"hello\r\n").await;
    // It is at work once it asks the database.
    let _asked = silent.accept().await.unwrap();

    milter.signal(nix::sys::signal::Signal::SIGTERM);
    let frames = mta.verdict().await;
    let status = milter.terminate();

    assert_eq!(frames.last().map(|(kind, _)| *kind), Some(b'a'));
    assert!(
        frames.iter().any(|(kind, _)| *kind == b'm'),
        "the field is removed"
    );
    assert!(status.success(), "{status}");
    let socket = installation.milter_socket();
    assert!(!std::path::Path::new(socket.trim_start_matches("unix:")).exists());
}

/// A slot of the journal may name a message whose transaction was never committed.
#[tokio::test]
async fn program_that_stops_does_not_wait_for_a_row_that_is_not_there() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let mut slot = [0; 128];
    slot[0] = 7;
    slot[1..17].fill(0xab);
    slot[17..24].copy_from_slice(b"example");
    let journal = installation
        .configuration()
        .with_file_name("milter.journal");
    std::fs::write(&journal, slot).unwrap();
    let mut milter = installation.start_milter().await;

    let status = milter.terminate();

    assert!(status.success(), "{status}");
    let log = milter.log().to_string();
    assert!(!log.contains("shown as tracked"), "{log}");
    assert_eq!(
        std::fs::read(&journal).unwrap(),
        slot,
        "the next start looks again"
    );
}
