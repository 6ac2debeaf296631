// SPDX-License-Identifier: GPL-3.0-or-later
//! Every route, grouped by whom it serves.

use actix_web::web::ServiceConfig;

/// Adds every public route to an application.
pub fn configure(_app: &mut ServiceConfig) {
    // Pixels and tracked links: no page, no cookie, no wait.

    // The person observed: choices, notice, rights.

    // The person who writes: sign-in, report, notifications, contacts, settings.

    // Programs: the API and its description.
}
