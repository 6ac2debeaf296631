// SPDX-License-Identifier: GPL-3.0-or-later
//! The shipped units: hardened, understood by systemd, and true about how the programs behave.

use std::{
    fs,
    io::Read,
    net::{TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use harness::{database::Database, installation::Installation, needs, scratch::Scratch};

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd")
}

fn analyze(arguments: &[&str]) -> String {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn exposure_of_both_services_is_below_two() {
    needs!(Systemd);
    for unit in ["fairtrack-milter.service", "fairtrack-collector.service"] {
        let path = units().join(unit);
        let said = analyze(&[
            "security",
            "--offline=true",
            "--no-pager",
            path.to_str().unwrap(),
        ]);
        let level: f32 = said
            .lines()
            .find_map(|line| line.split_once("Overall exposure level for"))
            .and_then(|(_, rest)| rest.split_whitespace().nth(1))
            .and_then(|level| level.parse().ok())
            .unwrap_or_else(|| panic!("no level:\n{said}"));

        assert!(level < 2.0, "{unit}: {level}");
    }
}

#[test]
fn systemd_understands_every_line() {
    needs!(Systemd);
    // It wants the programs where the units name them.
    let scratch = Scratch::new("units");
    for unit in [
        "fairtrack-milter.service",
        "fairtrack-collector.service",
        "fairtrack-collector.socket",
    ] {
        let text = fs::read_to_string(units().join(unit)).unwrap();
        scratch.write(
            unit,
            text.replace(
                "ExecStart=/usr/bin/fairtrack-",
                "ExecStart=/bin/true fairtrack-",
            ),
        );
    }
    for unit in [
        "fairtrack-milter.service",
        "fairtrack-collector.service",
        "fairtrack-collector.socket",
    ] {
        let path = scratch.path().join(unit);
        let said = analyze(&["verify", "--man=no", path.to_str().unwrap()]);
        let ours: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("fairtrack"))
            .collect();

        assert!(ours.is_empty(), "{ours:#?}");
    }
}

#[tokio::test]
async fn programs_say_when_they_are_ready_and_that_they_live() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let scratch = Scratch::new("notify");

    for program in ["fairtrack-collector", "fairtrack-milter"] {
        let path = scratch.path().join(program);
        let manager = UnixDatagram::bind(&path).unwrap();
        manager
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut child = Command::new(harness::installation::program_path(program))
            .env("FAIRTRACK_CONFIG", installation.configuration())
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "200000")
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();

        let mut said = Vec::new();
        while said.iter().filter(|line| *line == "WATCHDOG=1").count() < 3 {
            let mut octets = [0; 256];
            let read = manager.recv(&mut octets).unwrap();
            said.extend(
                String::from_utf8_lossy(&octets[..read])
                    .lines()
                    .map(str::to_owned),
            );
        }
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap();
        let status = child.wait().unwrap();

        assert_eq!(said[0], "READY=1", "{program}");
        assert!(status.success(), "{program}: {status}");
    }
}

#[tokio::test]
async fn socket_of_the_service_manager_takes_the_place_of_our_own() {
    needs!(PostgreSql);
    let database = Database::start().await;
    let installation = Installation::on(&database).write();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();

    // What systemd does: the socket as descriptor 3, and variables that say so.
    let mut child = Command::new("sh")
        .args([
            "-c",
            &format!(
                "exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec {}",
                harness::installation::program_path("fairtrack-collector").display()
            ),
        ])
        .env("FAIRTRACK_CONFIG", installation.configuration())
        .stdin(OwnedFd::from(listener))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stream = TcpStream::connect(place).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /o/x.gif HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    child.wait().unwrap();

    assert!(
        answer.starts_with(b"HTTP/1."),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(answer.ends_with(b";"), "a GIF ends so");
}
