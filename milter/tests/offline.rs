// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrack-milter instrument`, the program itself.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

use std::{
    io::{ErrorKind, Write},
    process::{Command, Stdio},
};

struct Run {
    status: i32,
    output: String,
    notes: String,
}

fn run(arguments: &[&str], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fairtrack-milter"))
        .arg("instrument")
        .args(arguments)
        .env_remove("FAIRTRACK_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that was called wrongly ends without reading.
    match stdin.write_all(input.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Run {
        status: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        notes: String::from_utf8(output.stderr).unwrap(),
    }
}

const HTML: &str = "From: a@example.com\nMIME-Version: 1.0\nContent-Type: text/html\n\n\
    <p>Hi <a href=\"https://a.example/\">there</a></p>\n";

#[test]
fn both_purposes_unless_one_is_named() {
    let both = run(&[], HTML);
    let opens = run(&["--opens"], HTML);
    let links = run(&["--links"], HTML);

    for run in [&both, &opens, &links] {
        assert_eq!(run.status, 0, "{}", run.notes);
        assert!(!run.output.contains('\r'));
    }
    assert!(both.output.contains("/o/") && both.output.contains("/l/"));
    assert!(opens.output.contains("/o/") && !opens.output.contains("/l/"));
    assert!(!links.output.contains("/o/") && links.output.contains("/l/"));
    assert!(both.output.contains("\nTracking-Consent: <https://"));
    assert!(both.output.contains(">; purposes=\"open click\"\n\n"));
}

#[test]
fn untouched_message_comes_back_with_status_3_and_the_reason() {
    let list = format!("List-Id: <x.example>\n{HTML}");

    let run = run(&["--opens", "--to", "b@b.example"], &list);

    assert_eq!(run.status, 3);
    assert_eq!(run.output, list);
    assert!(run.notes.ends_with("untouched: list\n"), "{}", run.notes);
}

#[test]
fn control_fields_are_obeyed_and_removed() {
    let no = run(&[], &format!("X-Track: no\n{HTML}"));
    let some = run(&[], &format!("X-Track-Links: no; once\n{HTML}"));

    assert_eq!(
        (no.status, no.notes.contains("untouched: control")),
        (3, true)
    );
    assert_eq!(some.status, 0);
    assert!(!some.output.contains("X-Track") && !some.output.contains("/l/"));
}

#[test]
fn misuse_has_status_2() {
    assert_eq!(run(&["--nonsense"], HTML).status, 2);
}

#[test]
fn missing_configuration_file_is_an_error() {
    let run = run(&["--config", "/nonexistent/fairtrack.toml"], HTML);

    assert_eq!(run.status, 1);
    assert!(
        run.notes
            .starts_with("fairtrack-milter: failed to read configuration file")
    );
}

#[test]
fn control_recipient_of_the_header_section_speaks_where_there_is_no_envelope() {
    let message = format!("To: notrack@track.example.com, b@x.example\n{HTML}");

    let without = run(&[], &message);
    let with = run(&["--to", "b@x.example", "c@x.example"], &message);

    assert_eq!((without.status, without.output), (3, message));
    assert!(without.notes.contains("untouched: control"));
    assert_eq!(with.status, 0, "{}", with.notes);
}
