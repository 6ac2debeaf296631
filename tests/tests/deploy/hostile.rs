// SPDX-License-Identifier: GPL-3.0-or-later
//! Strangers at every socket: nothing crashes, nothing grows without bound, nobody else waits, no page shows internals.

use std::time::Duration;

use harness::{
    cpu::Family,
    database::Database,
    installation::{Installation, Program},
    messages::Message,
    needs,
    site::{ALICE, BOB, Said, Site},
};
use proptest::{
    prelude::any,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

/// What one stranger may cost for a while, in KiB.
const ROOM: u64 = 100 * 1024;

fn memory(program: &Program) -> u64 {
    Family::of(program.id()).resident()
}

/// Draws values as a fuzzer does, the same ones in each run.
fn draw<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

#[tokio::test]
async fn milter_survives_what_no_mail_server_says() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::with(Database::start().await, |builder| {
        builder.set("milter.max_sessions", 50)
    })
    .await;
    site.user(ALICE).await;
    site.says(BOB, Said::Yes).await;
    let mut milter = site.installation.start_milter().await;
    let path = site.installation.milter_socket();
    let path = path.trim_start_matches("unix:");
    let message = Message::new(ALICE, BOB).build();
    site.deliver(ALICE, &[BOB], &message).await;
    let before = memory(&milter);

    // Frames of every kind, too long, too short, empty, in any order, before and after the negotiation.
    let offer: &[u8] = &[
        0, 0, 0, 13, b'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff,
    ];
    let frames = draw(
        proptest::collection::vec(
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300)),
            1..8,
        ),
        300,
    );
    for (number, frames) in frames.into_iter().enumerate() {
        let mut stream = UnixStream::connect(path).await.unwrap();
        let mut octets = Vec::new();
        if number % 2 == 0 {
            octets.extend_from_slice(offer);
        }
        for (kind, payload) in frames {
            let commands = b"ABCDEHKLMNOQRTU";
            let kind = commands.get(usize::from(kind)).copied().unwrap_or(kind);
            let length = u32::try_from(payload.len() + 1).unwrap();
            // Every tenth lies about its length.
            let length = if number % 10 == 9 {
                u32::MAX - length
            } else {
                length
            };
            octets.extend_from_slice(&length.to_be_bytes());
            octets.push(kind);
            octets.extend_from_slice(&payload);
        }
        // It may close in the middle.
        let _ = stream.write_all(&octets).await;
    }
    // Half a frame, and silence: more of them than there are sessions.
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = UnixStream::connect(path).await.unwrap();
        let _ = stream.write_all(&offer[..7]).await;
        idle.push(stream);
    }
    let meanwhile = site.deliver(ALICE, &[BOB], &message).await;
    drop(idle);

    // As soon as a session is free again, it works as before.
    milter.log().wait_for("sessions are open").await;
    assert!(milter.is_running());
    // Full: mail flows without us. A session that was free again by then may have taken it.
    assert!(
        meanwhile.without_trace_and_signature() == message
            || !site.artefacts(&meanwhile).pixels.is_empty()
    );
    let after = loop {
        let delivery = site.deliver(ALICE, &[BOB], &message).await;
        if !site.artefacts(&delivery).pixels.is_empty() {
            break memory(&milter);
        }
    };
    assert!(after < before + ROOM, "{before} KiB, then {after} KiB");
}

/// Sends octets to `HOST:PORT` and returns what comes back before the end or the limit.
async fn exchange(place: &str, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(place).await.unwrap();
    let _ = stream.write_all(octets).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = timeout(
        Duration::from_secs(30),
        stream.take(1_000_000).read_to_end(&mut answer),
    )
    .await;
    answer
}

fn places(installation: &Installation) -> [String; 2] {
    [installation.url(), installation.admin_url()]
        .map(|url| url.trim_start_matches("http://").to_owned())
}

/// Fails if an answer is a failure of the program's own, or tells what it is made of.
fn is_decent(asked: &[u8], answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    let asked = String::from_utf8_lossy(asked);
    if answer.is_empty() {
        return;
    }
    assert!(text.starts_with("HTTP/1."), "{asked}\n{text}");
    assert!(!text.starts_with("HTTP/1.1 500"), "{asked}\n{text}");
    for inside in [
        "panicked",
        "src/",
        "diesel",
        "postgres",
        "SELECT ",
        "actix",
        "stack backtrace",
        "::",
    ] {
        // What a stranger wrote may come back as text.
        assert!(
            !text.contains(inside)
                || asked.contains(inside)
                || inside == "::" && text.contains("css"),
            "\"{inside}\": {asked}\n{text}"
        );
    }
}

