// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /api/openapi.json`: the description of the API, for everybody; it tells nothing about anybody.
//!
//! The text lies in `openapi.json`. What only the program knows is filled in: its version.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use serde_json::{Value, json};

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /api/openapi.json`
pub async fn show() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(TEXT.as_str())
}

/// Returns the description.
pub fn document() -> Value {
    let mut document: Value = serde_json::from_str(include_str!("openapi.json"))
        .expect("the description is JSON, as a test checks");
    if let Some(version) = document.pointer_mut("/info/version") {
        *version = json!(env!("CARGO_PKG_VERSION"));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_program_knows_is_filled_in() {
        let document = document();

        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
