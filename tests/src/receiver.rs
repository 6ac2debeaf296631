// SPDX-License-Identifier: GPL-3.0-or-later
//! Somebody else's program that webhooks call: keeps what came and answers as it is told.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use crate::log::PATIENCE;

/// A receiver on loopback.
pub struct Receiver {
    port: u16,
    status: Arc<AtomicU16>,
    calls: mpsc::UnboundedReceiver<Call>,
    server: JoinHandle<()>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Receiver {
    /// Starts a receiver that answers with 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let status = Arc::new(AtomicU16::new(200));
        let (sender, calls) = mpsc::unbounded_channel();
        let answer = Arc::clone(&status);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, answer) = (sender.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    if let Some(call) = take(stream, answer.load(Ordering::SeqCst)).await {
                        let _ = sender.send(call);
                    }
                });
            }
        });
        Self {
            port,
            status,
            calls,
            server,
        }
    }

    /// Returns the URL to call.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?of=crm", self.port)
    }

    /// Answers with this status from now on; with 0, not at all, and holds the line.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Returns the next call.
    ///
    /// # Panics
    ///
    /// Panics if none comes.
    pub async fn next(&mut self) -> Call {
        timeout(PATIENCE, self.calls.recv())
            .await
            .expect("nobody called")
            .unwrap()
    }

    /// Returns a call that came already.
    pub fn take(&mut self) -> Option<Call> {
        self.calls.try_recv().ok()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(stream: TcpStream, status: u16) -> Option<Call> {
    let mut stream = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let call = Call {
        headers,
        body: String::from_utf8(body).ok()?,
    };
    if status == 0 {
        tokio::spawn(async move {
            // Until whoever called gives up.
            let _ = stream.read_u8().await;
        });
        return Some(call);
    }
    let answer = format!(
        "HTTP/1.1 {status} Said\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    Some(call)
}
