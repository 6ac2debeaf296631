// SPDX-License-Identifier: GPL-3.0-or-later
//! What every answer to a user's browser has in common: header fields that keep it private, and pages for errors.

use actix_web::{
    Error, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use askama::Template;
use common::language::Language;
use url::form_urlencoded;

use super::texts::Texts;
use crate::{auth::language_of, layout::Layout};

/// Nothing may be loaded from elsewhere, sent elsewhere, or framed.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "error.html")]
struct Page {
    layout: Layout,
    status: u16,
    heading: &'static str,
    text: &'static str,
    back: &'static str,
}

/// Wraps the pages: turns a failure without a body into a page, and adds the header fields.
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
    let is_bare = !response.headers().contains_key(header::CONTENT_TYPE);
    if status.is_client_error() || status.is_server_error() {
        let is_framework = response.response().error().is_some();
        if is_bare || is_framework {
            response = explain(response, status);
        }
    }
    protect(response.headers_mut());
    Ok(response)
}

/// Adds the header fields that keep a page private.
pub fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn explain(response: ServiceResponse<BoxBody>, status: StatusCode) -> ServiceResponse<BoxBody> {
    let request = response.request().clone();
    if status == StatusCode::UNAUTHORIZED {
        return response.into_response(
            actix_web::HttpResponse::SeeOther()
                .insert_header((header::LOCATION, sign_in_url(&request)))
                .finish(),
        );
    }
    let page = page(status, language_of(&request))
        .render()
        .unwrap_or_default();
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut explained = response.into_response(
        actix_web::HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(page),
    );
    if let Some(allow) = allow {
        explained.headers_mut().insert(header::ALLOW, allow);
    }
    explained
}

/// After signing in, the user gets to see what was asked for, unless it was a change.
fn sign_in_url(request: &HttpRequest) -> String {
    let wanted = request
        .uri()
        .path_and_query()
        .map_or("/", |wanted| wanted.as_str());
    if request.method() != Method::GET || wanted == "/" {
        return "/sign-in".into();
    }
    let next: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    format!("/sign-in?next={next}")
}

fn page(status: StatusCode, language: Language) -> Page {
    let texts = Texts::of(language);
    let errors = &texts.errors;
    let (heading, text) = match status {
        StatusCode::BAD_REQUEST
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::PAYLOAD_TOO_LARGE => errors.bad_request,
        StatusCode::FORBIDDEN => errors.foreign,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND => errors.not_found,
        StatusCode::SERVICE_UNAVAILABLE => errors.unavailable,
        StatusCode::TOO_MANY_REQUESTS => errors.too_often,
        _ => errors.other,
    };
    Page {
        layout: Layout::plain(language, heading),
        status: status.as_u16(),
        heading,
        text,
        back: texts.common.report,
    }
}
