// SPDX-License-Identifier: GPL-3.0-or-later
//! Which of our programs belong to this host.
//!
//! Design note: several hosts have one configuration file between them, so that the file alone does not tell. What runs
//! here has been installed here, beside us or in the path; and what listens at an address of another host runs there.
//! Where neither says so, a program belongs here: a fault is then never taken for another host's business.

use std::{
    env,
    net::{IpAddr, UdpSocket},
};

use common::config::{Config, Socket};
use tokio::net::lookup_host;

use super::finding::Finding;

/// Where one of our programs runs.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Host {
    /// On another host, and by what that is known.
    Elsewhere(String),
    Here,
}

impl Host {
    pub(super) fn is_here(&self) -> bool {
        *self == Self::Here
    }

    /// Says that a program is not looked at here, unless it is.
    pub(super) fn note(&self, piece: &'static str, advice: &str) -> Option<Finding> {
        match self {
            Self::Elsewhere(why) => Some(Finding::note(
                piece,
                format!("is not on this host: {why}"),
                advice,
            )),
            Self::Here => None,
        }
    }
}

pub(super) fn collector(config: &Config) -> Host {
    let listens = config.collector.admin_listen.ip();
    if !is_installed("fairtrack-collector") {
        Host::Elsewhere("\"fairtrack-collector\" is not installed here".into())
    } else if is_foreign(listens) {
        Host::Elsewhere(format!(
            "\"collector.admin_listen\" ({listens}) is another's address"
        ))
    } else {
        Host::Here
    }
}

pub(super) async fn milter(config: &Config) -> Host {
    let socket = &config.milter.socket;
    if !is_installed("fairtrack-milter") {
        Host::Elsewhere("\"fairtrack-milter\" is not installed here".into())
    } else if listens_elsewhere(socket).await {
        Host::Elsewhere(format!("\"milter.socket\" ({socket}) is another's address"))
    } else {
        Host::Here
    }
}

async fn listens_elsewhere(socket: &Socket) -> bool {
    let Socket::Inet(place) = socket else {
        return false;
    };
    // A name that leads nowhere is a fault of this host, if of any.
    let Ok(addresses) = lookup_host(place).await else {
        return false;
    };
    let addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
    !addresses.is_empty() && addresses.into_iter().all(is_foreign)
}

fn is_installed(program: &str) -> bool {
    let beside = env::current_exe()
        .ok()
        .and_then(|ourselves| ourselves.parent().map(Into::into));
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(beside)
        .any(|folder| folder.join(program).is_file())
}

/// Tells whether no interface of this host has an address: whoever listens there is not here.
fn is_foreign(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_host_are_known_from_others() {
        for ours in ["127.0.0.1", "0.0.0.0"] {
            assert!(!is_foreign(ours.parse().unwrap()), "{ours}");
        }
        // For documentation: nobody has it.
        assert!(is_foreign("192.0.2.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn socket_of_another_host_is_elsewhere() {
        for (socket, is_elsewhere) in [
            ("inet:192.0.2.1:8892", true),
            ("inet:0.0.0.0:8892", false),
            ("inet:localhost:8892", false),
            ("inet:no-such-name.invalid:8892", false),
            ("unix:/run/fairtrack/milter.sock", false),
        ] {
            let socket = Socket::parse(socket).unwrap();

            assert_eq!(listens_elsewhere(&socket).await, is_elsewhere, "{socket}");
        }
    }
}
