// SPDX-License-Identifier: GPL-3.0-or-later
//! The person observed: what is recorded about them, how to allow or stop it, and their rights.
//!
//! No page here needs a script or sets a cookie, and no GET changes anything. The link in a message may only refuse and
//! withdraw, because a message can be forwarded; everything else takes a link mailed to the address.

pub mod attest;
pub mod choose;
pub mod claim;
pub mod desk;
pub mod document;
pub mod fitness;
pub mod form;
pub mod mailed;
pub mod message_save;
pub mod message_show;
pub mod mine_act;
pub mod mine_perform;
pub mod mine_show;
pub mod networks;
pub mod notice;
pub mod page;
pub mod privacy_send;
pub mod privacy_show;
pub mod request;
pub mod words;

use actix_web::{
    HttpResponse,
    web::{self, PayloadConfig, ServiceConfig},
};
use chrono::{DateTime, Utc};

/// Adds the routes of the person observed.
pub fn configure(app: &mut ServiceConfig) {
    let forms = || PayloadConfig::new(form::LARGEST);
    app.service(
        web::resource("/c/mine")
            .app_data(forms())
            .route(web::get().to(mine_show::mine_again))
            .route(web::head().to(mine_show::mine_again))
            .route(web::post().to(mine_act::mine_go_on)),
    )
    .service(
        web::resource("/c/mine/{secret}")
            .app_data(forms())
            .route(web::get().to(mine_show::mine_show))
            .route(web::head().to(mine_show::mine_show))
            .route(web::post().to(mine_act::mine_act)),
    )
    .service(
        web::resource("/c/{token}")
            .app_data(forms())
            .route(web::get().to(message_show::message_show))
            .route(web::head().to(message_show::message_show))
            .route(web::post().to(message_save::message_save)),
    )
    .service(
        web::resource("/privacy")
            .app_data(forms())
            .route(web::get().to(privacy_show::privacy_show))
            .route(web::head().to(privacy_show::privacy_show))
            .route(web::post().to(privacy_send::privacy_send)),
    );
}

/// Finishes what was begun, even if whoever asked has gone meanwhile: what is committed must come into the journal too.
async fn to_the_end(work: impl Future<Output = HttpResponse> + 'static) -> HttpResponse {
    match actix_web::rt::spawn(work).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a recipient's request was not finished"
            );
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Returns a time as pages show it.
fn when(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}
