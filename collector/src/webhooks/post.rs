// SPDX-License-Identifier: GPL-3.0-or-later
//! One request to a webhook: to a checked address, bounded in time; of the answer only the status is looked at.

use std::{net::SocketAddr, slice, time::Duration};

use http_body_util::Full;
use hyper::{Request, body::Bytes, header};
use ipnet::IpNet;
use tokio::time::timeout;
use url::{Position, Url};

use super::guard::{self, Refusal};
use crate::exchange::{ExchangeError, exchange};

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
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("no answer in time")]
    Late,
    #[error("the request cannot be written")]
    Request(#[from] hyper::http::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The longest that a request may take, from looking the name up to the status.
const LIMIT: Duration = Duration::from_secs(15);

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
    let url = &delivery.url;
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let request = Request::post(&url[Position::BeforePath..Position::AfterQuery])
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "Fairtrack")
        .header("webhook-id", &delivery.id)
        .header("webhook-timestamp", &delivery.timestamp)
        .header("webhook-signature", &delivery.signature)
        .body(Full::new(Bytes::from(delivery.body.clone())))?;
    let (head, _) = exchange(url, slice::from_ref(&address), request, 0).await?;
    Ok(head.status.as_u16())
}
