// SPDX-License-Identifier: GPL-3.0-or-later
//! `/sign-in`: asking for a link, and using it. A link's page shows a button, because programs that look at mail follow
//! links; only the button uses the link up.

use std::{sync::LazyLock, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, Query},
};
use askama::Template;
use chrono::Utc;
use common::{
    config::{Controller, SignIn},
    db::{sessions, sign_in_links},
};
use serde::Deserialize;

use super::texts::{self, Texts};
use crate::{
    auth::{
        CheckedForm, Credential, CurrentUser, Nothing, OwnForm, Visitor, controllers_at,
        end_cookie, has_left, left_cookie, secret, session_cookie, session_secret,
        sign_in::{LINK_MINUTES, begin, mail_link},
    },
    failure::Failure,
    layout::Layout,
    limits::{Limit, network},
    page::{html, see},
    state::State,
    tracking::client_address,
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    layout: Layout,
    t: &'static texts::SignIn,
    stage: Stage,
    next: String,
}

pub(super) enum Stage {
    Ask,
    Confirm { token: String },
    Dead,
    Portal,
    Provider { start: String, has_left: bool },
    Refused,
    Sent { text: String },
}

/// What a visitor of the door wants.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    pub(super) next: String,
    sent: Option<String>,
}

#[derive(Deserialize)]
pub struct Asked {
    address: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub struct Used {
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`
///
/// # Errors
///
/// Fails if the page cannot be rendered.
pub async fn show(
    request: HttpRequest,
    state: Data<State>,
    visitor: Visitor,
    wanted: Query<Wanted>,
    current: Option<CurrentUser>,
) -> Result<HttpResponse, Failure> {
    if current.is_some() {
        return Ok(see(safe(&wanted.next)));
    }
    let stage = match (&state.config.collector.sign_in, &wanted.sent) {
        (SignIn::Header(_), _) => Stage::Portal,
        (SignIn::Oidc, _) => Stage::Provider {
            start: start(&wanted.next),
            has_left: has_left(&request, &controllers_at(&request, &state)),
        },
        (SignIn::Mail, None) => Stage::Ask,
        (SignIn::Mail, Some(_)) => sent(&visitor),
    };
    page(&visitor, stage, safe(&wanted.next))
}

/// `POST /sign-in`: the same answer, as fast, for every address.
///
/// # Errors
///
/// Fails if the form came from elsewhere, or one client asks too often.
pub async fn ask(
    request: HttpRequest,
    state: Data<State>,
    visitor: Visitor,
    form: OwnForm<Asked>,
) -> Result<HttpResponse, Failure> {
    if state.config.collector.sign_in != SignIn::Mail {
        return Err(Failure::NotFound);
    }
    if is_too_often(&request, &state, Step::Ask) {
        return Err(Failure::TooOften);
    }
    let asked = form.0;
    let next = Some(safe(&asked.next)).filter(|next| next != "/");
    mail_link(
        &state,
        &controllers_at(&request, &state),
        &asked.address,
        next,
        visitor.language,
    );
    Ok(see("/sign-in?sent=1"))
}

/// `GET /sign-in/{token}`: changes nothing.
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn confirm(
    request: HttpRequest,
    state: Data<State>,
    visitor: Visitor,
    token: Path<String>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, Failure> {
    let controllers = controllers_at(&request, &state);
    let mut connection = state.db.get().await?;
    let hash = secret::hash(&token);
    let is_usable =
        sign_in_links::is_usable(&names(&controllers), &hash, Utc::now(), &mut connection).await?;
    drop(connection);
    let stage = if is_usable {
        Stage::Confirm {
            token: token.into_inner(),
        }
    } else {
        Stage::Dead
    };
    page(&visitor, stage, safe(&wanted.next))
}

/// `POST /sign-in/{token}`: uses the link up and signs in.
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn enter(
    request: HttpRequest,
    state: Data<State>,
    visitor: Visitor,
    token: Path<String>,
    form: OwnForm<Used>,
) -> Result<HttpResponse, Failure> {
    let controllers = controllers_at(&request, &state);
    let old = session_secret(&request, &controllers);
    match begin(&state, &controllers, &token, old, Utc::now()).await? {
        Some(begun) => {
            let mut answer = see(safe(&form.0.next));
            answer
                .add_cookie(&session_cookie(&begun.controller, begun.secret))
                .map_err(|_invalid| Failure::Internal("a session cookie was refused"))?;
            Ok(answer)
        }
        None => page(&visitor, Stage::Dead, "/".into()),
    }
}

/// `POST /sign-out`: ends this browser's session.
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn leave(
    state: Data<State>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    let current = form.current;
    if let Credential::Session { token_hash, .. } = &current.credential {
        let mut connection = state.db.get().await?;
        let controller = [current.controller_id().as_str()];
        sessions::delete(&controller, token_hash, &mut connection).await?;
    }
    left(&current.controller, &state)
}

/// `POST /sign-out/everywhere`: ends all sessions of the user.
///
/// # Errors
///
/// Fails if the form came from elsewhere or the database does not answer.
pub async fn leave_everywhere(
    state: Data<State>,
    form: CheckedForm<Nothing>,
) -> Result<HttpResponse, Failure> {
    let current = form.current;
    let mut connection = state.db.get().await?;
    sessions::delete_all(current.controller_id(), current.id(), &mut connection).await?;
    left(&current.controller, &state)
}

/// What is counted of signing in, each by itself.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(super) enum Step {
    Ask,
    ComeBack,
    Start,
}

/// Counts by the client's network, which is forgotten within the minute.
pub(super) fn is_too_often(request: &HttpRequest, state: &State, step: Step) -> bool {
    static LIMIT: LazyLock<Limit> = LazyLock::new(Limit::default);
    let collector = &state.config.collector;
    let client = network(client_address(request.head(), &collector.trusted_proxies));
    let allowed = collector.sign_in_limit;
    LIMIT.count((step, client), allowed, Instant::now()).is_over
}

fn left(controller: &Controller, state: &State) -> Result<HttpResponse, Failure> {
    let mut answer = see("/sign-in");
    let refused = |_invalid| Failure::Internal("a session cookie was refused");
    answer
        .add_cookie(&end_cookie(controller))
        .map_err(refused)?;
    if state.oidc.is_some() {
        answer
            .add_cookie(&left_cookie(controller))
            .map_err(refused)?;
    }
    Ok(answer)
}

fn sent(visitor: &Visitor) -> Stage {
    let text = Texts::of(visitor.language).sign_in.sent;
    Stage::Sent {
        text: text.replace("{minutes}", &LINK_MINUTES.to_string()),
    }
}

/// Returns where signing in at the provider begins.
fn start(next: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", &safe(next));
    format!("/sign-in/oidc/start?{}", query.finish())
}

/// Renders the page at a stage.
pub(super) fn page(visitor: &Visitor, stage: Stage, next: String) -> Result<HttpResponse, Failure> {
    let t = &Texts::of(visitor.language).sign_in;
    html(&Page {
        layout: Layout::plain(visitor.language, t.title),
        t,
        stage,
        next,
    })
}

/// Returns a path of ours, or `/` for what could lead elsewhere.
pub(super) fn safe(next: &str) -> String {
    let is_path = next.starts_with('/')
        && !next.starts_with("//")
        && !next
            .chars()
            .any(|c| c == '\\' || c.is_control() || c.is_whitespace())
        && next.len() <= 500;
    if is_path { next.into() } else { "/".into() }
}

fn names<'a>(controllers: &[&'a Controller]) -> Vec<&'a str> {
    controllers
        .iter()
        .map(|controller| controller.id.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_are_followed_after_signing_in() {
        assert_eq!(safe("/messages/1?x=2"), "/messages/1?x=2");
        for elsewhere in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\tb",
            "javascript:alert(1)",
        ] {
            assert_eq!(safe(elsewhere), "/", "{elsewhere}");
        }
    }
}