#[tokio::test]
async fn collector_survives_fuzzed_paths_queries_and_requests() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let mut collector = installation.start_collector().await;
    let before = memory(&collector);
    let paths = draw(
        (
            "(/|/o/|/l/|/c/|/api/v1/|/messages/|/static/|/sign-in/|/privacy/|/metrics)",
            "[ -~]{0,60}|[%./]{0,40}|(%[0-9a-f]{2}){0,30}|[A-Za-z0-9_-]{48}(\\.gif)?",
            "(\\?(u|q|limit|before|state|after|key)=[ -~]{0,200})?",
        ),
        1500,
    );

    for place in places(&installation) {
        for (start, path, query) in &paths {
            let path = format!("{start}{path}{query}").replace(' ', "%20");
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: track.example.com\r\nConnection: close\r\n\r\n"
            );
            is_decent(
                request.as_bytes(),
                &exchange(&place, request.as_bytes()).await,
            );
        }
        for octets in draw(proptest::collection::vec(any::<u8>(), 0..2000), 300) {
            is_decent(&octets, &exchange(&place, &octets).await);
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW"] {
            for path in [
                "/o/x.gif",
                "/l/x",
                "/c/x",
                "/",
                "/api/v1/tokens",
                "/healthz",
            ] {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{{\"a\":[}}}}"
                );
                is_decent(
                    request.as_bytes(),
                    &exchange(&place, request.as_bytes()).await,
                );
            }
        }
    }

    assert!(collector.is_running());
    let after = memory(&collector);
    assert!(after < before + ROOM, "{before} KiB, then {after} KiB");
    assert_eq!(database.count("SELECT count(*) FROM hits", &[]).await, 0);
}

#[tokio::test]
async fn floods_of_header_fields_and_bodies_are_cut_off() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let mut collector = installation.start_collector().await;
    let before = memory(&collector);

    for place in places(&installation) {
        let many: String = (0..100_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let long = format!("X: {}\r\n", "x".repeat(5_000_000));
        let line = format!("GET /{} HTTP/1.1\r\n", "x".repeat(5_000_000));
        for (head, fields) in [
            ("GET / HTTP/1.1\r\n", many.as_str()),
            ("GET / HTTP/1.1\r\n", &long),
            (&line, ""),
        ] {
            let request = format!("{head}Host: h\r\n{fields}\r\n");
            let answer = exchange(&place, request.as_bytes()).await;
            let status = String::from_utf8_lossy(&answer)
                .chars()
                .skip(9)
                .take(3)
                .collect::<String>();
            assert!(answer.is_empty() || status.starts_with('4'), "{status}");
        }
        let body = "a=".to_owned() + &"x".repeat(20_000_000);
        let request = format!(
            "POST /sign-in HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        is_decent(b"", &exchange(&place, request.as_bytes()).await);
    }

    assert!(collector.is_running());
    let after = memory(&collector);
    assert!(after < before + ROOM, "{before} KiB, then {after} KiB");
}

#[tokio::test]
async fn slow_clients_keep_nobody_waiting() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let collector = installation.start_collector().await;
    let [place, _] = places(&installation);
    let before = memory(&collector);
    let mut slow = Vec::new();
    for number in 0..600 {
        let mut stream = TcpStream::connect(&place).await.unwrap();
        let begun = format!("GET /o/{number}.gif HTTP/1.1\r\nHost: h\r\nX-Slow: ");
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }

    for _ in 0..20 {
        let answer = timeout(
            Duration::from_secs(10),
            exchange(
                &place,
                b"GET /o/x.gif HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            ),
        )
        .await
        .unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
    let after = memory(&collector);
    assert!(after < before + ROOM, "{before} KiB, then {after} KiB");

    // Who does not finish is told so and let go, without being asked.
    let mut first = slow.swap_remove(0);
    let mut answer = Vec::new();
    timeout(Duration::from_secs(60), first.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"));
}

#[tokio::test]
async fn guessed_tokens_lead_nowhere_and_leave_nothing() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let _collector = installation.start_collector().await;
    let [place, _] = places(&installation);
    let tokens = draw("[A-Za-z0-9_-]{48}", 2000);
    let mut stream = TcpStream::connect(&place).await.unwrap();

    for (number, token) in tokens.iter().enumerate() {
        let path = match number % 2 {
            0 => format!("/l/{token}?u=https%3A%2F%2Fevil.example%2F"),
            _ => format!("/c/{token}"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nAccept: text/html\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        let head = answer.to_lowercase();
        assert!(head.starts_with("http/1.1 4"), "{path}: {answer}");
        assert!(!head.contains("\nlocation:"), "{path}");
    }

    assert_eq!(database.count("SELECT count(*) FROM hits", &[]).await, 0);
}

/// Reads one answer from a connection that stays open, and returns its head.
async fn answer(stream: &mut TcpStream) -> String {
    let mut octets = Vec::new();
    loop {
        stream.read_buf(&mut octets).await.unwrap();
        let text = String::from_utf8_lossy(&octets);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .to_lowercase()
                .split_once("content-length: ")
                .map_or(0, |(_, rest)| {
                    rest.lines().next().unwrap().trim().parse().unwrap()
                });
            if octets.len() >= head.len() + 4 + length {
                return head.to_owned();
            }
        }
    }
}
