// SPDX-License-Identifier: GPL-3.0-or-later
//! Free ports on the loopback interface.
//!
//! Ports below the range from which the kernel takes the source ports of connections, so that none of these can take
//! one between our choice and the server's start; and each kept from other tests by a lock that ends with its holder.

use std::{
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::atomic::{AtomicU16, Ordering},
};

/// A port that no other test is given as long as this value lives.
pub struct Port {
    number: u16,
    _lock: UnixListener,
}

impl Port {
    /// Finds a free port.
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Different processes begin in different places.
        let offset = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
        (0..COUNT)
            .find_map(|_| {
                let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
                Self::try_reserve(FIRST + (offset + step) % COUNT)
            })
            .expect("a machine has free ports")
    }

    /// Returns the number.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn try_reserve(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("fairtrack-port-{number}")).unwrap();
        let lock = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self {
            number,
            _lock: lock,
        })
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}

const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;
