// SPDX-License-Identifier: GPL-3.0-or-later
//! The milter: spoken to as Postfix does, up to the end of the negotiation.

use std::{io, path::Path, time::Duration};

use common::config::Socket;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::finding::Finding;

pub(super) async fn examine(socket: &Socket) -> Finding {
    match timeout(PATIENCE, greet(socket)).await {
        Ok(Ok(())) => Finding::ok("milter", format!("answers at \"{socket}\"")),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Finding::note(
            "milter",
            format!("\"{socket}\" may not be used by this user"),
            "run this as root, or as a member of the socket's group, to have the milter asked",
        ),
        Ok(Err(error)) => Finding::wrong(
            "milter",
            format!("no answer at \"{socket}\": {error}"),
            "start fairtrack-milter and look at its log; mail flows untracked meanwhile",
        ),
        Err(_elapsed) => Finding::wrong(
            "milter",
            format!("\"{socket}\" takes connections and does not answer"),
            "restart fairtrack-milter and look at its log; each session waits for Postfix's time limit meanwhile",
        ),
    }
}

/// Less than Postfix's own limit in the lines that we print.
const PATIENCE: Duration = Duration::from_secs(4);

async fn greet(socket: &Socket) -> io::Result<()> {
    match socket {
        Socket::Inet(place) => negotiate(TcpStream::connect(place).await?).await,
        Socket::Unix(path) => greet_at(path).await,
    }
}

async fn greet_at(path: &Path) -> io::Result<()> {
    negotiate(UnixStream::connect(path).await?).await
}

/// Offers everything that Postfix offers, and wants an answer of the same kind.
async fn negotiate(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.write_all(OFFER).await?;
    stream.flush().await?;
    let length = stream.read_u32().await?;
    let kind = stream.read_u8().await?;
    if !(13..=4096).contains(&length) || kind != b'O' {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "what listens there is no milter",
        ));
    }
    let mut answer = Vec::new();
    let rest = u64::from(length) - 1;
    (&mut stream).take(rest).read_to_end(&mut answer).await?;
    stream.write_all(QUIT).await?;
    stream.flush().await
}

/// Option negotiation: version 6, all actions, all protocol options.
const OFFER: &[u8] = &[
    0, 0, 0, 13, b'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff,
];
const QUIT: &[u8] = &[0, 0, 0, 1, b'Q'];
