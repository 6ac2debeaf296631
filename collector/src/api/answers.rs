// SPDX-License-Identifier: GPL-3.0-or-later
//! What every answer of the API has in common: limits, entity tags, header fields, and problem details (RFC 9457) for
//! whatever went wrong, the framework's own refusals included.

use std::{sync::LazyLock, time::Instant};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BodySize, BoxBody, MessageBody, to_bytes},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use serde::Serialize;

use super::etag;
use crate::{
    auth::CurrentUser,
    failure::Failure,
    limits::{Limit, SECONDS, Standing, network},
    state::State,
    tracking::client_address,
};

#[derive(Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Requests of one user in a minute, and of those who are nobody from one network.
static USERS: LazyLock<Limit> = LazyLock::new(Limit::default);
static STRANGERS: LazyLock<Limit> = LazyLock::new(Limit::default);

/// A longer answer has no entity tag: it is not held in memory for one.
const LONGEST_TAGGED: u64 = 1 << 20;

/// Wraps the API: lets users in, counts who asks how often, turns whatever went wrong into a problem, and adds the header
/// fields.
///
/// # Errors
///
/// Fails where the wrapped service fails.
pub async fn answers(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = request
        .app_data::<Data<State>>()
        .ok_or(Failure::Internal("the application has no state"))?
        .clone();
    let (standing, failure) = admit(&mut request, &state).await;
    let mut response = match failure {
        _ if standing.is_over => request.error_response(Failure::TooOften),
        Some(failure) => request.error_response(failure),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        response = explain(response, status);
    } else if status == StatusCode::OK {
        response = tag(response).await?;
    }
    let headers = response.headers_mut();
    limit_fields(&standing, headers);
    if status == StatusCode::TOO_MANY_REQUESTS && !headers.contains_key(header::RETRY_AFTER) {
        headers.insert(header::RETRY_AFTER, LONG.into());
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// Seconds to wait where a limit is not by the minute, such as that of people asked in a day.
const LONG: u64 = 3600;

/// Finds out who asks and counts the request.
///
/// It counts under the user, whatever tokens and sessions the user has, or for a stranger under the network. What
/// strangers do in somebody's name never counts against that user.
async fn admit(request: &mut ServiceRequest, state: &State) -> (Standing, Option<Failure>) {
    let allowed = state.config.collector.api_limit;
    match request.extract::<CurrentUser>().await {
        Ok(current) => {
            let who = (current.controller_id().clone(), current.id());
            let standing = USERS.count(who, allowed, Instant::now());
            // Handlers need not ask again.
            request.extensions_mut().insert(current);
            (standing, None)
        }
        Err(failure) => {
            let trusted = &state.config.collector.trusted_proxies;
            let client = network(client_address(request.head(), trusted));
            let standing = STRANGERS.count(client, allowed, Instant::now());
            (standing, Some(failure))
        }
    }
}

/// Says where the one who asks stands (draft-ietf-httpapi-ratelimit-headers).
fn limit_fields(standing: &Standing, headers: &mut HeaderMap) {
    let Standing {
        allowed,
        left,
        reset,
        is_over,
    } = *standing;
    for (name, text) in [
        (
            "ratelimit-policy",
            format!("\"default\";q={allowed};w={SECONDS}"),
        ),
        ("ratelimit", format!("\"default\";r={left};t={reset}")),
    ] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if is_over {
        headers.insert(header::RETRY_AFTER, reset.into());
    }
}

/// Gives an answer its entity tag, or says in its place that nothing changed.
async fn tag(response: ServiceResponse<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_short = matches!(response.response().body().size(), BodySize::Sized(size) if size <= LONGEST_TAGGED);
    let method = response.request().method();
    let is_tagged = matches!(*method, Method::GET | Method::PATCH);
    if !is_short || !is_tagged {
        return Ok(response);
    }
    let is_read = *method == Method::GET;
    let (request, response) = response.into_parts();
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body)
        .await
        .map_err(|_broken| Failure::Internal("an answer was not written"))?;
    let tag = etag::of(&body);
    let known = etag::Named::read(request.headers(), header::IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.has(&tag));
    if let Ok(value) = HeaderValue::try_from(tag) {
        head.headers_mut().insert(header::ETAG, value);
    }
    if is_read && is_known {
        *head.status_mut() = StatusCode::NOT_MODIFIED;
        head.headers_mut().remove(header::CONTENT_TYPE);
        return Ok(ServiceResponse::new(
            request,
            head.set_body(BoxBody::new(())),
        ));
    }
    let response = head.set_body(body).map_into_boxed_body();
    Ok(ServiceResponse::new(request, response))
}

fn explain(response: ServiceResponse<BoxBody>, status: StatusCode) -> ServiceResponse<BoxBody> {
    let detail = response.response().error().and_then(detail);
    let allow = response.headers().get(header::ALLOW).cloned();
    let problem = Problem {
        kind: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
    };
    let mut answer = HttpResponse::build(status);
    answer.content_type("application/problem+json");
    if status == StatusCode::UNAUTHORIZED {
        answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"fairtrack\""));
    }
    if let Some(allow) = allow {
        answer.insert_header((header::ALLOW, allow));
    }
    response.into_response(answer.json(problem))
}

/// What went wrong on our side is in the log, not in the answer.
fn detail(error: &Error) -> Option<String> {
    match error.as_error::<Failure>() {
        Some(Failure::Database(_)) => Some("the database does not answer".into()),
        _ if error.as_response_error().status_code().is_server_error() => None,
        _ => Some(error.to_string()),
    }
}
