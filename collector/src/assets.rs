// SPDX-License-Identifier: GPL-3.0-or-later
//! Stylesheet, script and icon: part of the program, cached by browsers for a year under an address that changes with
//! the content.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::Path,
};

/// The stylesheet of all pages.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "style.css",
        "text/css; charset=utf-8",
        include_bytes!("../static/style.css"),
    )
});

/// The script for live updates; pages work without it.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "live.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../static/live.js"),
    )
});

/// The icon in the browser's tab.
pub static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "icon.svg",
        "image/svg+xml",
        include_bytes!("../static/icon.svg"),
    )
});

/// A file that is part of the program.
pub struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
    url: String,
}

impl Asset {
    fn new(name: &'static str, content_type: &'static str, content: &'static [u8]) -> Self {
        let hash = blake3::hash(content).to_hex();
        let version: String = hash.chars().take(12).collect();
        Self {
            name,
            content_type,
            content,
            url: format!("/static/{name}?v={version}"),
        }
    }

    /// Returns the address, with a part that changes with the content.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// `GET /static/{name}`
pub async fn show(name: Path<String>) -> HttpResponse {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    match all.into_iter().find(|asset| asset.name == name.as_str()) {
        Some(asset) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, asset.content_type))
            .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .body(asset.content),
        None => HttpResponse::NotFound().finish(),
    }
}
