// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the link in the message leads: a page of somebody who knows nothing of us.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::TcpListener,
};

/// A web server with one page.
pub(crate) struct Shop {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

/// What the page says.
pub(crate) const GREETING: &str = "Welcome to the shop";

impl Shop {
    /// Opens on a port of the kernel's choice.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufStream::new(stream);
                let mut line = String::new();
                if stream.read_line(&mut line).await.is_err() {
                    continue;
                }
                let target = line.split(' ').nth(1).unwrap_or_default();
                seen.lock().unwrap().push(target.to_owned());
                let page = format!("<!doctype html><title>Shop</title><h1>{GREETING}</h1>");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                    page.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, requests }
    }

    /// Returns the address of an offer, with what shops put into addresses.
    pub(crate) fn offer(&self) -> String {
        // Not the collector's host: links to that are never tracked.
        format!("http://localhost:{}{OFFER}", self.port)
    }

    /// Counts the visits to the offer.
    pub(crate) fn visits(&self) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|target| *target == OFFER).count()
    }
}

const OFFER: &str = "/offer?id=7&lang=pl&name=za%C5%BC%C3%B3%C5%82%C4%87";
