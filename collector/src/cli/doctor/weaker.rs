// SPDX-License-Identifier: GPL-3.0-or-later
//! Settings that are weaker than their defaults: each may be meant, and each should be known.

use common::config::{Collector, Config, ConsentRule, Mail, Milter, Retention, SignIn};
use ipnet::IpNet;

use super::finding::Finding;

const PIECE: &str = "settings";

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |found: String, advice: &str| findings.push(Finding::note(PIECE, found, advice));

    let usual = Milter::default();
    let milter = &config.milter;
    if !milter.health_gate && usual.health_gate {
        note(
            "milter.health_gate is off: links go out while the collector is down".into(),
            "remove the line, unless the milter cannot reach the public URL",
        );
    }
    if milter.deadline.0 > usual.deadline.0 {
        note(
            "milter.deadline is longer than its default: users wait for it when the database hangs"
                .into(),
            "remove the line, or keep it well below Postfix's content_timeout",
        );
    }
    if milter.socket_mode.ends_with(['2', '3', '6', '7']) {
        note(
            format!(
                "milter.socket_mode \"{}\" lets every user of this host speak to the milter",
                milter.socket_mode
            ),
            "use milter.socket_group with mode 660",
        );
    }
    let usual = Retention::default();
    let retention = &config.retention;
    for (name, is, default) in [
        ("hits", retention.hits, usual.hits),
        ("messages", retention.messages, usual.messages),
        (
            "recording_window",
            retention.recording_window,
            usual.recording_window,
        ),
        (
            "consent_proof",
            retention.consent_proof,
            usual.consent_proof,
        ),
        ("grant", retention.grant, usual.grant),
    ] {
        if is.0 > default.0 {
            note(
                format!("retention.{name} is longer than its default"),
                "keep no longer than you need, and say so in your notice and register",
            );
        }
    }
    if config.mail.from == Mail::default().from {
        note(
            "mail.from is not set: sign-in links come from fairtrack@localhost".into(),
            "set it to an address of your own domain",
        );
    }
    for controller in &config.controllers {
        let id = &controller.id;
        if controller.consent == ConsentRule::NotRequired {
            note(
                format!("controller \"{id}\" does not ask for consent"),
                "make sure that the stated basis holds; refusals bind all the same",
            );
        }
        if controller.internal {
            note(
                format!("controller \"{id}\" observes recipients in its own domains"),
                "ask whoever speaks for the employees, or set internal = false",
            );
        }
    }
    findings.extend(exposed(config));
    findings
}

/// What strangers could reach or pretend.
fn exposed(config: &Config) -> Vec<Finding> {
    let collector = &config.collector;
    let mut findings = Vec::new();
    let anybody = |net: &IpNet| net.prefix_len() == 0;
    if collector.trusted_proxies.iter().any(anybody) {
        let found = "collector.trusted_proxies believes everybody";
        let advice = "name the proxies alone: anybody else could pretend another address";
        findings.push(if matches!(collector.sign_in, SignIn::Header(_)) {
            Finding::wrong(
                PIECE,
                format!("{found}, and whoever they say they are"),
                advice,
            )
        } else {
            Finding::note(PIECE, found, advice)
        });
    }
    if !collector.admin_listen.ip().is_loopback() {
        findings.push(Finding::note(
            PIECE,
            "collector.admin_listen is not on loopback: metrics are open to the network",
            "let only the monitoring host reach it",
        ));
    }
    let is_local = collector.listen == Collector::default().listen
        || ["unix:", "127.", "[::1]:", "localhost:"]
            .iter()
            .any(|start| collector.listen.starts_with(start));
    if !is_local {
        findings.push(Finding::note(
            PIECE,
            "collector.listen is not on loopback: it speaks no TLS",
            "let only the proxy reach it",
        ));
    }
    findings
}
