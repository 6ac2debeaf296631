// SPDX-License-Identifier: GPL-3.0-or-later
//! Which lines a Postfix needs, worked out from what it has: a function over values.
//!
//! Design note: each service gets a list of its own in `main.cf`, with the milters that it asks now in their order and
//! ours before them, so that whatever signs comes after us. The list is copied, for `smtpd_milters` cannot name itself.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use common::config::{SmtpServer, Socket};

use super::{
    installed::{Installed, LIMIT, MACRO_DEFAULTS, MILTERS, Service},
    lines::{Lines, Plan},
    milters::{self, Entry},
    ours::{self, Place},
    way_back,
};

/// What is asked for.
pub(super) struct Wish<'a> {
    pub(super) socket: Socket,
    pub(super) deadline: Duration,
    /// The folder of Postfix's configuration, if it is not the usual one.
    pub(super) folder: Option<PathBuf>,
    /// Whether to take smtpd for chrooted where nothing is known about it.
    pub(super) chroot_unless_known: bool,
    pub(super) installed: Option<&'a Installed>,
    /// The services that users submit to.
    pub(super) services: Vec<Service>,
    /// Where mail with several recipients comes back, if it is split.
    pub(super) way_back: Option<SmtpServer>,
}

/// The parameter that holds our milter, and the lists that begin with it.
const OURS: &str = "fairtrack_milter";

impl Plan {
    pub(super) fn make(wish: &Wish<'_>) -> Self {
        let mut plan = Self::default();
        let mut services = wish.services.clone();
        if services.is_empty() {
            services = plan.usual_services(wish);
        }
        let socket = plan.socket(wish, services.iter().any(|service| service.is_chrooted));
        // A backstop only, for a program that was stopped: the milter itself ends at its deadline.
        let content = wish.deadline.as_secs().saturating_mul(4).max(20);
        let main = format!(
            "{OURS} = {{ {socket}, connect_timeout=3s, command_timeout=5s, content_timeout={content}s, default_action=accept }}"
        );
        let edit = wish.folder.as_ref().map_or_else(
            || "postconf".to_owned(),
            |folder| format!("postconf -c {}", quote(&folder.display().to_string())),
        );
        plan.commands.push(format!("{edit} -e {}", quote(&main)));
        plan.main_cf.push(main);
        let macros = macro_defaults(wish.installed);
        plan.commands.push(format!("{edit} -e {}", quote(&macros)));
        plan.main_cf.push(macros);
        if let Some(server) = &wish.way_back {
            let list = services.first().map(|service| list_of(&service.name));
            plan.split = way_back::lines(server, list.as_deref());
        }

        for service in &services {
            let list = list_of(&service.name);
            let mut entries = vec![format!("${OURS}")];
            entries.extend(others(wish, service, &list, &socket));
            let main = format!("{list} = {}", entries.join(", "));
            let option = format!("{MILTERS}=${list}");
            plan.commands.push(format!("{edit} -e {}", quote(&main)));
            plan.commands.push(format!(
                "{edit} -P {}",
                quote(&format!("{}/inet/{option}", service.name))
            ));
            plan.main_cf.push(main);
            plan.master_cf.push(Lines {
                service: service.name.clone(),
                options: vec![option],
            });
            if service.has_proxy_filter {
                plan.notes.push(format!(
                    "service \"{}\" has smtpd_proxy_filter: with it milters see no message content; use content_filter instead",
                    service.name
                ));
            }
        }
        plan.commands.push(wish.folder.as_ref().map_or_else(
            || "postfix reload".to_owned(),
            |folder| format!("postfix -c {} reload", quote(&folder.display().to_string())),
        ));
        plan.warn_of_other_places(wish, &socket);
        plan
    }

    /// What to print where no service for submission is known: those that everybody has.
    fn usual_services(&mut self, wish: &Wish<'_>) -> Vec<Service> {
        self.notes.push(if wish.installed.is_some() {
            "master.cf has no submission service: enable \"submission\" or \"submissions\" with smtpd_sasl_auth_enable=yes, then run this again; users who submit to port 25 are not tracked".into()
        } else {
            "no Postfix was found here: the lines are for the usual services; if they ask other milters already, put those after ours".into()
        });
        ["submission", "submissions"]
            .map(|name| Service {
                name: name.into(),
                is_chrooted: wish.chroot_unless_known,
                milters: wish.installed.map_or_else(String::new, |installed| {
                    installed.written(MILTERS).to_owned()
                }),
                ..Service::default()
            })
            .into()
    }

