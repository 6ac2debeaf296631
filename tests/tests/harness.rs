// SPDX-License-Identifier: GPL-3.0-or-later
//! The harness itself: nothing outlives the process that started it.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

#[test]
fn killed_process_leaves_neither_server_nor_folder() {
    harness::needs!(PostgreSql);
    let mut process = Command::new(env!("CARGO_BIN_EXE_with-cluster"))
        .args(["sh", "-c", "echo \"$FAIRTRACK_TEST_CLUSTER\"; read -r _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    let folder = folder_of(&url);
    let server = server_of(&folder);
    assert!(is_running(&server));

    process.kill().unwrap();
    process.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(30);
    while folder.exists() || is_running(&server) {
        assert!(
            Instant::now() < deadline,
            "\"{}\" is left",
            folder.display()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the folder of a cluster, in which its socket's folder is.
fn folder_of(url: &str) -> PathBuf {
    let (_, host) = url.split_once("host=").unwrap();
    let (socket, _) = host.split_once('&').unwrap();
    Path::new(socket).parent().unwrap().to_owned()
}

fn server_of(folder: &Path) -> String {
    let file = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    file.lines().next().unwrap().to_owned()
}

fn is_running(process: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A zombie has ended.
    state
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
