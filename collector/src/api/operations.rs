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
};

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
    let (read, write, change, remove) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    vec![
        ("/me", read.clone(), get().to(me::show)),
        ("/messages", read.clone(), get().to(messages::list)),
        ("/messages.csv", read.clone(), get().to(messages_csv::show)),
        ("/messages/{id}", read.clone(), get().to(message::show)),
        (
            "/messages/{id}",
            change.clone(),
            patch().to(message::change),
        ),
        (
            "/messages/{id}",
            remove.clone(),
            delete().to(message::delete),
        ),
        ("/export", read.clone(), get().to(export::show)),
        ("/contacts", read.clone(), get().to(contacts::list)),
        ("/consent-requests", write.clone(), post().to(contacts::ask)),
        ("/consents", write.clone(), post().to(contacts::attest)),
        (
            "/notifications",
            read.clone(),
            get().to(notifications::list),
        ),
        (
            "/notifications/stream",
            read.clone(),
            get().to(stream::show),
        ),
        (
            "/notifications/read",
            write.clone(),
            post().to(notifications::read),
        ),
        ("/settings", read.clone(), get().to(settings::show)),
        ("/settings", change, patch().to(settings::change)),
        ("/tokens", read, get().to(tokens::list)),
        ("/tokens", write, post().to(tokens::create)),
        ("/tokens/{id}", remove, delete().to(tokens::delete)),
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
