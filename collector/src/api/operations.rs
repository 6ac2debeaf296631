// SPDX-License-Identifier: GPL-3.0-or-later
//! Every operation of the API: path, method, handler. `openapi.json` describes exactly these, as a test checks.

use std::collections::BTreeMap;

use actix_web::{
    Route,
    http::Method,
    web::{self, ServiceConfig},
};

use super::{
    contacts, export, me, message, messages, messages_csv, notifications, settings, stream, tokens,
    webhooks,
};
use crate::routes::read;

/// Adds every operation below a scope, grouped by path so that a wrong method is told from a wrong path.
pub fn configure(scope: &mut ServiceConfig) {
    let mut by_path: BTreeMap<&str, Vec<Route>> = BTreeMap::new();
    for (path, _, route) in operations() {
        by_path.entry(path).or_default().push(route);
    }
    for (path, routes) in by_path {
        let resource = routes
            .into_iter()
            .fold(web::resource(path), |all, one| all.route(one));
        scope.service(resource);
    }
}

fn operations() -> Vec<(&'static str, Method, Route)> {
    use web::{delete, get, patch, post};
    vec![
        ("/me", Method::GET, read().to(me::show)),
        ("/messages", Method::GET, read().to(messages::list)),
        ("/messages.csv", Method::GET, read().to(messages_csv::show)),
        ("/messages/{id}", Method::GET, read().to(message::show)),
        ("/messages/{id}", Method::PATCH, patch().to(message::change)),
        (
            "/messages/{id}",
            Method::DELETE,
            delete().to(message::delete),
        ),
        ("/export", Method::GET, read().to(export::show)),
        ("/contacts", Method::GET, read().to(contacts::list)),
        ("/consent-requests", Method::POST, post().to(contacts::ask)),
        ("/consents", Method::POST, post().to(contacts::attest)),
        (
            "/notifications",
            Method::GET,
            read().to(notifications::list),
        ),
        ("/notifications/stream", Method::GET, get().to(stream::show)),
        (
            "/notifications/read",
            Method::POST,
            post().to(notifications::read),
        ),
        ("/settings", Method::GET, read().to(settings::show)),
        ("/settings", Method::PATCH, patch().to(settings::change)),
        ("/tokens", Method::GET, read().to(tokens::list)),
        ("/tokens", Method::POST, post().to(tokens::create)),
        ("/tokens/{id}", Method::DELETE, delete().to(tokens::delete)),
        ("/webhooks", Method::GET, read().to(webhooks::list)),
        ("/webhooks", Method::POST, post().to(webhooks::create)),
        ("/webhooks/{id}", Method::GET, read().to(webhooks::show)),
        (
            "/webhooks/{id}",
            Method::PATCH,
            patch().to(webhooks::change),
        ),
        (
            "/webhooks/{id}",
            Method::DELETE,
            delete().to(webhooks::delete),
        ),
        (
            "/webhooks/{id}/rotate",
            Method::POST,
            post().to(webhooks::rotate),
        ),
        (
            "/webhooks/{id}/resend",
            Method::POST,
            post().to(webhooks::resend),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::openapi;

    #[test]
    fn description_and_operations_are_the_same() {
        let document = openapi::document();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.insert((path.clone(), method.to_uppercase()));
            }
        }

        let served: BTreeSet<_> = operations()
            .into_iter()
            .map(|(path, method, _)| (path.to_owned(), method.to_string()))
            .collect();

        assert_eq!(described, served);
    }
}
