// SPDX-License-Identifier: GPL-3.0-or-later
//! The collector as monitors see it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use common::config::Config;

use super::finding::Finding;

pub(super) fn collector(config: &Config) -> Finding {
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
        Ok(answer) => {
            let lost = answer
                .lines()
                .find_map(|line| line.strip_prefix("hits lost: "))
                .unwrap_or("0");
            if lost != "0" {
                Finding::wrong(
                    "collector",
                    format!("{lost} hits were lost since it started"),
                    "look at its log: the hit log's disk was full, or its size limit reached",
                )
            } else if answer.contains(" 200 ") {
                Finding::ok("collector", "is ready")
            } else {
                Finding::wrong(
                    "collector",
                    "answers pixels and links, but has no database",
                    "bring the database back; hits wait in the hit log meanwhile",
                )
            }
        }
        Err(error) => Finding::wrong(
            "collector",
            format!("no answer from \"{place}\": {error}"),
            "start fairtrack-collector and look at its log",
        ),
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
