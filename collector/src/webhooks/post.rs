// SPDX-License-Identifier: GPL-3.0-or-later
//! One request to a webhook: to a checked address, over TLS that the system trusts, bounded in time; of the answer only
//! the status is looked at.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use http_body_util::Full;
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use url::{Position, Url};

use super::guard::{self, Refusal};

/// What is sent.
pub struct Delivery {
    pub url: Url,
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
}

/// Why nothing is known of an answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("connection or certificate")]
    Connection(#[from] io::Error),
    #[error("no proper answer")]
    Http(#[from] hyper::Error),
    #[error("no answer in time")]
    Late,
    #[error("the request cannot be written")]
    Request(#[from] hyper::http::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The longest that a request may take, from looking the name up to the status.
const LIMIT: Duration = Duration::from_secs(15);

static TLS: LazyLock<TlsConnector> = LazyLock::new(|| TlsConnector::from(Arc::new(trust())));

/// Sends a delivery and returns the status of the answer.
///
/// # Errors
///
/// Fails if there is no answer, or where the URL leads must not be called.
pub async fn post(delivery: Delivery, permitted: &[IpNet]) -> Result<u16, PostError> {
    let attempt = async {
        let address = guard::resolve(&delivery.url, permitted).await?;
        send(delivery, address).await
    };
    timeout(LIMIT, attempt)
        .await
        .unwrap_or(Err(PostError::Late))
}

async fn send(delivery: Delivery, address: SocketAddr) -> Result<u16, PostError> {
    let stream = TcpStream::connect(address).await?;
    if delivery.url.scheme() == "http" {
        return exchange(delivery, stream).await;
    }
    let host = delivery.url.host_str().unwrap_or_default();
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(bare).map_err(|_unfit| Refusal::Url)?;
    let stream = TLS.connect(name, stream).await?;
    exchange(delivery, stream).await
}

async fn exchange(
    delivery: Delivery,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<u16, PostError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let url = &delivery.url;
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let request = Request::post(&url[Position::BeforePath..Position::AfterQuery])
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "Fairtrack")
        .header("webhook-id", &delivery.id)
        .header("webhook-timestamp", &delivery.timestamp)
        .header("webhook-signature", &delivery.signature)
        .body(Full::new(Bytes::from(delivery.body)))?;
    let answer = sender.send_request(request).await;
    // The body of the answer is nothing to us, however long it is.
    connection.abort();
    Ok(answer?.status().as_u16())
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
