// SPDX-License-Identifier: GPL-3.0-or-later
//! Which controllers a request can be about, and in which language its sender reads.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{ACCEPT_LANGUAGE, HOST},
    web::Data,
};
use common::{config::Controller, language::Language};
use url::Url;

use crate::{failure::Failure, state::State};

/// Anybody, signed in or not.
pub struct Visitor {
    pub language: Language,
}

impl FromRequest for Visitor {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let language = language_of(request);
        ready(Ok(Self { language }))
    }
}

/// Returns the language of a signed-in user, else of the browser, else of the controller.
pub(crate) fn language_of(request: &HttpRequest) -> Language {
    if let Some(language) = request.extensions().get::<Language>() {
        return *language;
    }
    let header = request.headers().get(ACCEPT_LANGUAGE);
    header
        .and_then(|value| value.to_str().ok())
        .and_then(Language::from_accept_language)
        .unwrap_or_else(|| {
            let state = request.app_data::<Data<State>>();
            state
                .and_then(|state| {
                    controllers_at(request, state)
                        .first()
                        .map(|controller| controller.language)
                })
                .unwrap_or_default()
        })
}

/// Returns the controllers whose public URL has the host that was asked for, or all of them if none has.
pub fn controllers_at<'a>(request: &HttpRequest, state: &'a State) -> Vec<&'a Controller> {
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let all = &state.config.controllers;
    let found: Vec<&Controller> = all
        .iter()
        .filter(|controller| is_at(controller, host))
        .collect();
    if found.is_empty() {
        all.iter().collect()
    } else {
        found
    }
}

/// Compares with the port, if the public URL names one, and without it, because proxies may leave it out.
fn is_at(controller: &Controller, host: &str) -> bool {
    let Ok(url) = Url::parse(&controller.public_url) else {
        return false;
    };
    let Some(name) = url.host_str() else {
        return false;
    };
    let host = host.to_ascii_lowercase();
    let with_port = url.port().map(|port| format!("{name}:{port}"));
    host == name || with_port.is_some_and(|with_port| host == with_port)
}
