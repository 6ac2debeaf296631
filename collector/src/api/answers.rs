// SPDX-License-Identifier: GPL-3.0-or-later
//! What every answer of the API has in common: header fields, and problem details (RFC 9457) for whatever went wrong, the
//! framework's own refusals included.

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    middleware::Next,
};
use serde::Serialize;

use crate::failure::Failure;

#[derive(Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Wraps the API: turns whatever went wrong into a problem, and adds the header fields.
///
/// # Errors
///
/// Fails where the wrapped service fails.
pub async fn answers(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        response = explain(response, status);
    }
    let headers = response.headers_mut();
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
