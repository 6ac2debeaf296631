// SPDX-License-Identifier: GPL-3.0-or-later
//! `/sign-in/oidc`: to the provider and back. Whatever goes wrong, the browser gets one and the same page.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use chrono::{DateTime, Utc};
use common::{address::Address, config::Controller};

use super::sign_in::{Stage, Step, Wanted, is_too_often, page, safe};
use crate::{
    auth::{
        Visitor, attempt_cookie, attempt_value, controllers_at, end_attempt_cookie,
        end_left_cookie, has_left, session_cookie, session_secret,
        sign_in::{Begun, enter},
    },
    failure::Failure,
    oidc::{Attempt, OidcError, Provider, Returned, Terms},
    page::see,
    state::State,
};

/// Where the provider sends browsers back to.
const BACK: &str = "/sign-in/oidc";

/// `GET /sign-in/oidc/start`: sends the browser to the provider. Nothing is kept here.
///
/// # Errors
///
/// Fails where users do not sign in so, or if one client asks too often.
pub async fn start(
    request: HttpRequest,
    state: Data<State>,
    visitor: Visitor,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, Failure> {
    let provider = state.oidc.as_ref().ok_or(Failure::NotFound)?;
    if is_too_often(&request, &state, Step::Start) {
        return Err(Failure::TooOften);
    }
    let controller = controller(&request, &state)?;
    let attempt = Attempt::begin(safe(&wanted.next), Utc::now()).ok_or(Failure::Internal(
        "no random numbers from the operating system",
    ))?;
    let terms = terms(controller, &state, &attempt);
    let challenge = attempt.challenge(&controller.id, &state.keys);
    let token = attempt.state(&controller.id, &state.keys);
    match provider
        .sign_in_url(terms.borrowed(), &token, &challenge)
        .await
    {
        Ok(url) => with(see(url), &attempt_cookie(controller, attempt.cookie())),
        Err(error) => refused(&visitor, controller, &error),
    }
}

/// `GET /sign-in/oidc`: what the provider sends a browser back with.
///
/// # Errors
///
/// Fails where users do not sign in so, if one client comes back too often, or if the database does not answer.
pub async fn come_back(
    request: HttpRequest,
    state: Data<State>,
    visitor: Visitor,
    returned: Query<Returned>,
) -> Result<HttpResponse, Failure> {
    let provider = state.oidc.as_ref().ok_or(Failure::NotFound)?;
    let controller = controller(&request, &state)?;
    let now = Utc::now();
    let attempt = attempt_value(&request, &controllers_at(&request, &state));
    let attempt = attempt
        .and_then(|cookie| Attempt::read(&cookie))
        .filter(|attempt| {
            let token = returned.state.as_deref().unwrap_or_default();
            attempt.is_answered_by(token, &controller.id, &state.keys, now)
        });
    let Some(attempt) = attempt else {
        return refused(&visitor, controller, &OidcError::Attempt);
    };
    // From here on the provider is asked.
    if is_too_often(&request, &state, Step::ComeBack) {
        return Err(Failure::TooOften);
    }
    let login = login(provider, &attempt, &returned, controller, &state, now).await;
    let login = match login {
        Ok(login) => login,
        Err(error) => return refused(&visitor, controller, &error),
    };
    match begin(&request, &state, &login, now).await? {
        Ok(begun) => {
            let answer = see(safe(attempt.next()));
            let answer = with(answer, &session_cookie(&begun.controller, begun.secret))?;
            with(answer, &end_attempt_cookie(controller))
        }
        Err(error) => refused(&visitor, controller, &error),
    }
}

/// `GET /sign-in/oidc/leave`: sends a browser that has just signed out here to where it signs out of the provider.
/// Any other goes to the door: else an image on somebody's page could sign people out.
///
/// # Errors
///
/// Fails where users do not sign in so.
pub async fn leave(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Failure> {
    let provider = state.oidc.as_ref().ok_or(Failure::NotFound)?;
    if !has_left(&request, &controllers_at(&request, &state)) {
        return Ok(see("/sign-in"));
    }
    let controller = controller(&request, &state)?;
    let base = controller.base_url();
    let away = match provider.sign_out_url(&format!("{base}/sign-in")).await {
        Ok(Some(url)) => see(url),
        Ok(None) => see("/sign-in"),
        Err(error) => {
            tracing::warn!("nobody could be sent to the provider to sign out: {error}");
            see("/sign-in")
        }
    };
    with(away, &end_left_cookie(controller))
}

/// What goes with an attempt, with its own strings.
struct OwnedTerms {
    redirect: String,
    nonce: String,
}

impl OwnedTerms {
    fn borrowed(&self) -> Terms<'_> {
        Terms {
            redirect: &self.redirect,
            nonce: &self.nonce,
        }
    }
}

fn terms(controller: &Controller, state: &State, attempt: &Attempt) -> OwnedTerms {
    OwnedTerms {
        redirect: format!("{}{BACK}", controller.base_url()),
        nonce: attempt.nonce(&controller.id, &state.keys),
    }
}

async fn login(
    provider: &Provider,
    attempt: &Attempt,
    returned: &Returned,
    controller: &Controller,
    state: &State,
    now: DateTime<Utc>,
) -> Result<String, OidcError> {
    let terms = terms(controller, state, attempt);
    let verifier = attempt.verifier(&controller.id, &state.keys);
    provider
        .login(returned, terms.borrowed(), &verifier, now)
        .await
}

/// Begins a session for a login of one of the organisations at this address.
async fn begin(
    request: &HttpRequest,
    state: &State,
    login: &str,
    now: DateTime<Utc>,
) -> Result<Result<Begun, OidcError>, Failure> {
    let here = controllers_at(request, state);
    let found = state.config.controller_of(login).filter(|(owner, login)| {
        let is_here = here.iter().any(|one| one.id == owner.id);
        is_here && Address::parse(login).is_some()
    });
    let Some((owner, login)) = found else {
        return Ok(Err(OidcError::Login));
    };
    let old = session_secret(request, &here);
    let begun = enter(state, &here, &owner.id, &login, old, now).await?;
    Ok(begun.ok_or(OidcError::NotAdmitted))
}

/// Every controller at one address has that address, and so the same way back.
fn controller<'a>(request: &HttpRequest, state: &'a State) -> Result<&'a Controller, Failure> {
    controllers_at(request, state)
        .first()
        .copied()
        .ok_or(Failure::NotFound)
}

fn refused(
    visitor: &Visitor,
    controller: &Controller,
    error: &OidcError,
) -> Result<HttpResponse, Failure> {
    tracing::warn!("nobody was signed in by OpenID Connect: {error}");
    let mut answer = page(visitor, Stage::Refused, "/".into())?;
    *answer.status_mut() = StatusCode::FORBIDDEN;
    with(answer, &end_attempt_cookie(controller))
}

fn with(
    mut answer: HttpResponse,
    cookie: &actix_web::cookie::Cookie<'_>,
) -> Result<HttpResponse, Failure> {
    answer
        .add_cookie(cookie)
        .map_err(|_invalid| Failure::Internal("a cookie was refused"))?;
    Ok(answer)
}
