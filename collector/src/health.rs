// SPDX-License-Identifier: GPL-3.0-or-later
//! What monitors ask: metrics, whether the program lives, and how each thing it depends on is.
//!
//! Pixels and links are answered as long as `/healthz` is; `/readyz` also asks the database, which pages need.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::ContentType},
    web::{self, Data, ServiceConfig},
};
use common::db::{self, Db};

use crate::metrics::Metrics;

/// What the answers are made from.
#[derive(Clone)]
pub struct Health {
    pub db: Db,
    pub metrics: Arc<Metrics>,
}

/// Adds the routes of the administrators' listener.
pub fn configure(app: &mut ServiceConfig) {
    app.route("/metrics", web::get().to(metrics))
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz));
}

async fn metrics(health: Data<Health>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(health.metrics.render())
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body("ok\n")
}

async fn readyz(health: Data<Health>) -> HttpResponse {
    let database = match tokio::time::timeout(PATIENCE, ask(&health.db)).await {
        Ok(true) => "ok",
        Ok(false) | Err(_) => "away",
    };
    let waiting = health.metrics.log_octets.value();
    let log = if health.metrics.log_failing.value() == 0 {
        "ok"
    } else {
        "takes no hits"
    };
    let lost = health.metrics.lost.value();
    let status = if database == "ok" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    HttpResponse::build(status)
        .content_type(ContentType::plaintext())
        .body(format!(
            "database: {database}\nhit log: {log}, {waiting} octets wait for the database\nhits lost: {lost}\n"
        ))
}

const PATIENCE: Duration = Duration::from_secs(2);

async fn ask(db: &Db) -> bool {
    let Ok(mut connection) = db.get().await else {
        return false;
    };
    db::is_current(&mut connection).await.unwrap_or(false)
}
