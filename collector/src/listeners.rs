// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the collector listens: bound once, kept across reloads, so that no connection is refused meanwhile.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use anyhow::Context;
use common::config;
use listenfd::ListenFd;

/// The bound sockets of a collector.
pub struct Listeners {
    pub(crate) public: Public,
    pub(crate) admin: TcpListener,
}

/// The socket for the world, or the proxy before it.
pub(crate) enum Public {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listeners {
    /// Binds what the configuration names; a socket passed by the service manager takes the place of the public one.
    ///
    /// # Errors
    ///
    /// Fails if an address cannot be bound.
    pub fn bind(config: &config::Collector) -> anyhow::Result<Self> {
        let listen = &config.listen;
        let public =
            Public::bind(listen).with_context(|| format!("failed to listen on \"{listen}\""))?;
        let admin = TcpListener::bind(config.admin_listen)
            .with_context(|| format!("failed to listen on \"{}\"", config.admin_listen))?;
        Ok(Self { public, admin })
    }

    /// Returns where the public socket is bound, as the configuration spells it.
    pub fn public_address(&self) -> String {
        match &self.public {
            Public::Tcp(listener) => spell(listener.local_addr()),
            Public::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Returns where metrics and health are served.
    pub fn admin_address(&self) -> String {
        spell(self.admin.local_addr())
    }
}

impl Public {
    fn bind(listen: &str) -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        match listen.strip_prefix("unix:").map(Path::new) {
            Some(path) => {
                let listener = match passed.take_unix_listener(0)? {
                    Some(listener) => listener,
                    None => bind_unix(path)?,
                };
                Ok(Self::Unix(listener, path.into()))
            }
            None => match passed.take_tcp_listener(0)? {
                Some(listener) => Ok(Self::Tcp(listener)),
                None => TcpListener::bind(listen).map(Self::Tcp),
            },
        }
    }
}

/// Binds a UNIX socket; one that an earlier run left behind is replaced, anything else is not.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    // The proxy runs as another user; the folder decides who gets here.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

fn spell(address: io::Result<SocketAddr>) -> String {
    address.map_or_else(|_closed| "?".into(), |address| address.to_string())
}
