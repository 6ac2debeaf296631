// SPDX-License-Identifier: GPL-3.0-or-later
//! What splitting needs besides: the lines of the way on which a message comes back.

use std::net::IpAddr;

use common::config::SmtpServer;

/// Returns the lines of the way back, for the listener and the list of milters that this Postfix has.
pub(super) fn lines(server: &SmtpServer, list: Option<&str>) -> Vec<String> {
    let host = if server.host.contains(':') {
        format!("[{}]", server.host)
    } else {
        server.host.clone()
    };
    let is_here = server.host == "localhost"
        || server
            .host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback());
    SPLIT
        .replace(
            "[127.0.0.1]:10026",
            &format!("[{}]:{}", server.host, server.port),
        )
        .replace("127.0.0.1:10026", &format!("{host}:{}", server.port))
        .replace(
            "fairtrack_submission_milters",
            list.unwrap_or("fairtrack_submission_milters"),
        )
        .lines()
        // From the loopback address no other host can be reached.
        .filter(|line| is_here || !line.contains("smtp_bind_address"))
        .map(str::to_owned)
        .collect()
}

/// The lines that splitting needs.
const SPLIT: &str = include_str!("../../../../deploy/postfix-split.cf");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_for_the_listener_and_the_list_of_this_postfix() {
        let ours = |server: &str| {
            let server = SmtpServer::parse(server).unwrap();
            lines(&server, Some("fairtrack_127_0_0_1_587_milters")).join("\n")
        };

        let here = ours("smtp://127.0.0.1:10126");
        let elsewhere = ours("smtp://192.0.2.7:10126");

        assert!(here.contains("\nmilter_header_checks = "));
        assert!(here.contains("FILTER fairtrack-copies:[127.0.0.1]:10126"));
        assert!(here.contains("# 127.0.0.1:10126 inet n "));
        assert!(here.contains("smtpd_milters=$fairtrack_127_0_0_1_587_milters"));
        assert!(here.contains("-o smtp_bind_address=127.0.0.1"));
        assert!(elsewhere.contains("# 192.0.2.7:10126 inet n "));
        assert!(!elsewhere.contains("smtp_bind_address"));
    }
}
