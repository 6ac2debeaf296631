// SPDX-License-Identifier: GPL-3.0-or-later
//! `POST /privacy`: has a link mailed.
//!
//! Anybody may ask for any address, so that a person can refuse before being asked; the answer and its timing are the
//! same for all, and [`super::desk`] keeps the limits.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Bytes, Data},
};
use chrono::Utc;
use common::address::Address;

use super::{
    desk::{self, Order, Whom},
    form::Form,
    page::{self, Frame, Plain},
    privacy_show,
};
use crate::state::State;

/// Takes the form.
pub async fn privacy_send(request: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    let Some(controller) = page::controller_of(&state, &request) else {
        return HttpResponse::NotFound().finish();
    };
    let form = Form::read(&body);
    let Some(address) = form.value("address").and_then(Address::parse) else {
        let Some(mut page) = privacy_show::show(&request, &state) else {
            return HttpResponse::NotFound().finish();
        };
        page.error = Some(page.frame.words.address_invalid);
        return page::respond(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let order = Order {
        controller: controller.id.clone(),
        whom: Whom::Address(address),
        language: page::language(&request, controller),
        sender: None,
    };
    let from = desk::asker(&request, &state);
    state.desk.take(order, from, &state, Utc::now());
    let frame = Frame::new(controller, &request, |words| words.done_title);
    let lines = vec![frame.words.link_sent.to_owned()];
    page::respond(StatusCode::OK, &Plain::said(frame, lines))
}
