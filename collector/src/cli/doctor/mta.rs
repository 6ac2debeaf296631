// SPDX-License-Identifier: GPL-3.0-or-later
//! Postfix: whether it asks us where it should, before the signer, and goes on without us; and whether it can reach us.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use common::config::{Config, Socket};
use nix::unistd::{Group, User};

use super::{finding::Finding, here::Host};
use crate::cli::postfix::{
    installed::{Installed, MILTERS, Service},
    milters::{self, Entry},
    ours::{self, Place},
};

const PIECE: &str = "Postfix";

pub(super) fn examine(
    config: &Config,
    installed: Option<&Installed>,
    milter: &Host,
) -> Vec<Finding> {
    let Some(installed) = installed else {
        return vec![Finding::note(
            PIECE,
            "is not on this host",
            "run this on the mail host too: \"fairtrackctl postfix\" prints its lines",
        )];
    };
    let socket = &config.milter.socket;
    let services = installed.submission(&[]);
    let mut findings = Vec::new();
    for service in &services {
        let entries = milters::parse(&service.effective);
        let place = entries
            .iter()
            .position(|entry| ours::leads_to_us(entry, service, installed, socket));
        let Some(place) = place else {
            continue;
        };
        findings.extend(service_findings(installed, service, &entries, place));
        if let Socket::Unix(path) = socket {
            findings.push(reach(path, installed.expanded("mail_owner")));
        }
    }
    if !findings.is_empty() {
        findings.insert(0, version(installed));
        findings.extend(limit(installed));
    } else if !milter.is_here() || (services.is_empty() && ours::is_for_others(socket)) {
        findings.push(Finding::note(
            PIECE,
            format!("no submission service of this host asks \"{socket}\""),
            "right, unless users submit their mail here: then put the lines in that \"fairtrackctl postfix --socket SOCKET\" prints, with the milter's name as this host knows it",
        ));
    } else {
        findings.push(Finding::wrong(
            PIECE,
            format!("no submission service asks \"{socket}\""),
            "put the lines in that \"fairtrackctl postfix\" prints, and reload Postfix",
        ));
    }
    findings.extend(elsewhere(installed, socket));
    findings
}

/// Returns where the submission services ask the milter, once each.
pub(super) fn asked(installed: &Installed, socket: &Socket) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for service in installed.submission(&[]) {
        for entry in milters::parse(&service.effective) {
            if !ours::leads_to_us(&entry, &service, installed, socket) {
                continue;
            }
            // The name of a UNIX socket is Postfix's own where it runs in a chroot.
            let seen = match Socket::parse(entry.socket()) {
                Some(place @ Socket::Inet(_)) => place,
                _ => socket.clone(),
            };
            if !sockets.contains(&seen) {
                sockets.push(seen);
            }
        }
    }
    sockets
}

/// Before these, Postfix could damage a message whose new body has long lines.
fn version(installed: &Installed) -> Finding {
    if installed.version_numbers() >= vec![3, 7] {
        Finding::ok(PIECE, format!("is {}", installed.version))
    } else {
        Finding::wrong(
            PIECE,
            format!("is {}", installed.version),
            "upgrade it to 3.7 or later: older ones may damage a message that a milter changes",
        )
    }
}

/// Untold, the milter takes the limit for Postfix's own default.
fn limit(installed: &Installed) -> Option<Finding> {
    (!installed.tells_limit()).then(|| {
        Finding::note(
            PIECE,
            "does not tell us how large a message may be: what we would make larger than 10240000 octets is left untouched",
            "put the line \"milter_macro_defaults\" in that \"fairtrackctl postfix\" prints, and reload Postfix",
        )
    })
}

