// SPDX-License-Identifier: GPL-3.0-or-later
//! Where Postfix names us already: what the printed lines leave out, and the doctor looks at.

use common::config::Socket;

use super::{
    installed::{Installed, Service},
    milters::{self, Entry},
};

/// A place that names us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place<'a> {
    Service(&'a str),
    Setting(&'static str),
}

/// Tells whether an entry leads to the socket at which the milter listens, as smtpd of that service sees it.
pub(crate) fn leads_to_us(
    entry: &Entry,
    service: &Service,
    installed: &Installed,
    socket: &Socket,
) -> bool {
    match (Socket::parse(entry.socket()), socket) {
        (Some(Socket::Unix(path)), Socket::Unix(ours)) => {
            let queue = &installed.queue_directory;
            let seen = match path.strip_prefix("/") {
                Ok(below) if service.is_chrooted => queue.join(below),
                Ok(_) => path,
                Err(_relative) => queue.join(path),
            };
            seen == *ours
        }
        (Some(Socket::Inet(place)), Socket::Inet(ours)) => {
            place == *ours
                || (port(&place) == port(ours)
                    && (is_everywhere(ours) || (is_loopback(&place) && is_loopback(ours))))
        }
        _ => false,
    }
}

/// Returns those of the settings, and of the services that are not for submission, whose list names us. The way in of
/// split messages must.
pub(crate) fn elsewhere<'a>(
    installed: &'a Installed,
    settings: &[&'static str],
    is_for_submission: impl Fn(&Service) -> bool,
    is_us: impl Fn(&Entry, &Service) -> bool,
) -> Vec<Place<'a>> {
    let lists_us = |list: &str, service: &Service| {
        milters::parse(list)
            .iter()
            .any(|entry| is_us(entry, service))
    };
    let settings = settings
        .iter()
        .filter(|setting| lists_us(installed.expanded(setting), &Service::default()))
        .map(|setting| Place::Setting(setting));
    let services = installed
        .services
        .iter()
        .filter(|service| !service.takes_copies && !is_for_submission(service))
        .filter(|service| lists_us(&service.effective, service))
        .map(|service| Place::Service(&service.name));
    settings.chain(services).collect()
}

/// Tells whether other hosts may ask at the socket at which the milter listens.
pub(crate) fn is_for_others(socket: &Socket) -> bool {
    matches!(socket, Socket::Inet(place) if !is_loopback(place))
}

fn port(place: &str) -> Option<&str> {
    place.rsplit(':').next()
}

/// Who listens everywhere is reached by any name of the host.
fn is_everywhere(place: &str) -> bool {
    ["0.0.0.0:", "[::]:"]
        .iter()
        .any(|start| place.starts_with(start))
}

fn is_loopback(place: &str) -> bool {
    ["127.0.0.1:", "localhost:", "[::1]:"]
        .iter()
        .any(|start| place.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(written: &str, ours: &str, is_chrooted: bool) -> bool {
        let service = Service {
            is_chrooted,
            ..Service::default()
        };
        let installed = Installed::for_testing(Vec::new(), &[]);
        let entries = milters::parse(written);
        leads_to_us(
            &entries[0],
            &service,
            &installed,
            &Socket::parse(ours).unwrap(),
        )
    }

    #[test]
    fn one_socket_has_several_names() {
        let below = "unix:/var/spool/postfix/fairtrack/milter.sock";
        for (written, ours, is_chrooted) in [
            ("unix:fairtrack/milter.sock", below, true),
            ("unix:fairtrack/milter.sock", below, false),
            ("unix:/fairtrack/milter.sock", below, true),
            ("inet:localhost:8892", "inet:127.0.0.1:8892", false),
            ("inet:milter.example.com:8892", "inet:0.0.0.0:8892", false),
        ] {
            assert!(leads(written, ours, is_chrooted), "{written}");
        }
        for (written, ours, is_chrooted) in [
            ("unix:/fairtrack/milter.sock", below, false),
            ("inet:localhost:8891", "inet:127.0.0.1:8892", false),
            ("inet:milter.example.com:8892", "inet:127.0.0.1:8892", false),
            ("inet:milter.example.com:8891", "inet:0.0.0.0:8892", false),
        ] {
            assert!(!leads(written, ours, is_chrooted), "{written}");
        }
    }

    #[test]
    fn way_in_of_split_messages_must_name_us() {
        let us = "inet:127.0.0.1:8892";
        let named = |name: &str, takes_copies| Service {
            name: name.into(),
            effective: us.into(),
            takes_copies,
            ..Service::default()
        };
        let services = vec![named("smtp", false), named("127.0.0.1:10026", true)];
        let installed = Installed::for_testing(services, &[("non_smtpd_milters", us)]);
        let socket = Socket::parse(us).unwrap();

        let places = elsewhere(
            &installed,
            &["smtpd_milters", "non_smtpd_milters"],
            Service::is_for_submission,
            |entry, service| leads_to_us(entry, service, &installed, &socket),
        );

        assert_eq!(
            places,
            [Place::Setting("non_smtpd_milters"), Place::Service("smtp")]
        );
    }
}
