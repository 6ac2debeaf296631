// SPDX-License-Identifier: GPL-3.0-or-later
//! Every route, grouped by whom it serves.

use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig, get, post},
};

use crate::{assets, recipient, sender};

/// Adds every public route to an application.
pub fn configure(app: &mut ServiceConfig) {
    // Pixels and tracked links: no page, no cookie, no wait.

    // The person observed: choices, notice, rights.
    recipient::configure(app);

    // Programs: the API and its description.

    // The person who writes: sign-in, report, notifications, contacts, settings. Last, because it takes what is left.
    app.service(
        web::scope("")
            .wrap(from_fn(sender::answers::answers))
            .route("/static/{name}", get().to(assets::show))
            .service(
                web::resource("/sign-in")
                    .route(get().to(sender::sign_in::show))
                    .route(post().to(sender::sign_in::ask)),
            )
            .service(
                web::resource("/sign-in/{token}")
                    .route(get().to(sender::sign_in::confirm))
                    .route(post().to(sender::sign_in::enter)),
            )
            .route("/sign-out", post().to(sender::sign_in::leave))
            .route(
                "/sign-out/everywhere",
                post().to(sender::sign_in::leave_everywhere),
            ),
    );
}
