// SPDX-License-Identifier: GPL-3.0-or-later
//! The health gate: while a controller's collector has not answered for a minute, nothing is instrumented for it.
//!
//! A link that leads nowhere is worse than one that is not tracked. What is asked is what recipients ask: the pixel, at
//! the public URL, its name and certificate included; with HEAD, which is never recorded. No message waits for it.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use url::Url;

use crate::milter::Milter;

/// How long a collector may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between questions, and the longest that one may take.
const PAUSE: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(5);

/// A pixel as good as any: the answer is the same for every token.
const QUESTION: &str = "/o/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.gif";

/// When each collector answered last, by its base URL.
#[derive(Debug, Default)]
pub(crate) struct Health {
    answered: RwLock<HashMap<String, Answered>>,
}

#[derive(Clone, Copy, Debug)]
struct Answered {
    /// Or when it was first asked.
    last: Instant,
    is_silence_told: bool,
}

/// Why a collector counts as silent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    #[error("connection or certificate: {0}")]
    Connection(#[from] io::Error),
    #[error("no answer in time")]
    Late,
    #[error("the public URL cannot be asked")]
    Url,
    #[error("another answer than a collector's")]
    Wrong,
}

impl Health {
    /// Tells whether the collector at a base URL answered within the last minute, or has not been asked for so long.
    pub(crate) fn is_up(&self, base: &str, now: Instant) -> bool {
        let answered = self.answered.read().unwrap_or_else(PoisonError::into_inner);
        answered
            .get(base)
            .is_none_or(|answered| now.duration_since(answered.last) < PATIENCE)
    }

    pub(crate) fn take(&self, base: &str, answer: Result<(), Silence>, now: Instant) {
        let mut answered = self
            .answered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = answered.entry(base.to_owned()).or_insert(Answered {
            last: now,
            is_silence_told: false,
        });
        match answer {
            Ok(()) => {
                if entry.is_silence_told {
                    tracing::warn!("the collector at \"{base}\" answers again");
                }
                *entry = Answered {
                    last: now,
                    is_silence_told: false,
                };
            }
            Err(silence) if now.duration_since(entry.last) >= PATIENCE => {
                if !entry.is_silence_told {
                    tracing::error!(
                        "the collector at \"{base}\" is silent, nothing is instrumented: {silence}"
                    );
                }
                entry.is_silence_told = true;
            }
            Err(silence) => tracing::debug!("the collector at \"{base}\" is silent: {silence}"),
        }
    }
}

/// Asks the collectors of all controllers, again and again.
pub(crate) async fn watch(milter: Arc<Milter>) {
    let tls = TlsConnector::from(Arc::new(trust()));
    loop {
        let settings = milter.settings();
        if settings.config.milter.health_gate {
            for controller in &settings.config.controllers {
                let base = controller.base_url();
                let answer = match timeout(LIMIT, ask(base, &tls)).await {
                    Ok(answer) => answer,
                    Err(_elapsed) => Err(Silence::Late),
                };
                milter.health.take(base, answer, Instant::now());
            }
        }
        sleep(PAUSE).await;
    }
}

/// Trusts whom the system trusts.
fn trust() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions of TLS that are the default")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn ask(base: &str, tls: &TlsConnector) -> Result<(), Silence> {
    let url = Url::parse(base).map_err(|_malformed| Silence::Url)?;
    let host = url.host_str().ok_or(Silence::Url)?;
    let port = url.port_or_known_default().ok_or(Silence::Url)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await?;
    if url.scheme() == "http" {
        return converse(stream, &url).await;
    }
    let name = ServerName::try_from(bare.to_owned()).map_err(|_invalid| Silence::Url)?;
    converse(tls.connect(name, stream).await?, &url).await
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    url: &Url,
) -> Result<(), Silence> {
    let host = url.authority();
    let request = format!(
        "HEAD {QUESTION} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: fairtrack-milter\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    if status.starts_with(b"HTTP/1.") && status.ends_with(b" 200") {
        Ok(())
    } else {
        Err(Silence::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const BASE: &str = "https://track.example.com";

    #[test]
    fn collector_is_down_after_a_minute_of_silence_and_up_with_one_answer() {
        let health = Health::default();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert!(health.is_up(BASE, begin), "nobody asked yet");

        health.take(BASE, Err(Silence::Late), begin);
        health.take(BASE, Err(Silence::Late), after(50));
        assert!(health.is_up(BASE, after(59)));
        assert!(!health.is_up(BASE, after(60)));
        health.take(BASE, Err(Silence::Late), after(70));
        assert!(!health.is_up(BASE, after(71)));
        health.take(BASE, Ok(()), after(80));

        assert!(health.is_up(BASE, after(81)));
        assert!(!health.is_up(BASE, after(141)));
        assert!(health.is_up("https://other.example", after(141)));
    }

    /// Answers one connection and returns the URL to ask, and what was asked.
    async fn answering(answer: &'static [u8]) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
            request
        });
        (place.to_string(), asked)
    }

    #[tokio::test]
    async fn only_a_collectors_answer_counts() {
        let tls = TlsConnector::from(Arc::new(trust()));
        let (place, asked) = answering(b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert!(ask(&format!("http://{place}"), &tls).await.is_ok());
        assert_eq!(asked.await.unwrap(), b"HEAD");

        let (place, _) = answering(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        assert!(matches!(
            ask(&format!("http://{place}"), &tls).await,
            Err(Silence::Wrong)
        ));
        // What speaks no TLS is not what recipients would reach.
        let (place, _) = answering(b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert!(matches!(
            ask(&format!("https://{place}"), &tls).await,
            Err(Silence::Connection(_))
        ));
    }
}
