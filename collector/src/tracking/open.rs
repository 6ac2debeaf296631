// SPDX-License-Identifier: GPL-3.0-or-later
//! The pixel: one constant picture for every token, good or bad.

use actix_http::{
    RequestHead, Response, StatusCode,
    body::BoxBody,
    header::{self, HeaderValue},
};
use bytes::Bytes;
use common::token::{self, Use};

use super::{Tracking, add_fields};
use crate::metrics::Dropped;

/// A transparent GIF of one pixel by one.
pub(super) const GIF: &[u8; 43] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Answers a request for a pixel; `name` is what follows `/o/`.
pub(super) async fn answer(
    tracking: &Tracking,
    name: &str,
    head: &RequestHead,
) -> Response<BoxBody> {
    tracking.metrics.pixel();
    let token = name.strip_suffix(".gif").unwrap_or(name);
    match token::open(&tracking.keys, token, Use::Open) {
        Some(opened) => tracking.keep(opened.message, 0, head).await,
        None => tracking.metrics.dropped(Dropped::Unknown),
    }
    picture()
}

fn picture() -> Response<BoxBody> {
    let mut response = Response::with_body(StatusCode::OK, BoxBody::new(Bytes::from_static(GIF)));
    add_fields(&mut response);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    response
}