fn service_findings(
    installed: &Installed,
    service: &Service,
    entries: &[Entry],
    place: usize,
) -> Vec<Finding> {
    let name = &service.name;
    let mut findings = Vec::new();
    let signer = entries
        .iter()
        .take(place)
        .find(|entry| entry.signs())
        .map(Entry::socket);
    findings.push(match signer {
        None => Finding::ok(PIECE, format!("\"{name}\" asks us before the signer")),
        Some(signer) => Finding::wrong(
            PIECE,
            format!("\"{name}\" asks \"{signer}\" before us: signed mail is left untouched"),
            "put us first in the list: \"fairtrackctl postfix\"",
        ),
    });
    let entry = entries.get(place);
    let action = entry
        .and_then(|entry| entry.setting("default_action"))
        .unwrap_or_else(|| installed.expanded("milter_default_action"));
    if action != "accept" {
        findings.push(Finding::wrong(
            PIECE,
            format!("\"{name}\" does \"{action}\" while we are away: mail would not flow"),
            "let our entry say default_action=accept: \"fairtrackctl postfix\"",
        ));
    }
    if service.has_proxy_filter {
        findings.push(Finding::wrong(
            PIECE,
            format!("\"{name}\" has smtpd_proxy_filter: milters see no content"),
            "filter after the queue instead (content_filter)",
        ));
    }
    findings
}

/// Finds us where we should not be.
fn elsewhere(installed: &Installed, socket: &Socket) -> Vec<Finding> {
    let places = ours::elsewhere(
        installed,
        &["non_smtpd_milters"],
        Service::is_for_submission,
        |entry, service| ours::leads_to_us(entry, service, installed, socket),
    );
    let findings = places.into_iter().map(|place| match place {
        Place::Service(name) => Finding::wrong(
            PIECE,
            format!("\"{name}\" is not for submission and asks us"),
            format!("take us out of its \"{MILTERS}\": mail could pass us twice"),
        ),
        Place::Setting(setting) => Finding::wrong(
            PIECE,
            format!("\"{setting}\" names us"),
            "take us out there: such mail is nobody's who could have asked for tracking",
        ),
    });
    findings.collect()
}

/// Checks, without being Postfix, that Postfix may go to the socket: every folder on the way, and the socket itself.
fn reach(path: &Path, user: &str) -> Finding {
    let Ok(Some(user)) = User::from_name(user) else {
        return Finding::wrong(
            "milter socket",
            format!("Postfix's user \"{user}\" does not exist"),
            "correct \"mail_owner\" in main.cf",
        );
    };
    let groups = groups_of(&user);
    let mut steps: Vec<PathBuf> = path.ancestors().map(Path::to_path_buf).collect();
    steps.reverse();
    for step in steps {
        let Ok(found) = fs::metadata(&step) else {
            return Finding::wrong(
                "milter socket",
                format!(
                    "\"{}\" is not there, or may not be looked at",
                    step.display()
                ),
                "start fairtrack-milter, and run this as root",
            );
        };
        // Passing through a folder takes "x", connecting to a socket "w".
        let bit = if step == path { 0o2 } else { 0o1 };
        let given = if found.uid() == user.uid.as_raw() {
            found.mode() >> 6
        } else if groups.contains(&found.gid()) {
            found.mode() >> 3
        } else {
            found.mode()
        };
        if given & bit == 0 {
            return Finding::wrong(
                "milter socket",
                format!(
                    "Postfix (user \"{}\") may not use \"{}\" (mode {:o})",
                    user.name,
                    step.display(),
                    found.mode() & 0o7777
                ),
                "let the milter listen in a folder of the group \"postfix\" (install -d -o fairtrack -g postfix -m 2750 …), with milter.socket_mode = \"660\"; the folders on the way need \"x\" for it",
            );
        }
    }
    Finding::ok("milter socket", "may be used by Postfix")
}

fn groups_of(user: &User) -> Vec<u32> {
    let mut groups = vec![user.gid.as_raw()];
    let listed = fs::read_to_string("/etc/group").unwrap_or_default();
    for line in listed.lines() {
        let mut fields = line.split(':');
        let (name, members) = (fields.next(), fields.nth(2).unwrap_or_default());
        if members.split(',').any(|member| member == user.name)
            && let Some(Ok(Some(group))) = name.map(Group::from_name)
        {
            groups.push(group.gid.as_raw());
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_that_we_are_not_told_is_noted() {
        let installed =
            |told| Installed::for_testing(Vec::new(), &[("milter_macro_defaults", told)]);

        assert!(limit(&installed("auth_type=TLS")).is_some());
        assert!(limit(&installed("message_size_limit=$message_size_limit")).is_none());
    }
}
