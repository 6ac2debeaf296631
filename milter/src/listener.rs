// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the MTA connects: a UNIX or TCP socket, and the loop that accepts.
//!
//! Design note: the milter library is given one connection at a time, by a listener that yields just that one. So the
//! loop is ours: an error of `accept` is logged and tried again, never the end of the milter; and beyond our limit of
//! sessions a connection is closed at once, which makes Postfix go on without us within milliseconds, where the library
//! would let it wait for its time-out. And so the callbacks of a connection can know its [`Outlet`].

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use nix::unistd::Group;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
};

use common::config::{self, Socket};

use crate::{
    cork::{Cork, Outlet},
    send_buffer,
};

/// How long the loop rests after an error of `accept`: most such errors pass when some session ends.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens.
pub struct Listener {
    socket: Bound,
    /// The send buffer asked for on each connection.
    send_buffer: usize,
}

/// Why the milter could not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("failed to listen on \"{socket}\"")]
    Bind { socket: String, source: io::Error },
    #[error("failed to set mode or group of \"{}\"", path.display())]
    Grant { path: PathBuf, source: io::Error },
    #[error("unknown group \"{0}\" in \"milter.socket_group\"")]
    Group(String),
    #[error("invalid mode \"{0}\" in \"milter.socket_mode\" (octal digits, such as 660)")]
    Mode(String),
    #[error("\"{}\" is in use by a running program", .0.display())]
    Used(PathBuf),
}

/// One connection, corked.
pub(crate) struct Connection {
    pub(crate) cork: Cork<Stream>,
    pub(crate) outlet: Outlet,
    /// Ends with the connection.
    pub(crate) closed: oneshot::Receiver<()>,
    pub(crate) reach: Reach,
}

/// How far away the MTA may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    Network,
    SameHost,
}

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A socket in the file system; removed when dropped, unless another program has put its own there.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// Binds the socket of the configuration. A stale UNIX socket is removed first.
    ///
    /// # Errors
    ///
    /// Fails if the place is taken or may not be used, or if mode or group make no sense.
    pub async fn bind(config: &config::Milter) -> Result<Self, ListenError> {
        let socket = match &config.socket {
            Socket::Inet(place) => Bound::Tcp(
                TcpListener::bind(place)
                    .await
                    .map_err(|source| bind_error(&config.socket, source))?,
            ),
            Socket::Unix(path) => bind_unix(path, config).await?,
        };
        Ok(Self {
            socket,
            // Instrumenting makes a message larger; beyond the double something is wrong with it.
            send_buffer: config.max_message_size.0.saturating_mul(2),
        })
    }

    /// Returns the place, the port having been chosen by the system where the configuration says 0.
    pub fn place(&self) -> Socket {
        match &self.socket {
            Bound::Tcp(listener) => Socket::Inet(
                listener
                    .local_addr()
                    .map_or_else(|_| String::new(), |place| place.to_string()),
            ),
            Bound::Unix(_, file) => Socket::Unix(file.path.clone()),
        }
    }

    /// Accepts connections and converses over each, at most `most` at a time, until `stop` becomes true. Returns when
    /// every conversation has ended, each of which must watch `stop` as well.
    pub(crate) async fn serve<C>(
        self,
        most: usize,
        mut stop: watch::Receiver<bool>,
        converse: impl Fn(Connection) -> C,
    ) where
        C: Future<Output = ()> + Send + 'static,
    {
        let sessions = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        let mut conversations = JoinSet::new();
        let mut is_full = false;
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                // An error means that nobody is left who could say stop: then it is time to stop.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            while conversations.try_join_next().is_some() {}
            let stream = match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!("failed to accept a connection: {error}");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&sessions).try_acquire_owned() else {
                // Once for each flood, which must not flood the log as well.
                if !std::mem::replace(&mut is_full, true) {
                    tracing::warn!(
                        "{most} sessions are open (milter.max_sessions): more are closed at once"
                    );
                }
                continue;
            };
            is_full = false;
            match self.prepare(stream) {
                Ok(connection) => {
                    let conversation = converse(connection);
                    conversations.spawn(async move {
                        conversation.await;
                        drop(permit);
                    });
                }
                Err(error) => tracing::warn!("failed to set up a connection: {error}"),
            }
        }
        drop(self);
        while conversations.join_next().await.is_some() {}
    }

    async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Bound::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
            Bound::Unix(listener, _) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }

    fn prepare(&self, stream: Stream) -> io::Result<Connection> {
        let (room, reach) = match &stream {
            Stream::Tcp(stream) => {
                // Else Nagle's algorithm and the MTA's delayed acknowledgement cost 40 ms a message.
                stream.set_nodelay(true)?;
                (
                    send_buffer::widen(stream, self.send_buffer)?,
                    Reach::Network,
                )
            }
            // A UNIX socket does not inherit the size from its listener.
            Stream::Unix(stream) => (
                send_buffer::widen(stream, self.send_buffer)?,
                Reach::SameHost,
            ),
        };
        let (cork, outlet, closed) = Cork::new(stream, room);
        Ok(Connection {
            cork,
            outlet,
            closed,
            reach,
        })
    }
}

async fn bind_unix(path: &Path, config: &config::Milter) -> Result<Bound, ListenError> {
    let mode = u32::from_str_radix(&config.socket_mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| ListenError::Mode(config.socket_mode.clone()))?;
    let group = match &config.socket_group {
        None => None,
        Some(name) => Some(
            Group::from_name(name)
                .ok()
                .flatten()
                .ok_or_else(|| ListenError::Group(name.clone()))?,
        ),
    };
    remove_stale(path).await?;
    let listener = UnixListener::bind(path).map_err(|source| bind_error(&config.socket, source))?;
    let grant_error = |source| ListenError::Grant {
        path: path.into(),
        source,
    };
    let file = SocketFile {
        path: path.into(),
        inode: fs::symlink_metadata(path).map_err(grant_error)?.ino(),
    };
    if let Some(group) = group {
        chown(path, None, Some(group.gid.as_raw())).map_err(grant_error)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(grant_error)?;
    Ok(Bound::Unix(listener, file))
}

/// Removes a socket at which nobody listens any more. Anything else there is left to fail the binding.
async fn remove_stale(path: &Path) -> Result<(), ListenError> {
    if !fs::symlink_metadata(path).is_ok_and(|entry| entry.file_type().is_socket()) {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|source| ListenError::Bind {
                socket: Socket::Unix(path.into()).to_string(),
                source,
            }),
        Err(_) | Ok(_) => Err(ListenError::Used(path.into())),
    }
}

fn bind_error(socket: &Socket, source: io::Error) -> ListenError {
    ListenError::Bind {
        socket: socket.to_string(),
        source,
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|entry| entry.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("failed to remove \"{}\": {error}", self.path.display());
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
