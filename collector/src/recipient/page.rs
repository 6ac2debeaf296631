// SPDX-License-Identifier: GPL-3.0-or-later
//! What all pages for recipients share: whose page it is, in which language, and with which header fields it leaves.
//!
//! No cookie, no script, nothing from elsewhere, nothing kept by caches, no referrer to whatever is followed from here.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use askama::Template;
use common::{config::Controller, language::Language};

use super::words::{Words, fill, name};
use crate::{auth::controllers_at, layout::Layout, state::State};

/// What surrounds the content of a page.
pub struct Frame {
    pub language: Language,
    pub title: String,
    pub controller: String,
    pub words: &'static Words,
    pub contact: String,
    /// Whether the browser asks not to be tracked.
    pub gpc: bool,
    /// Whether the same page can be had in another language by a link.
    pub has_languages: bool,
}

/// A page that says something and asks nothing.
#[derive(Template)]
#[template(path = "recipient/plain.html")]
pub struct Plain {
    pub layout: Layout,
    pub frame: Frame,
    pub lines: Vec<String>,
    /// Whether it says that something did not work.
    pub is_alert: bool,
    /// Whether to offer to mail a link to whom the message went.
    pub offers_link: bool,
    /// A receipt to keep.
    pub receipt: Option<String>,
}

impl Frame {
    /// Makes the frame of a page of this controller.
    pub fn new(controller: &Controller, request: &HttpRequest, title: fn(&Words) -> &str) -> Self {
        let language = language(request, controller);
        let words = Words::of(language);
        Self {
            language,
            title: fill(title(words), &[("controller", &controller.name)]),
            controller: controller.name.clone(),
            words,
            contact: fill(words.contact, &[("contact", &controller.contact)]),
            gpc: request
                .headers()
                .get("Sec-GPC")
                .is_some_and(|value| value.as_bytes() == b"1"),
            has_languages: true,
        }
    }

    /// Returns the frame that all our pages share, with the controller's name on it.
    pub fn layout(&self) -> Layout {
        Layout {
            brand: self.controller.clone(),
            ..Layout::plain(self.language, &self.title)
        }
    }

    /// Returns the languages on offer: code, name, and whether it is this page's.
    pub fn languages(&self) -> Vec<(&'static str, &'static str, bool)> {
        Language::ALL
            .into_iter()
            .map(|language| (language.code(), name(language), language == self.language))
            .collect()
    }
}

impl Plain {
    /// Makes a page that says that something was done.
    pub fn said(frame: Frame, lines: Vec<String>) -> Self {
        Self {
            layout: frame.layout(),
            frame,
            lines,
            is_alert: false,
            offers_link: false,
            receipt: None,
        }
    }

    /// Makes a page that says what did not work.
    pub fn alert(frame: Frame, lines: &[&str]) -> Self {
        Self {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            is_alert: true,
            ..Self::said(frame, Vec::new())
        }
    }
}

/// Returns the language of a page: what the URL says, else the browser, else the controller.
pub fn language(request: &HttpRequest, controller: &Controller) -> Language {
    let asked = url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(key, _)| key == "lang")
        .and_then(|(_, code)| Language::from_code(&code));
    let accepted = || {
        let value = request.headers().get(header::ACCEPT_LANGUAGE)?;
        Language::from_accept_language(value.to_str().ok()?)
    };
    asked.or_else(accepted).unwrap_or(controller.language)
}

/// Returns the controller whose public URL was asked for, or the first one.
pub fn controller_of<'a>(state: &'a State, request: &HttpRequest) -> Option<&'a Controller> {
    controllers_at(request, state).into_iter().next()
}

/// Answers with a page.
pub fn respond(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(body) => bare(status)
            .content_type("text/html; charset=utf-8")
            .body(body),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            bare(StatusCode::INTERNAL_SERVER_ERROR).finish()
        }
    }
}

/// Answers with a file to keep.
pub fn download(file_name: &str, content_type: &str, body: String) -> HttpResponse {
    bare(StatusCode::OK)
        .content_type(content_type)
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{file_name}\""),
        ))
        .body(body)
}

fn bare(status: StatusCode) -> actix_web::HttpResponseBuilder {
    let mut builder = HttpResponse::build(status);
    builder
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("X-Robots-Tag", "noindex, nofollow"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"))
        .insert_header((header::VARY, "Accept-Language"));
    builder
}

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";
