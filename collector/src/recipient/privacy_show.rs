// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /privacy`: the notice without a token, and the form that asks for a link.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    message_show::version,
    notice::Notice,
    page::{self, Frame},
};
use crate::{layout::Layout, state::State};

/// The page.
#[derive(Template)]
#[template(path = "recipient/privacy.html")]
pub struct Page {
    pub layout: Layout,
    pub frame: Frame,
    pub error: Option<&'static str>,
    pub notice: Notice,
    pub version: String,
}

/// Shows the page.
pub async fn privacy_show(request: HttpRequest, state: Data<State>) -> HttpResponse {
    match show(&request, &state) {
        Some(page) => page::respond(StatusCode::OK, &page),
        None => HttpResponse::NotFound().finish(),
    }
}

/// Makes the page.
pub fn show(request: &HttpRequest, state: &State) -> Option<Page> {
    let controller = page::controller_of(state, request)?;
    let frame = Frame::new(controller, request, |words| words.privacy_title);
    let notice = Notice::new(controller, &state.config.retention, frame.language);
    Some(Page {
        layout: frame.layout(),
        error: None,
        version: version(&notice, &frame),
        notice,
        frame,
    })
}
