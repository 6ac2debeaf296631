// SPDX-License-Identifier: GPL-3.0-or-later
//! Pixels and tracked links: one answer each, whatever happens behind it.
//!
//! Design note: these two paths are served in front of the router, because routing would cost more than the answer.
//! What they answer depends on the request and on the keys alone: never on the database, on consent, or on who asks.

mod click;
pub(crate) mod client;
mod destination;
mod flood;
mod front;
mod open;
mod own;
#[cfg(test)]
mod properties;
mod request;

use std::sync::Arc;

use actix_http::{
    RequestHead, Response, StatusCode,
    body::BoxBody,
    header::{self, HeaderName, HeaderValue},
};
use actix_web::http::Method;
use chrono::Utc;
use common::{config::Config, ids::MessageId, keys::KeyRing};

pub(crate) use self::client::address as client_address;
pub use self::front::Front;
use self::{flood::Flood, request::Reducer};
use crate::{
    classify::Networks,
    ingest::{Hit, Ingest, Trace},
    metrics::{Dropped, Metrics},
};

/// What a worker thread needs to answer and to record.
pub struct Tracking {
    config: Arc<Config>,
    keys: Arc<KeyRing>,
    reducer: Reducer,
    ingest: Ingest,
    flood: Flood,
    metrics: Arc<Metrics>,
}

impl Tracking {
    /// Makes what one worker thread needs.
    pub fn new(
        config: Arc<Config>,
        keys: Arc<KeyRing>,
        networks: Arc<Networks>,
        ingest: Ingest,
        metrics: Arc<Metrics>,
    ) -> Self {
        let flood = Flood::new(config.collector.flood_limit);
        let reducer = Reducer::new(networks, &keys);
        Self {
            config,
            keys,
            reducer,
            ingest,
            flood,
            metrics,
        }
    }

    /// Answers a request if it is for a pixel or a tracked link; both paths begin in their own way.
    pub(super) async fn answer(&self, head: &RequestHead) -> Response<BoxBody> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return only_get();
        }
        let path = head.uri.path();
        match path.strip_prefix(LINK) {
            Some(token) => click::answer(self, token, head).await,
            None => open::answer(self, path.strip_prefix(PIXEL).unwrap_or_default(), head).await,
        }
    }

    /// Records a hit that may be recorded; returns when it is safe.
    async fn keep(&self, message: MessageId, ordinal: u16, head: &RequestHead) {
        let now = Utc::now();
        if let Some(reason) = request::objection(head) {
            self.metrics.dropped(reason);
        } else if !self.flood.admits(message, now) {
            self.metrics.dropped(Dropped::Flood);
        } else {
            let client = client::reader(head, &self.config.collector.trusted_proxies);
            let features = self.reducer.features(head, client, message, ordinal);
            let trace = Trace {
                session: own::session(&head.headers),
                address: self.reducer.trace(client),
            };
            let hit = Hit::new(message, ordinal, features, now).with_trace(trace);
            self.ingest.keep(hit).await;
        }
    }
}

/// How paths of pixels begin.
const PIXEL: &str = "/o/";
/// How paths of tracked links begin.
const LINK: &str = "/l/";

/// Tells whether a path is answered here.
fn is_tracking(path: &str) -> bool {
    path.starts_with(PIXEL) || path.starts_with(LINK)
}

/// The header fields of every answer: nothing is kept by a cache, passed on by a browser or taken for something else.
fn add_fields(response: &mut Response<BoxBody>) {
    let fields: [(HeaderName, &'static str); 4] = [
        (header::CACHE_CONTROL, "no-store, max-age=0"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
    ];
    for (name, value) in fields {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
}

fn only_get() -> Response<BoxBody> {
    let mut response = Response::new(StatusCode::METHOD_NOT_ALLOWED);
    add_fields(&mut response);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
