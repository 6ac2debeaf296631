// SPDX-License-Identifier: GPL-3.0-or-later
//! An HTTP client for tests: follows no redirect, keeps cookies, says what it is told to say about itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use url::Url;

use crate::log::PATIENCE;

/// Someone at the other end of HTTP, with a cookie jar.
pub struct Visitor {
    client: Client<HttpConnector, Full<Bytes>>,
    headers: Vec<(String, String)>,
    cookies: BTreeMap<String, String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    url: Url,
}

/// A mail program on a desk: what a person's pixel request comes with.
pub const MAIL_PROGRAM: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0";

impl Visitor {
    /// Makes a visitor who says nothing about itself.
    pub fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            headers: Vec::new(),
            cookies: BTreeMap::new(),
        }
    }

    /// Makes a visitor with this user agent.
    pub fn with_agent(agent: &str) -> Self {
        Self::new().header("User-Agent", agent)
    }

    /// Adds a header field to every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes a GET request.
    pub async fn get(&mut self, url: &str) -> Answer {
        self.send(Method::GET, url, None, Bytes::new()).await
    }

    /// Makes a HEAD request.
    pub async fn head(&mut self, url: &str) -> Answer {
        self.send(Method::HEAD, url, None, Bytes::new()).await
    }

    /// Sends a form as browsers do.
    pub async fn post_form(&mut self, url: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let kind = "application/x-www-form-urlencoded";
        self.send(Method::POST, url, Some(kind), body.into()).await
    }

    /// Sends JSON with any method.
    pub async fn send_json(&mut self, method: &str, url: &str, body: &serde_json::Value) -> Answer {
        let method = method.parse().unwrap();
        self.send(
            method,
            url,
            Some("application/json"),
            body.to_string().into(),
        )
        .await
    }

    /// Makes any request.
    ///
    /// # Panics
    ///
    /// Panics if no answer comes.
    pub async fn send(
        &mut self,
        method: Method,
        url: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(kind) = content_type {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        let request = request.body(Full::new(body)).unwrap();
        let response = tokio::time::timeout(PATIENCE, self.client.request(request))
            .await
            .unwrap_or_else(|_late| panic!("no answer from \"{url}\""))
            .unwrap_or_else(|error| panic!("no answer from \"{url}\": {error:?}"));
        let (parts, body) = response.into_parts();
        self.remember(&parts.headers);
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
            url: url.parse().unwrap(),
        }
    }

    /// Tells whether a cookie was ever set and not taken back.
    pub fn has_cookies(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// Returns a cookie that was set and not taken back.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.get(name).cloned()
    }

    fn remember(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let pair = line.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            if value.is_empty() || line.to_lowercase().contains("max-age=0") {
                self.cookies.remove(name.trim());
            } else {
                self.cookies.insert(name.trim().into(), value.trim().into());
            }
        }
    }
}

impl Default for Visitor {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// Panics if it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.text()))
    }

    /// Returns a header field's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns where a redirect leads, resolved.
    pub fn location(&self) -> Option<Url> {
        self.url.join(self.header("location")?).ok()
    }
}
