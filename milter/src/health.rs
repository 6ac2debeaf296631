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
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
    },
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
    let tls = TlsConnector::from(Arc::new(trust(system_roots())));
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
fn system_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

fn trust(authorities: Vec<CertificateDer<'static>>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities);
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
    use std::{fs, path::PathBuf, process::Command};

    use tokio::net::TcpListener;
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            ServerConfig,
            pki_types::{PrivateKeyDer, UnixTime, pem::PemObject},
            time_provider::TimeProvider,
        },
    };

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
        let tls = TlsConnector::from(Arc::new(trust(system_roots())));
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

    /// An authority that nobody knows, and a certificate of it for a name; made by `openssl`, valid for two days.
    struct Authority {
        folder: PathBuf,
    }

    impl Authority {
        /// `label` tells its folder from others.
        fn new(label: &str, name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("ft-ca-{}-{label}", std::process::id()));
            fs::create_dir(&folder).unwrap();
            let this = Self { folder };
            let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
            this.openssl(&format!(
                "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN={label} -days 2"
            ));
            this.openssl(&format!("req {key} -keyout key.pem -out csr -subj /CN=x"));
            fs::write(
                this.folder.join("names"),
                format!("subjectAltName=DNS:{name}\n"),
            )
            .unwrap();
            this.openssl(
                "x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
            );
            this
        }

        fn openssl(&self, arguments: &str) {
            let output = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(&self.folder)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
        }

        fn certificate(&self, file: &str) -> CertificateDer<'static> {
            CertificateDer::from_pem_file(self.folder.join(file)).unwrap()
        }

        fn trusted(&self) -> ClientConfig {
            trust(vec![self.certificate("ca.pem")])
        }

        /// Answers one connection as a collector does, over TLS, and returns the URL to ask: by the name `localhost`.
        async fn serve(&self) -> String {
            let key = PrivateKeyDer::from_pem_file(self.folder.join("key.pem")).unwrap();
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![self.certificate("cert.pem")], key)
                .unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = TlsAcceptor::from(Arc::new(config));
                // A client that does not trust us breaks off.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = [0; 4];
                stream.read_exact(&mut request).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                stream.flush().await.unwrap();
            });
            format!("https://localhost:{port}")
        }

        async fn ask(&self, config: ClientConfig) -> Result<(), Silence> {
            ask(&self.serve().await, &TlsConnector::from(Arc::new(config))).await
        }
    }

    impl Drop for Authority {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.folder);
        }
    }

    /// A clock that is three days ahead.
    #[derive(Debug)]
    struct Later;

    impl TimeProvider for Later {
        fn current_time(&self) -> Option<UnixTime> {
            let now = UnixTime::now().as_secs();
            let later = now + 3 * 24 * 60 * 60;
            Some(UnixTime::since_unix_epoch(Duration::from_secs(later)))
        }
    }

    #[tokio::test]
    async fn certificate_counts_if_it_is_trusted_valid_and_for_that_name() {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: it needs openssl");
            return;
        }
        let right = Authority::new("right", "localhost");
        let other = Authority::new("other", "track.example.com");
        let mut later = right.trusted();
        later.time_provider = Arc::new(Later);

        assert!(right.ask(right.trusted()).await.is_ok());
        for (said, result) in [
            ("not valid for name", other.ask(other.trusted()).await),
            ("expired", right.ask(later).await),
            ("UnknownIssuer", right.ask(other.trusted()).await),
            ("UnknownIssuer", right.ask(trust(system_roots())).await),
        ] {
            let silence = result.unwrap_err().to_string();
            assert!(silence.contains(said), "{said}: {silence}");
        }
    }

    #[tokio::test]
    async fn collector_whose_certificate_fits_no_more_is_down_after_a_minute() {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: it needs openssl");
            return;
        }
        let authority = Authority::new("again", "localhost");
        let health = Health::default();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let expired = || async {
            let mut later = authority.trusted();
            later.time_provider = Arc::new(Later);
            authority.ask(later).await
        };

        health.take(BASE, authority.ask(authority.trusted()).await, begin);
        health.take(BASE, expired().await, after(30));
        assert!(health.is_up(BASE, after(59)));
        health.take(BASE, expired().await, after(61));
        assert!(!health.is_up(BASE, after(61)));
        health.take(BASE, authority.ask(authority.trusted()).await, after(70));
        assert!(health.is_up(BASE, after(70)));
    }
}
