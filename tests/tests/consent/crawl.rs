// SPDX-License-Identifier: GPL-3.0-or-later
//! Reading changes nothing: every route that can be read is read, by programs and by a browser that runs scripts, and
//! the database is the same afterwards.
//!
//! The routes are taken from the source, so that a new one is crawled without anybody thinking of it. Pixels and tracked
//! links are not among them: being recorded is what they are for.

use std::{fs, path::Path};

use collector::auth::secret;
use harness::{browser::Browser, samples::Sample, web::Visitor};
use serde_json::json;
use uuid::Uuid;

use crate::place::Place;

/// Never ends, so it cannot be read to its end.
const ENDLESS: &str = "/notifications/stream";

const QUERIES: [&str; 6] = [
    "",
    "Tracking-Consent=Withdraw&List-Unsubscribe=One-Click",
    "confirm=true&confirm=yes&act=erase&forget=yes",
    "act=choose&open=allow&click=allow&scope=controller&up_to=999999",
    "_method=DELETE&method=post&address=someone@elsewhere.example",
    "lang=pl&act=refuse-all&delete=1&mute=1&revoke=1&opens=true",
];

/// Returns the paths that the source mounts, with places filled in; each below the API too, whether or not it is there.
fn routes(fill: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut paths = vec!["/nothing".to_owned()];
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../collector/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(path).unwrap();
            if !source.contains("resource(") {
                continue;
            }
            for (place, literal) in source.match_indices("\"/") {
                let (_, rest) = source.split_at(place + literal.len());
                let route = rest.split('"').next().unwrap();
                if !route.contains([' ', '\n']) {
                    let route = fill(&format!("/{route}"));
                    paths.push(format!("/api/v1{route}"));
                    paths.push(route);
                }
            }
        }
    }
    paths.sort();
    paths.dedup();
    paths.retain(|path| !path.ends_with(ENDLESS));
    paths
}

/// Everything that the database holds, but for when a session or a token was last seen: that is what they are kept for.
fn snapshot(place: &Place) -> String {
    let mut is_left_out = false;
    let mut kept = String::new();
    for line in place.dump().lines() {
        if line.starts_with("COPY ") {
            is_left_out = line.starts_with("COPY public.sessions")
                || line.starts_with("COPY public.api_tokens");
        }
        if !is_left_out {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

/// A user who is signed in, with the message of a sample; returns the cookie's value and an API token.
async fn sign_in(place: &Place, sample: &Sample) -> (String, String) {
    let (session, token) = (secret::random().unwrap(), secret::api_token().unwrap());
    let client = place.database.connect().await;
    client
        .execute(
            "INSERT INTO sessions VALUES ('example', $1, $2, $3, now(), now(), now() + interval '1 day')",
            &[&secret::hash(&session), &sample.user, &vec![7_u8; 32]],
        )
        .await
        .unwrap();
    client
        .execute(
            "INSERT INTO api_tokens VALUES ('example', $1, $2, 'test', $3, now())",
            &[&sample.user, &Uuid::new_v4(), &secret::hash(&token)],
        )
        .await
        .unwrap();
    (session, token)
}

async fn furnished() -> (Place, Sample, String, Vec<String>) {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    place.hit(&sample, "open").await;
    let link = place.link_for(&address).await;
    let secret = link.rsplit('/').next().unwrap();
    let secret = secret.split('?').next().unwrap().to_owned();
    let choices = place.choices(sample.message);
    let token = choices.rsplit('/').next().unwrap().to_owned();
    let message = sample.message.0.to_string();
    let fill = |path: &str| {
        path.replace("{secret}", &secret)
            .replace("{token}", &token)
            .replace("{id}", &message)
            .replace("{name}", "style.css")
    };
    let paths = routes(&fill);
    assert!(paths.len() > 25, "{paths:?}");
    for known in ["/", "/privacy", "/api/v1/messages", "/settings", "/c/mine"] {
        assert!(paths.iter().any(|path| path == known), "{known}: {paths:?}");
    }
    // Settling hits is a job's doing, not a reader's: what waits for it is settled before the picture is taken.
    for list in ["arrivals", "settlements"] {
        let statement = format!("DELETE FROM {list}");
        place.database.execute(&statement).await;
    }
    (place, sample, address, paths)
}

/// C45, P6, P7, P11: with every query that might be taken for an order, signed in or not.
#[tokio::test]
async fn programs_that_read_every_route_change_nothing() {
    let (place, sample, _, paths) = furnished().await;
    let (session, token) = sign_in(&place, &sample).await;
    let before = snapshot(&place);

    for visitor in [
        Visitor::new(),
        Visitor::new().header("Cookie", &format!("fairtrack={session}")),
        Visitor::new().header("Authorization", &format!("Bearer {token}")),
    ] {
        let mut visitor = visitor;
        for path in &paths {
            for query in QUERIES {
                let url = place.url(&format!("{path}?{query}"));
                let answer = visitor.get(&url).await;
                assert!(answer.status.as_u16() < 500, "{url}: {}", answer.status);
                let head = visitor.head(&url).await;
                assert!(head.status.as_u16() < 500, "{url}: {}", head.status);
                assert!(head.body.is_empty(), "{url}");
            }
        }
    }

    assert_eq!(snapshot(&place), before);
    assert!(place.mail.take().is_none());
}

/// C45, P11: a browser that loads pages and runs what scripts they have, as scanners do.
#[tokio::test]
async fn browser_that_runs_scripts_on_every_route_changes_nothing() {
    harness::needs!(PostgreSql, Chromium);
    let (place, sample, _, paths) = furnished().await;
    let (session, _) = sign_in(&place, &sample).await;
    let browser = Browser::start().await;
    let before = snapshot(&place);

    for is_signed_in in [false, true] {
        if is_signed_in {
            let cookie = json!({"name": "fairtrack", "value": session, "url": place.url("/")});
            browser.devtools("Network.setCookie", cookie).await;
        }
        for path in &paths {
            let url = place.url(&format!("{path}?confirm=true&act=stop&lang=en"));
            // What is offered as a download opens no page: the browser says so, and that is all.
            let _ = browser.client().goto(&url).await;
            let script = "window.dispatchEvent(new Event('focus'));
                document.dispatchEvent(new Event('visibilitychange')); return document.readyState";
            browser.client().execute(script, Vec::new()).await.unwrap();
        }
    }

    browser.close().await;
    assert_eq!(snapshot(&place), before);
    assert!(place.mail.take().is_none());
}