    /// Returns the milter's socket as smtpd must name it. In a chroot it sees only what is below the queue directory; a
    /// path relative to that serves with a chroot and without.
    fn socket(&mut self, wish: &Wish<'_>, is_chrooted: bool) -> String {
        let Socket::Unix(path) = &wish.socket else {
            return wish.socket.to_string();
        };
        let queue = wish.installed.map_or_else(
            || Path::new("/var/spool/postfix"),
            |installed| installed.queue_directory.as_path(),
        );
        if let Ok(below) = path.strip_prefix(queue) {
            return format!("unix:{}", below.display());
        }
        if !is_chrooted || path.is_relative() {
            return wish.socket.to_string();
        }
        let folder = queue.join("fairtrack");
        let name = path.file_name().unwrap_or_else(|| "milter.sock".as_ref());
        let place = folder.join(name);
        self.notes.push(format!(
            "smtpd runs in a chroot and cannot see \"{}\": let the milter listen below \"{}\" as shown, and restart it (another way: column 5 of the services in master.cf to \"n\", and this command again)",
            path.display(),
            queue.display()
        ));
        self.fairtrack_toml.extend([
            "[milter]".to_owned(),
            format!("socket = \"unix:{}\"", place.display()),
        ]);
        self.commands.push(format!(
            "install -d -o fairtrack -g postfix -m 2750 {}",
            quote(&folder.display().to_string())
        ));
        format!("unix:fairtrack/{}", name.to_string_lossy())
    }

    /// Mail must not pass us twice, and mail of strangers not at all.
    fn warn_of_other_places(&mut self, wish: &Wish<'_>, socket: &str) {
        let Some(installed) = wish.installed else {
            return;
        };
        let places = ours::elsewhere(
            installed,
            &[MILTERS, "non_smtpd_milters"],
            |service| wish.services.iter().any(|ours| ours.name == service.name),
            |entry, service| is_us(entry, service, wish, socket),
        );
        let notes = places.into_iter().map(|place| match place {
            Place::Service(name) => format!(
                "service \"{name}\" is not for submission and lists us: take us out there"
            ),
            Place::Setting(setting) => format!(
                "main.cf lists us in \"{setting}\": take us out there, or mail from elsewhere passes us too"
            ),
        });
        self.notes.extend(notes);
    }
}

/// Returns the line by which Postfix tells us its limit, after whatever else it tells milters.
fn macro_defaults(installed: Option<&Installed>) -> String {
    let told = installed.map_or("", |installed| installed.written(MACRO_DEFAULTS));
    let separator = if told.is_empty() { "" } else { ", " };
    if installed.is_some_and(Installed::tells_limit) {
        format!("{MACRO_DEFAULTS} = {told}")
    } else {
        format!("{MACRO_DEFAULTS} = {told}{separator}{LIMIT}=${LIMIT}")
    }
}

/// Returns the milters that the service asks now, without us.
fn others(wish: &Wish<'_>, service: &Service, list: &str, socket: &str) -> Vec<String> {
    // After the first time the service names our own list.
    let written = match wish.installed {
        Some(installed) if service.milters == format!("${list}") => installed.written(list),
        _ => &service.milters,
    };
    milters::parse(written)
        .iter()
        .filter(|entry| entry.text() != format!("${OURS}") && !is_us(entry, service, wish, socket))
        .map(|entry| match (entry.text(), wish.installed) {
            // A list cannot name the setting that it becomes the value of.
            ("$smtpd_milters" | "${smtpd_milters}", Some(installed)) => {
                installed.written(MILTERS).to_owned()
            }
            (text, _) => text.to_owned(),
        })
        .filter(|text| !text.is_empty())
        .collect()
}

/// Tells whether an entry is ours, as it must be named or by another name.
fn is_us(entry: &Entry, service: &Service, wish: &Wish<'_>, socket: &str) -> bool {
    entry.socket() == socket
        || entry.socket() == wish.socket.to_string()
        || wish
            .installed
            .is_some_and(|installed| ours::leads_to_us(entry, service, installed, &wish.socket))
}

/// Returns the name of the parameter that holds the milters of a service.
fn list_of(service: &str) -> String {
    format!("fairtrack_{}_milters", word(service))
}

/// Makes a word that can be part of a parameter's name.
fn word(name: &str) -> String {
    name.chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' => character,
            _ => '_',
        })
        .collect()
}

