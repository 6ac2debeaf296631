// SPDX-License-Identifier: GPL-3.0-or-later
//! One question to the provider, bounded in time and size.

use std::{net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::{Request, body::Bytes, header, http::request::Builder};
use serde::de::DeserializeOwned;
use tokio::{net::lookup_host, time::timeout};
use url::{Position, Url};

use super::provider::OidcError;
use crate::exchange::{bare_host, exchange};

/// The longest that one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: usize = 256 * 1024;

/// Asks for a document.
pub(super) async fn get<T: DeserializeOwned>(
    what: &'static str,
    url: &Url,
) -> Result<T, OidcError> {
    let request = whole(asking(Request::get(path(url)), url), String::new())?;
    ask(what, url, request).await
}

/// Sends a request and reads the answer, which must be JSON.
pub(super) async fn ask<T: DeserializeOwned>(
    what: &'static str,
    url: &Url,
    request: Request<Full<Bytes>>,
) -> Result<T, OidcError> {
    let text = octets(what, url, request).await?;
    serde_json::from_slice(&text).map_err(|_malformed| OidcError::Malformed("an answer"))
}

/// Sends a request and returns the body of the answer, if that is a success.
pub(super) async fn octets(
    what: &'static str,
    url: &Url,
    request: Request<Full<Bytes>>,
) -> Result<Bytes, OidcError> {
    let attempt = async {
        let port = url.port_or_known_default().ok_or(OidcError::Unknown)?;
        let found = lookup_host((bare_host(url), port)).await;
        let found: Vec<SocketAddr> = found.map_err(|_unknown| OidcError::Unknown)?.collect();
        Ok(exchange(url, &found, request, LONGEST).await?)
    };
    let (head, body) = timeout(PATIENCE, attempt)
        .await
        .unwrap_or(Err(OidcError::Late))?;
    if head.status.is_success() {
        Ok(body)
    } else {
        Err(OidcError::Status(what, head.status.as_u16()))
    }
}

/// Returns what a request names: path and query.
pub(super) fn path(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

/// Adds the fields that every request has.
pub(super) fn asking(builder: Builder, url: &Url) -> Builder {
    builder
        .header(
            header::HOST,
            &url[Position::BeforeHost..Position::AfterPort],
        )
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "Fairtrack")
}

/// Puts a request together.
pub(super) fn whole(builder: Builder, body: String) -> Result<Request<Full<Bytes>>, OidcError> {
    builder
        .body(Full::new(Bytes::from(body)))
        .map_err(|_unfit| OidcError::Malformed("an endpoint"))
}
