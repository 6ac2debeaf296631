// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl doctor`: checks the installation piece by piece, and says what to do where something is wrong.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::FileTypeExt,
    path::Path,
    time::Duration,
};

use anyhow::ensure;
use chrono::Utc;
use common::{
    config::{Config, Socket},
    db::{self, Connection, partitions},
    keys::KeyRing,
};
use serde::Serialize;

use super::Context;

/// What was found out about one piece.
#[derive(Debug, Serialize)]
struct Finding {
    piece: &'static str,
    ok: bool,
    found: String,
    /// What to do, if something is wrong.
    advice: Option<&'static str>,
}

/// Checks everything and prints the findings.
///
/// # Errors
///
/// Fails if something is wrong, so that the command's status says so.
pub async fn run(context: &Context) -> anyhow::Result<()> {
    let mut findings = Vec::new();
    match context.config() {
        Ok(config) => {
            findings.push(Finding::ok("configuration", "is valid".into()));
            findings.push(keys(&config));
            findings.push(hit_log(&config));
            findings.push(milter(&config));
            findings.push(collector(&config));
            findings.extend(database(&config).await);
        }
        Err(error) => findings.push(Finding::wrong(
            "configuration",
            error.to_string(),
            "correct the file; docs/configuration.md describes every key",
        )),
    }
    context.print(&findings, |findings| {
        findings.iter().map(Finding::line).collect()
    })?;
    let wrong = findings.iter().filter(|finding| !finding.ok).count();
    ensure!(wrong == 0, "{wrong} of {} checks failed", findings.len());
    Ok(())
}

fn keys(config: &Config) -> Finding {
    match KeyRing::read(&config.keys.file) {
        Ok(ring) => Finding::ok("keys", format!("{} in the file", ring.all().len())),
        Err(error) => Finding::wrong(
            "keys",
            error.to_string(),
            "run \"fairtrackctl keys generate\" once; give the file to the programs' user, mode 0600",
        ),
    }
}

fn hit_log(config: &Config) -> Finding {
    let folder = &config.collector.hit_log;
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) => {
            return Finding::wrong(
                "hit log",
                format!("\"{}\": {error}", folder.display()),
                "make the folder and give it to the collector's user, mode 0700",
            );
        }
    };
    let octets: u64 = files.iter().map(|(_, octets)| octets).sum();
    let unreadable = files.iter().any(|(name, _)| name.ends_with(".unreadable"));
    let limit = u64::try_from(config.collector.hit_log_size.0).unwrap_or(u64::MAX);
    if unreadable {
        Finding::wrong(
            "hit log",
            "holds a file that could not be read".into(),
            "look at the disk; the file is kept beside the others as \"….unreadable\"",
        )
    } else if octets > limit / 2 {
        Finding::wrong(
            "hit log",
            format!("{octets} octets wait for the database, more than half of the limit"),
            "bring the database back, or raise \"collector.hit_log_size\"",
        )
    } else {
        Finding::ok("hit log", format!("{octets} octets wait for the database"))
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.push((name, entry.metadata()?.len()));
    }
    Ok(files)
}

fn milter(config: &Config) -> Finding {
    let socket = &config.milter.socket;
    let listens = match socket {
        Socket::Inet(place) => TcpStream::connect(place).is_ok(),
        Socket::Unix(path) => fs::metadata(path).is_ok_and(|file| file.file_type().is_socket()),
    };
    if listens {
        Finding::ok("milter", format!("listens on \"{socket}\""))
    } else {
        Finding::wrong(
            "milter",
            format!("nothing listens on \"{socket}\""),
            "start fairtrack-milter and look at its log",
        )
    }
}

fn collector(config: &Config) -> Finding {
    let place = config.collector.admin_listen;
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&place, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    match ask() {
        Ok(answer) if answer.contains(" 200 ") => {
            let lost = answer
                .lines()
                .find_map(|line| line.strip_prefix("hits lost: "))
                .unwrap_or("0");
            if lost == "0" {
                Finding::ok("collector", "is ready".into())
            } else {
                Finding::wrong(
                    "collector",
                    format!("{lost} hits were lost since it started"),
                    "look at its log: the hit log's disk was full, or its size limit reached",
                )
            }
        }
        Ok(_) => Finding::wrong(
            "collector",
            "answers pixels and links, but has no database".into(),
            "bring the database back; hits wait in the hit log meanwhile",
        ),
        Err(error) => Finding::wrong(
            "collector",
            format!("no answer from \"{place}\": {error}"),
            "start fairtrack-collector and look at its log",
        ),
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

async fn database(config: &Config) -> Vec<Finding> {
    let attempt = tokio::time::timeout(PATIENCE, db::connect(config.database.url.expose()));
    let mut connection = match attempt.await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            return vec![Finding::wrong(
                "database",
                cause.unwrap_or_else(|| error.to_string()),
                "start PostgreSQL and check \"database.url\"",
            )];
        }
        Err(_elapsed) => {
            return vec![Finding::wrong(
                "database",
                "no answer within five seconds".into(),
                "start PostgreSQL and check \"database.url\"",
            )];
        }
    };
    vec![
        Finding::ok("database", "is reachable".into()),
        schema(&mut connection).await,
        next_month(&mut connection).await,
    ]
}

async fn schema(connection: &mut Connection) -> Finding {
    if db::is_current(connection).await.unwrap_or(false) {
        Finding::ok("schema", "is up to date".into())
    } else {
        Finding::wrong(
            "schema",
            "is older than this program, or missing".into(),
            "run \"fairtrackctl migrate\"",
        )
    }
}

async fn next_month(connection: &mut Connection) -> Finding {
    if partitions::are_ahead(Utc::now(), connection)
        .await
        .unwrap_or(false)
    {
        Finding::ok("partitions", "are made for next month".into())
    } else {
        Finding::wrong(
            "partitions",
            "are not made for next month".into(),
            "run \"fairtrackctl retention run\"; the collector does so every day",
        )
    }
}

impl Finding {
    fn ok(piece: &'static str, found: String) -> Self {
        Self {
            piece,
            ok: true,
            found,
            advice: None,
        }
    }

    fn wrong(piece: &'static str, found: String, advice: &'static str) -> Self {
        Self {
            piece,
            ok: false,
            found,
            advice: Some(advice),
        }
    }

    fn line(&self) -> String {
        let mark = if self.ok { "ok   " } else { "WRONG" };
        let advice = self
            .advice
            .map(|advice| format!("\n      {advice}"))
            .unwrap_or_default();
        format!("{mark} {}: {}{advice}\n", self.piece, self.found)
    }
}
