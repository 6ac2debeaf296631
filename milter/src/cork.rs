// SPDX-License-Identifier: GPL-3.0-or-later
//! The cork: every edit and the verdict leave in one uninterrupted write, or nothing does.
//!
//! Design note: with `default_action=accept`, a milter that dies between its first edit and its verdict makes Postfix
//! deliver a mixture of the old body and the new one, or lose the message. So edits never go through the milter library
//! one by one. A callback hands all of them, encoded, to the [`Outlet`] of its connection; the [`Cork`], which is the
//! stream that the library writes to, puts them before the verdict and gives both to the kernel at once. A callback that
//! panics, or is dropped, leaves no verdict, and so nothing leaves.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use crate::unanswered::Claim;

/// The frames that end the exchange at end of message: accept and continue, each without a payload.
const VERDICTS: [&[u8]; 2] = [b"\0\0\0\x01a", b"\0\0\0\x01c"];

/// The length of a verdict's frame.
pub(crate) const VERDICT_LENGTH: usize = 5;

/// One connection's stream, held back as the module says.
pub(crate) struct Cork<S> {
    stream: S,
    held: Arc<Mutex<Held>>,
    leaving: Vec<u8>,
    left: usize,
    /// What the database claims of the edits that are leaving.
    claim: Option<Claim>,
    /// Closes when the connection ends.
    _open: oneshot::Sender<()>,
}

/// Edits that wait for their verdict. Dropped, they take back what the database claims of them.
#[derive(Debug, Default)]
struct Held {
    edits: Vec<u8>,
    claim: Option<Claim>,
}

/// Where the callbacks of one connection put their edits.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    held: Arc<Mutex<Held>>,
    room: usize,
}

impl<S> Cork<S> {
    /// Puts a cork on a stream that takes `room` octets in one write. The receiver ends with the connection.
    pub(crate) fn new(stream: S, room: usize) -> (Self, Outlet, oneshot::Receiver<()>) {
        let held = Arc::new(Mutex::new(Held::default()));
        let (open, closed) = oneshot::channel();
        let outlet = Outlet {
            held: Arc::clone(&held),
            room,
        };
        let cork = Self {
            stream,
            held,
            leaving: Vec::new(),
            left: 0,
            claim: None,
            _open: open,
        };
        (cork, outlet, closed)
    }
}

impl Outlet {
    /// Tells whether edits of that encoded length fit, with their verdict.
    pub(crate) fn has_room_for(&self, length: usize) -> bool {
        length.saturating_add(VERDICT_LENGTH) <= self.room
    }

    /// Holds encoded edits until the verdict is written, and what the database claims of them.
    pub(crate) fn hold(&self, mut edits: Vec<u8>, claim: Option<Claim>) {
        edits.reserve_exact(VERDICT_LENGTH);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Held { edits, claim };
    }

    /// Drops what is held: at the beginning of a message.
    pub(crate) fn clear(&self) {
        self.hold(Vec::new(), None);
    }
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    fn push(&mut self, octets: &[u8]) {
        if VERDICTS.contains(&octets) {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let Held { edits, claim } = std::mem::take(&mut *held);
            self.claim = claim;
            if self.leaving.is_empty() {
                self.leaving = edits;
            } else {
                self.leaving.extend_from_slice(&edits);
            }
        }
        self.leaving.extend_from_slice(octets);
    }

    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(claim) = &mut self.claim {
            claim.is_leaving();
        }
        while let Some(rest) = self
            .leaving
            .get(self.left..)
            .filter(|rest| !rest.is_empty())
        {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left += written;
        }
        self.leaving = Vec::new();
        self.left = 0;
        if let Some(claim) = self.claim.take() {
            claim.has_left();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cork<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cork<S> {
    /// Takes a frame. The library writes each frame whole, and flushes after it.
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().push(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_leave(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is still held is dropped on purpose: without a verdict there are no edits.
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const CONTINUE: &[u8] = b"\0\0\0\x01c";

    /// Takes everything, and tells how it came.
    #[derive(Default)]
    struct Writes(Vec<usize>);

    impl AsyncWrite for Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            octets: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(octets.len());
            Poll::Ready(Ok(octets.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn edits_and_verdict_are_one_write() {
        let (mut cork, outlet, _closed) = Cork::new(Writes::default(), 10_000_000);

        outlet.hold(vec![b'x'; 5_000_000], None);
        cork.write_all(CONTINUE).await.unwrap();
        cork.flush().await.unwrap();

        assert_eq!(cork.stream.0, [5_000_005]);
    }

    #[tokio::test]
    async fn edits_leave_before_the_verdict_and_once() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let (mut cork, outlet, _closed) = Cork::new(ours, 1000);

        outlet.hold(b"edits".to_vec(), None);
        for _ in 0..2 {
            cork.write_all(CONTINUE).await.unwrap();
            cork.flush().await.unwrap();
        }
        drop(cork);

        let mut seen = Vec::new();
        theirs.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"edits\0\0\0\x01c\0\0\0\x01c");
    }

    #[tokio::test]
    async fn other_frames_do_not_draw_the_cork() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let (mut cork, outlet, _closed) = Cork::new(ours, 1000);

        outlet.hold(b"edits".to_vec(), None);
        cork.write_all(b"\0\0\0\x01s").await.unwrap();
        cork.flush().await.unwrap();
        drop(cork);

        let mut seen = Vec::new();
        theirs.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"\0\0\0\x01s");
    }

    #[tokio::test]
    async fn without_a_verdict_nothing_leaves() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let (mut cork, outlet, mut closed) = Cork::new(ours, 1000);

        outlet.hold(b"edits".to_vec(), None);
        cork.shutdown().await.unwrap();
        assert!(closed.try_recv().is_err());
        drop(cork);

        let mut seen = Vec::new();
        theirs.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"");
        assert!(closed.await.is_err(), "the end of the connection is told");
    }

    #[test]
    fn room_counts_the_verdict() {
        let (_cork, outlet, _closed) = Cork::new(tokio::io::empty(), 100);

        assert!(outlet.has_room_for(95));
        assert!(!outlet.has_room_for(96));
        assert!(!outlet.has_room_for(usize::MAX));
    }
}