/// Quotes for the shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, milters: &str) -> Service {
        Service {
            name: name.into(),
            milters: milters.into(),
            effective: milters.into(),
            ..Service::default()
        }
    }

    fn plan(socket: &str, services: Vec<Service>, main: &[(&str, &str)]) -> Plan {
        let installed = Installed::for_testing(services, main);
        Plan::make(&Wish {
            socket: Socket::parse(socket).unwrap(),
            deadline: Duration::from_millis(1500),
            folder: None,
            chroot_unless_known: true,
            services: installed.submission(&[]),
            way_back: None,
            installed: Some(&installed),
        })
    }

    #[test]
    fn existing_milters_keep_their_order_after_ours() {
        let plan = plan(
            "inet:127.0.0.1:8892",
            vec![
                service("smtp", "inet:localhost:11332"),
                service(
                    "submission",
                    "{ unix:clam.sock, default_action=accept } inet:localhost:8891",
                ),
            ],
            &[],
        );

        assert_eq!(
            plan.main_cf,
            [
                "fairtrack_milter = { inet:127.0.0.1:8892, connect_timeout=3s, command_timeout=5s, content_timeout=20s, default_action=accept }",
                "milter_macro_defaults = message_size_limit=$message_size_limit",
                "fairtrack_submission_milters = $fairtrack_milter, { unix:clam.sock, default_action=accept }, inet:localhost:8891",
            ]
        );
        assert_eq!(plan.master_cf.len(), 1, "port 25 is left alone");
        assert_eq!(plan.notes, [] as [String; 0]);
    }

    #[test]
    fn what_was_applied_once_is_printed_again() {
        let socket = "unix:/var/spool/postfix/fairtrack/milter.sock";
        let first = plan(
            socket,
            vec![service("submission", "inet:localhost:8891")],
            &[],
        );

        let again = plan(
            socket,
            vec![service("submission", "$fairtrack_submission_milters")],
            &[(
                "fairtrack_submission_milters",
                "$fairtrack_milter, inet:localhost:8891",
            )],
        );

        assert_eq!(first.main_cf, again.main_cf);
        assert!(first.main_cf[0].contains("{ unix:fairtrack/milter.sock,"));
    }

    #[test]
    fn limit_is_told_after_whatever_else_milters_are_told() {
        let line = |told: &str| {
            let main = [("milter_macro_defaults", told)];
            plan("inet:127.0.0.1:8892", Vec::new(), &main).main_cf[1].clone()
        };
        let ours = "message_size_limit=$message_size_limit";

        assert_eq!(
            line("auth_type=TLS"),
            format!("milter_macro_defaults = auth_type=TLS, {ours}")
        );
        let both = "{ message_size_limit = 1000 }, auth_type=TLS";
        assert_eq!(line(both), format!("milter_macro_defaults = {both}"));
        let other = "x_message_size_limit=1";
        assert_eq!(
            line(other),
            format!("milter_macro_defaults = {other}, {ours}")
        );
    }

    #[test]
    fn splitting_gets_the_lines_of_its_way_back() {
        let installed = Installed::for_testing(vec![service("127.0.0.1:587", "")], &[]);
        let plan = |way_back: Option<&str>| {
            Plan::make(&Wish {
                socket: Socket::parse("inet:127.0.0.1:8892").unwrap(),
                deadline: Duration::from_millis(1500),
                folder: None,
                chroot_unless_known: true,
                services: installed.submission(&[]),
                way_back: way_back.and_then(SmtpServer::parse),
                installed: Some(&installed),
            })
        };

        let text = plan(Some("smtp://127.0.0.1:10126")).text();

        assert!(text.contains("smtpd_milters=$fairtrack_127_0_0_1_587_milters"));
        assert!(!plan(None).text().contains("milter_header_checks"));
    }

    #[test]
    fn list_never_names_the_setting_that_it_is_the_value_of() {
        let plan = plan(
            "inet:127.0.0.1:8892",
            vec![service("submission", "$smtpd_milters")],
            &[("smtpd_milters", "inet:localhost:8891")],
        );

        assert_eq!(
            plan.main_cf[2],
            "fairtrack_submission_milters = $fairtrack_milter, inet:localhost:8891"
        );
    }

    #[test]
    fn chrooted_service_gets_a_socket_that_it_can_see() {
        let mut chrooted = service("submission", "");
        chrooted.is_chrooted = true;

        let plan = plan("unix:/run/fairtrack/milter.sock", vec![chrooted], &[]);

        assert!(plan.main_cf[0].contains("{ unix:fairtrack/milter.sock,"));
        assert_eq!(
            plan.fairtrack_toml[1],
            "socket = \"unix:/var/spool/postfix/fairtrack/milter.sock\""
        );
        assert_eq!(plan.notes.len(), 1);
    }

    #[test]
    fn unchrooted_service_uses_the_path_as_it_is() {
        let plan = plan(
            "unix:/run/fairtrack/milter.sock",
            vec![service("submission", "")],
            &[],
        );

        assert!(plan.main_cf[0].contains("{ unix:/run/fairtrack/milter.sock,"));
        assert!(plan.fairtrack_toml.is_empty());
    }

    #[test]
    fn mail_that_would_pass_twice_is_pointed_out() {
        let us = "inet:127.0.0.1:8892";
        let plan = plan(
            us,
            vec![service("smtp", us), service("submission", us)],
            &[("smtpd_milters", us), ("non_smtpd_milters", us)],
        );

        assert_eq!(plan.notes.len(), 3, "{:?}", plan.notes);
    }

    #[test]
    fn without_a_submission_service_the_usual_lines_are_printed_with_a_note() {
        let plan = plan("inet:127.0.0.1:8892", vec![service("smtp", "")], &[]);

        assert_eq!(plan.master_cf.len(), 2);
        assert!(plan.notes[0].contains("no submission service"));
    }
}
