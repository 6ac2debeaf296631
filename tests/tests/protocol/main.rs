// SPDX-License-Identifier: GPL-3.0-or-later
//! The milter as an MTA sees it, frame by frame: what is asked for, when no more is wanted, what is sent and when nothing
//! is. What is in this file needs no database.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a step that fails must end the test where it failed"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a test tells its story from beginning to end"
)]

mod deadline;
mod invitation;
mod limits;
mod mta;
mod outcomes;
mod several;
mod signals;
mod strangers;

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{
    config::{Period, Size, Socket},
    keys::KeyRing,
};
use milter::listener::{ListenError, Listener};
use tokio::net::{TcpListener, UnixStream};

use crate::mta::{Folder, Mta, Running, config};

const ANNA: Option<&str> = Some("anna@example.com");

const FIELDS: &[(&str, &str)] = &[
    ("From", " anna@example.com"),
    ("X-Track", " yes"),
    ("Subject", " Offer"),
    ("x-track", " no; once"),
];

/// The frames that remove both control fields: the later first, so that the earlier keeps its number.
fn removals() -> Vec<(u8, Vec<u8>)> {
    vec![
        (b'm', b"\0\0\0\x02x-track\0\0".to_vec()),
        (b'm', b"\0\0\0\x01X-Track\0\0".to_vec()),
        (b'a', Vec::new()),
    ]
}

#[tokio::test]
async fn only_what_is_used_is_asked_for() {
    let folder = Folder::new();
    let milter = Running::start(config(&folder)).await;

    let mta = Mta::open(&milter).await;

    // Add and change header fields, remove recipients, replace the body.
    assert_eq!(mta.actions, 0x01 | 0x10 | 0x08 | 0x02);
    // No answer at RCPT and to header fields; but at MAIL, where we may leave early.
    assert_eq!(mta.options & (0x80 | 0x8000 | 0x4000), 0x80 | 0x8000);
    let macros = String::from_utf8_lossy(&mta.macros).into_owned();
    assert!(macros.contains("{auth_authen} {auth_type}"), "{macros}");
}

#[tokio::test]
async fn client_that_did_not_authenticate_is_accepted_at_mail() {
    let folder = Folder::new();
    let milter = Running::start(config(&folder)).await;
    let mut mta = Mta::open(&milter).await;

    assert_eq!(mta.mail(None).await, b'a');
    assert_eq!(mta.mail(ANNA).await, b'c');
    // The next client on the same connection is another.
    assert_eq!(mta.mail(None).await, b'a');
}

#[tokio::test]
async fn control_fields_are_removed_while_the_database_is_down() {
    let folder = Folder::new();
    let milter = Running::start(config(&folder)).await;
    let mut mta = Mta::open(&milter).await;

    for _ in 0..2 {
        mta.mail(ANNA).await;
        mta.message(FIELDS, b"hello\r\n").await;

        assert_eq!(mta.verdict().await, removals());
    }
}

#[tokio::test]
async fn control_fields_are_removed_for_a_login_that_is_nobodys() {
    let folder = Folder::new();
    let milter = Running::start(config(&folder)).await;
    let mut mta = Mta::open(&milter).await;

    mta.mail(Some("anna@elsewhere.example")).await;
    mta.message(FIELDS, b"hello\r\n").await;

    assert_eq!(mta.verdict().await, removals());
}

#[tokio::test]
async fn control_recipients_and_subject_tags_are_removed_before_anything_else() {
    let folder = Folder::new();
    let milter = Running::start(config(&folder)).await;
    let mut mta = Mta::open(&milter).await;

    mta.mail(ANNA).await;
    mta.recipient("<NoTrack@track.example.com>").await;
    mta.message(&[("Subject", " [notrack] Offer")], b"hello\r\n")
        .await;

    assert_eq!(
        mta.verdict().await,
        [
            (b'm', b"\0\0\0\x01Subject\0 Offer\0".to_vec()),
            (b'-', b"<NoTrack@track.example.com>\0".to_vec()),
            (b'a', Vec::new())
        ]
    );
}

#[tokio::test]
async fn envelope_is_never_emptied() {
    let folder = Folder::new();
    let milter = Running::start(config(&folder)).await;
    let mut mta = Mta::open(&milter).await;

    mta.mail(ANNA).await;
    mta.recipient("<track@track.example.com>").await;
    assert_eq!(mta.ask(b'B', b"hello\r\n").await, b'c');
    mta.send(b'E', b"").await;

    assert_eq!(mta.verdict().await, [(b'a', Vec::new())]);
}

#[tokio::test]
async fn rest_of_a_body_that_is_too_large_is_not_wanted() {
    let folder = Folder::new();
    let mut config = config(&folder);
    config.milter.max_message_size = Size(100_000);
    let milter = Running::start(config).await;
    let mut mta = Mta::open(&milter).await;

    mta.mail(ANNA).await;
    mta.recipient("<ewa@customer.example>").await;
    assert_eq!(mta.ask(b'B', &[b'x'; 60_000]).await, b'c');
    assert_eq!(mta.ask(b'B', &[b'x'; 60_000]).await, b's');
    mta.send(b'E', b"").await;

    assert_eq!(mta.verdict().await, [(b'a', Vec::new())]);
}

