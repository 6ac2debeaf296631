// SPDX-License-Identifier: GPL-3.0-or-later
//! Every route, grouped by whom it serves.

use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig, get, post},
};

use crate::{api, assets, recipient, sender};

/// Adds every public route to an application.
pub fn configure(app: &mut ServiceConfig) {
    // Pixels and tracked links: no page, no cookie, no wait.

    // The person observed: choices, notice, rights.
    recipient::configure(app);

    // Programs: the API and its description.
    app.route("/api/openapi.json", get().to(api::openapi::show));
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
            .route("/static/{name}", get().to(assets::show))
            .service(web::resource("/").route(get().to(sender::report::show)))
            .service(web::resource("/messages/{id}").route(get().to(sender::message::show)))
            .route("/messages/{id}/mute", post().to(sender::message::mute))
            .route("/messages/{id}/delete", post().to(sender::message::delete))
            .service(web::resource("/notifications").route(get().to(sender::notifications::show)))
            .route(
                "/notifications/read",
                post().to(sender::notifications::read),
            )
            .service(web::resource("/contacts").route(get().to(sender::contacts::show)))
            .route("/contacts/ask", post().to(sender::contacts::ask))
            .route("/contacts/attest", post().to(sender::contacts::attest))
            .service(
                web::resource("/settings")
                    .route(get().to(sender::settings::show))
                    .route(post().to(sender::settings::save)),
            )
            .route("/settings/delete", post().to(sender::account::delete))
            .route("/settings/tokens", post().to(sender::token::create))
            .route(
                "/settings/tokens/{id}/revoke",
                post().to(sender::token::revoke),
            )
            .route("/admin", get().to(sender::admin::show))
            .route("/admin/users", post().to(sender::admin::entitle))
            .route("/admin/look", post().to(sender::admin::look))
            .route("/feed.atom", get().to(sender::feed::show))
            .route("/settings/feed", post().to(sender::feed::create))
            .route("/settings/feed/revoke", post().to(sender::feed::revoke))
            .service(
                web::resource("/settings/webhooks")
                    .route(get().to(sender::webhooks::list))
                    .route(post().to(sender::webhooks::create)),
            )
            .route("/settings/webhooks/{id}", get().to(sender::webhooks::show))
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
                .route(get().to(sender::sign_in::show))
                .route(post().to(sender::sign_in::ask)),
        )
        .route("/sign-in/oidc", get().to(sender::oidc::come_back))
        .route("/sign-in/oidc/start", get().to(sender::oidc::start))
        .route("/sign-in/oidc/leave", get().to(sender::oidc::leave))
        .service(
            web::resource("/sign-in/{token}")
                .route(get().to(sender::sign_in::confirm))
                .route(post().to(sender::sign_in::enter)),
        )
        .route("/sign-out", post().to(sender::sign_in::leave))
        .route(
            "/sign-out/everywhere",
            post().to(sender::sign_in::leave_everywhere),
        );
}
