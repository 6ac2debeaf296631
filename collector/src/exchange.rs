// SPDX-License-Identifier: GPL-3.0-or-later
//! One request to another's server: over TLS that the system trusts, on a connection of its own, its answer bounded.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    http::response::Parts,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use url::Url;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("connection or certificate")]
    Connection(#[from] io::Error),
    #[error("no proper answer")]
    Http(#[from] hyper::Error),
    #[error("a host that no certificate can name")]
    Name,
    #[error("an answer that is too long")]
    TooLong,
}

type Sender = SendRequest<Full<Bytes>>;

static TLS: LazyLock<TlsConnector> = LazyLock::new(|| TlsConnector::from(Arc::new(trust())));

/// Sends a request to one of the addresses that a URL's host was found at, and returns the answer.
///
/// A body longer than `longest` is a failure; with 0, the body is not looked at, however long it is.
///
/// # Errors
///
/// Fails if there is no answer.
pub async fn exchange(
    url: &Url,
    addresses: &[SocketAddr],
    request: Request<Full<Bytes>>,
    longest: usize,
) -> Result<(Parts, Bytes), ExchangeError> {
    let (mut sender, connection) = connect(url, addresses).await?;
    let outcome = converse(&mut sender, request, longest).await;
    connection.abort();
    outcome
}

async fn converse(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
    longest: usize,
) -> Result<(Parts, Bytes), ExchangeError> {
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = match longest {
        0 => Bytes::new(),
        _ => whole(body, longest).await?,
    };
    Ok((head, body))
}

async fn whole(body: Incoming, longest: usize) -> Result<Bytes, ExchangeError> {
    let collected = Limited::new(body, longest).collect().await;
    collected
        .map(|collected| collected.to_bytes())
        .map_err(|_broken_or_long| ExchangeError::TooLong)
}

async fn connect(
    url: &Url,
    addresses: &[SocketAddr],
) -> Result<(Sender, JoinHandle<Result<(), hyper::Error>>), ExchangeError> {
    let stream = TcpStream::connect(addresses).await?;
    if url.scheme() == "http" {
        return shake_hands(stream).await;
    }
    let name = ServerName::try_from(bare_host(url)).map_err(|_unfit| ExchangeError::Name)?;
    shake_hands(TLS.connect(name, stream).await?).await
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<(Sender, JoinHandle<Result<(), hyper::Error>>), ExchangeError> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    Ok((sender, tokio::spawn(connection)))
}

/// Returns the host of a URL, an address without its brackets.
pub fn bare_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
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