#[tokio::test]
async fn database_that_hangs_is_waited_for_until_the_deadline_and_then_not_at_all() {
    let folder = Folder::new();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(&folder);
    let port = silent.local_addr().unwrap().port();
    config.database.url = format!("postgres://nobody@127.0.0.1:{port}/x").into();
    config.milter.deadline = Period::millis(400);
    let milter = Running::start(config).await;
    let mut mta = Mta::open(&milter).await;

    let mut took = Vec::new();
    for _ in 0..3 {
        mta.mail(ANNA).await;
        let begun = Instant::now();
        mta.message(FIELDS, b"hello\r\n").await;
        assert_eq!(mta.verdict().await, removals());
        took.push(begun.elapsed());
    }

    // The last quarter is kept for what needs no database.
    assert!(took[0] >= Duration::from_millis(300), "{took:?}");
    assert!(took[1] < Duration::from_millis(250), "{took:?}");
    assert!(took[2] < Duration::from_millis(250), "{took:?}");
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight() {
    let folder = Folder::new();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(&folder);
    let port = silent.local_addr().unwrap().port();
    config.database.url = format!("postgres://nobody@127.0.0.1:{port}/x").into();
    config.milter.deadline = Period::millis(500);
    let milter = Running::start(config).await;
    let idle = Mta::open(&milter).await;
    let mut mta = Mta::open(&milter).await;
    mta.mail(ANNA).await;
    mta.message(FIELDS, b"hello\r\n").await;
    // The milter is at work once it asks the database.
    let _asked = silent.accept().await.unwrap();

    let stopped = milter.stop();

    assert_eq!(mta.verdict().await, removals());
    stopped.await.unwrap();
    drop(idle);
    assert!(!folder.path().join("milter").exists());
}

#[tokio::test]
async fn sessions_beyond_the_limit_are_closed_at_once() {
    let folder = Folder::new();
    let mut config = config(&folder);
    config.milter.max_sessions = 2;
    let milter = Running::start(config).await;
    let first = Mta::open(&milter).await;
    let _second = Mta::open(&milter).await;

    let mut third = milter.connect().await;
    let mut octets = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut third, &mut octets)
        .await
        .unwrap();
    assert!(octets.is_empty());

    // When a session ends there is room again.
    drop(first);
    loop {
        let mut stream = milter.connect().await;
        if tokio::io::AsyncWriteExt::write_all(&mut stream, b"\0")
            .await
            .is_ok()
            && !is_closed(&mut stream).await
        {
            break;
        }
    }
}

/// Tells whether the other side closes a connection before long.
async fn is_closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut octet = [0];
    let read = tokio::io::AsyncReadExt::read(stream, &mut octet);
    tokio::time::timeout(Duration::from_millis(50), read)
        .await
        .is_ok()
}

#[tokio::test]
async fn protocol_is_the_same_over_tcp() {
    let folder = Folder::new();
    let mut config = config(&folder);
    config.milter.socket = Socket::Inet("127.0.0.1:0".into());
    let milter = Running::start(config).await;
    let mut mta = Mta::open(&milter).await;

    // Over TCP every command is answered: Postfix would wait for an acknowledgement of its own small writes.
    assert_eq!(mta.options & (0x80 | 0x8000), 0);
    mta.mail(ANNA).await;
    mta.message(FIELDS, b"hello\r\n").await;

    assert_eq!(mta.verdict().await, removals());
}

#[tokio::test]
async fn what_is_no_milter_protocol_does_no_harm() {
    let folder = Folder::new();
    let milter = Running::start(config(&folder)).await;
    for junk in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"",
    ] {
        let mut stream = milter.connect().await;
        // The milter may have closed already.
        let _refused = tokio::io::AsyncWriteExt::write_all(&mut stream, junk).await;
    }

    let mut mta = Mta::open(&milter).await;

    assert_eq!(mta.mail(ANNA).await, b'c');
}

#[tokio::test]
async fn stale_socket_is_replaced_and_one_in_use_is_not() {
    let folder = Folder::new();
    let config = config(&folder);
    let path = folder.path().join("milter");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());

    let listener = Listener::bind(&config.milter).await.unwrap();
    let second = Listener::bind(&config.milter).await;

    assert!(matches!(second, Err(ListenError::Used(_))));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn file_that_is_no_socket_is_left_alone() {
    let folder = Folder::new();
    let path = folder.path().join("milter");
    std::fs::write(&path, "precious").unwrap();

    let result = Listener::bind(&config(&folder).milter).await;

    assert!(matches!(result, Err(ListenError::Bind { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn errors_of_accept_are_survived() {
    let folder = Folder::new();
    let path = folder.path().join("milter");
    let keys = folder.path().join("keys");
    KeyRing::generate(&keys, chrono::DateTime::UNIX_EPOCH).unwrap();
    let file = folder.path().join("fairtrack.toml");
    std::fs::write(&file, configuration(&path, &keys)).unwrap();
    // So few files that connections run out of them.
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 24; exec \"$0\" --config \"$1\""])
        .arg(harness::installation::program_path("fairtrack-milter"))
        .arg(&file)
        .env_remove("DATABASE_URL")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while UnixStream::connect(&path).await.is_err() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(UnixStream::connect(&path).await.unwrap());
    }
    drop(held);
    let mut mta = Mta::over(Box::new(UnixStream::connect(&path).await.unwrap())).await;
    let answer = mta.mail(ANNA).await;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();

    assert_eq!(answer, b'c');
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("failed to accept a connection"), "{log}");
}

fn configuration(socket: &std::path::Path, keys: &std::path::Path) -> String {
    format!(
        "[database]\nurl = \"postgres://nobody@127.0.0.1:1/nothing\"\n[keys]\nfile = \"{}\"\n\
         [milter]\nsocket = \"unix:{}\"\nhealth_gate = false\n\
         [[controller]]\nid = \"example\"\nname = \"Example\"\naddress = \"-\"\ncontact = \"-\"\nauthority = \"-\"\n\
         domains = [\"example.com\"]\npublic_url = \"https://track.example.com\"\n",
        keys.display(),
        socket.display()
    )
}
