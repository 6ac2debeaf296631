// SPDX-License-Identifier: GPL-3.0-or-later
//! Every route, grouped by whom it serves.

use actix_web::{
    Route, guard,
    middleware::from_fn,
    web::{self, ServiceConfig, get, post},
};

use crate::{api, assets, recipient, sender};

/// Begins a route for reading: GET, and HEAD, which is answered without the body.
pub fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Adds every public route to an application.
pub fn configure(app: &mut ServiceConfig) {
    // Pixels and tracked links: no page, no cookie, no wait.

    // The person observed: choices, notice, rights.
    recipient::configure(app);

    // Programs: the API and its description.
    app.service(web::resource("/api/openapi.json").route(read().to(api::openapi::show)));
    app.service(
        web::scope("/api/v1")
            .wrap(from_fn(api::idempotency::once))
            .wrap(from_fn(api::answers::answers))
            .configure(api::operations::configure),
    );

    // The person who writes: sign-in, report, notifications, contacts, settings. Last, because it takes what is left.
    app.service(
        web::scope("")
            .wrap(from_fn(sender::answers::answers))
            .service(web::resource("/static/{name}").route(read().to(assets::show)))
            .service(web::resource("/").route(read().to(sender::report::show)))
            .service(web::resource("/messages/{id}").route(read().to(sender::message::show)))
            .route("/messages/{id}/mute", post().to(sender::message::mute))
            .route("/messages/{id}/delete", post().to(sender::message::delete))
            .service(web::resource("/notifications").route(read().to(sender::notifications::show)))
            .route(
                "/notifications/read",
                post().to(sender::notifications::read),
            )
            .service(web::resource("/contacts").route(read().to(sender::contacts::show)))
            .route("/contacts/ask", post().to(sender::contacts::ask))
            .route("/contacts/attest", post().to(sender::contacts::attest))
            .service(
                web::resource("/settings")
                    .route(read().to(sender::settings::show))
                    .route(post().to(sender::settings::save)),
            )
            .route("/settings/delete", post().to(sender::account::delete))
            .route("/settings/tokens", post().to(sender::token::create))
            .route(
                "/settings/tokens/{id}/revoke",
                post().to(sender::token::revoke),
            )
            .service(web::resource("/admin").route(read().to(sender::admin::show)))
            .route("/admin/users", post().to(sender::admin::entitle))
            .route("/admin/look", post().to(sender::admin::look))
            .service(web::resource("/feed.atom").route(read().to(sender::feed::show)))
            .route("/settings/feed", post().to(sender::feed::create))
            .route("/settings/feed/revoke", post().to(sender::feed::revoke))
            .service(
                web::resource("/settings/webhooks")
                    .route(read().to(sender::webhooks::list))
                    .route(post().to(sender::webhooks::create)),
            )
            .service(
                web::resource("/settings/webhooks/{id}").route(read().to(sender::webhooks::show)),
            )
            .route(
                "/settings/webhooks/{id}/rotate",
                post().to(sender::webhooks::rotate),
            )
            .route(
                "/settings/webhooks/{id}/enable",
                post().to(sender::webhooks::enable),
            )
            .route(
                "/settings/webhooks/{id}/delete",
                post().to(sender::webhooks::delete),
            )
            .route(
                "/settings/webhooks/{id}/resend",
                post().to(sender::webhooks::resend),
            )
            .configure(doors),
    );
}

/// Signing in and out.
fn doors(scope: &mut ServiceConfig) {
    scope
        .service(
            web::resource("/sign-in")
                .route(read().to(sender::sign_in::show))
                .route(post().to(sender::sign_in::ask)),
        )
        .route("/sign-in/oidc", get().to(sender::oidc::come_back))
        .route("/sign-in/oidc/start", get().to(sender::oidc::start))
        .route("/sign-in/oidc/leave", get().to(sender::oidc::leave))
        .service(
            web::resource("/sign-in/{token}")
                .route(read().to(sender::sign_in::confirm))
                .route(post().to(sender::sign_in::enter)),
        )
        .route("/sign-out", post().to(sender::sign_in::leave))
        .route(
            "/sign-out/everywhere",
            post().to(sender::sign_in::leave_everywhere),
        );
}
