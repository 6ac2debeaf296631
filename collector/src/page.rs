// SPDX-License-Identifier: GPL-3.0-or-later
//! Answers that are pages.

use actix_web::{HttpResponse, http::header::LOCATION};
use askama::Template;

use crate::failure::Failure;

/// Renders a page.
///
/// # Errors
///
/// Fails if the template cannot be rendered.
pub fn html(template: &impl Template) -> Result<HttpResponse, Failure> {
    let page = template
        .render()
        .map_err(|_unwritable| Failure::Internal("a template was not rendered"))?;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(page))
}

/// Leads to another of our pages after something was done.
pub fn see(place: impl Into<String>) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, place.into()))
        .finish()
}
