// SPDX-License-Identifier: GPL-3.0-or-later
//! The user who is asking: the argument of every handler that serves one.
//!
//! An API token, where one is shown, decides alone; then the portal's header field, if the configuration names one and a
//! trusted proxy sends it; then the session cookie. In every case the user must be enabled.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, CONTENT_TYPE},
    web::Data,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use common::{
    config::{Controller, SignIn},
    db::{api_tokens, sessions, users::User},
    ids::{ControllerId, UserId},
    language::Language,
};

use super::{
    cookie::session_secret,
    origin::{Origin, origin},
    peer, secret,
    sign_in::{IDLE_DAYS, admit},
    site::controllers_at,
};
use crate::{failure::Failure, state::State};

const FORM_CONTEXT: &str = "fairtrack 2026-11 form tokens";

/// The user who is asking.
#[derive(Clone)]
pub struct CurrentUser {
    pub user: User,
    pub controller: Controller,
    pub credential: Credential,
}

/// What shows who is asking.
#[derive(Clone)]
pub enum Credential {
    /// A trusted proxy's word. `csrf` is what forms must carry.
    Proxy { csrf: String },
    /// A cookie. `csrf` is what forms must carry.
    Session { token_hash: Vec<u8>, csrf: String },
    /// An API token.
    Token,
}

impl CurrentUser {
    /// Returns the user's name within the controller.
    pub fn id(&self) -> UserId {
        self.user.user_id()
    }

    /// Returns the controller's name.
    pub fn controller_id(&self) -> &ControllerId {
        &self.controller.id
    }

    /// Returns the user's language, else the controller's.
    pub fn language(&self) -> Language {
        self.user.language().unwrap_or(self.controller.language)
    }

    /// Returns what forms on this user's pages carry; an API token has no pages.
    pub fn csrf(&self) -> &str {
        match &self.credential {
            Credential::Proxy { csrf } | Credential::Session { csrf, .. } => csrf,
            Credential::Token => "",
        }
    }
}

impl FromRequest for CurrentUser {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let known = request.extensions().get::<Self>().cloned();
            if let Some(known) = known {
                return Ok(known);
            }
            let state = request
                .app_data::<Data<State>>()
                .ok_or(Failure::Internal("the application has no state"))?
                .clone();
            let current = identify(&request, &state, Utc::now()).await?;
            request.extensions_mut().insert(current.language());
            refuse_foreign(&request, &current, &state)?;
            Ok(current)
        })
    }
}

async fn identify(
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> Result<CurrentUser, Failure> {
    let controllers = controllers_at(request, state);
    if request.headers().contains_key(AUTHORIZATION) {
        return by_token(request, &controllers, state, now).await;
    }
    match &state.config.collector.sign_in {
        SignIn::Header(name) => by_header(request, name, state).await,
        SignIn::Mail | SignIn::Oidc => by_session(request, &controllers, state, now).await,
    }
}

async fn by_token(
    request: &HttpRequest,
    controllers: &[&Controller],
    state: &State,
    now: DateTime<Utc>,
) -> Result<CurrentUser, Failure> {
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| token.starts_with(secret::TOKEN_PREFIX))
        .ok_or(Failure::SignedOut)?;
    let mut connection = state.db.get().await?;
    let user = api_tokens::find_user(
        &names(controllers),
        &secret::hash(token),
        now,
        &mut connection,
    )
    .await?
    .ok_or(Failure::SignedOut)?;
    of(user, Credential::Token, state)
}

async fn by_header(
    request: &HttpRequest,
    name: &str,
    state: &State,
) -> Result<CurrentUser, Failure> {
    if !peer::is_trusted(request, state) {
        return Err(Failure::SignedOut);
    }
    // A proxy that passes the visitor's own field along beside its own would let anybody be anybody.
    let mut values = request.headers().get_all(name);
    let login = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        _ => return Err(Failure::SignedOut),
    };
    let (controller, login) = state
        .config
        .controller_of(login)
        .ok_or(Failure::SignedOut)?;
    let user = admit(state, &controller.id, &login)
        .await?
        .ok_or(Failure::SignedOut)?;
    let key = state.keys.derived(FORM_CONTEXT);
    let hash = blake3::keyed_hash(&key, format!("{} {login}", controller.id).as_bytes());
    let csrf = URL_SAFE_NO_PAD.encode(hash.as_bytes());
    of(user, Credential::Proxy { csrf }, state)
}

async fn by_session(
    request: &HttpRequest,
    controllers: &[&Controller],
    state: &State,
    now: DateTime<Utc>,
) -> Result<CurrentUser, Failure> {
    let shown = session_secret(request, controllers).ok_or(Failure::SignedOut)?;
    let mut connection = state.db.get().await?;
    let seen_after = now - TimeDelta::days(IDLE_DAYS);
    let (session, user) = sessions::find(
        &names(controllers),
        &secret::hash(&shown),
        seen_after,
        now,
        &mut connection,
    )
    .await?
    .ok_or(Failure::SignedOut)?;
    if now - session.seen_at > TimeDelta::minutes(10) {
        sessions::touch(
            &user.controller(),
            &session.token_hash,
            now,
            &mut connection,
        )
        .await?;
    }
    let credential = Credential::Session {
        token_hash: session.token_hash,
        csrf: URL_SAFE_NO_PAD.encode(session.csrf),
    };
    of(user, credential, state)
}

fn of(user: User, credential: Credential, state: &State) -> Result<CurrentUser, Failure> {
    let controller = state
        .config
        .controller(&user.controller())
        .ok_or(Failure::SignedOut)?
        .clone();
    Ok(CurrentUser {
        user,
        controller,
        credential,
    })
}

/// Refuses a change that another site's page asks for in the user's name.
///
/// Forms carry the session's token besides. The API takes JSON, which no other site's form can send.
fn refuse_foreign(
    request: &HttpRequest,
    current: &CurrentUser,
    state: &State,
) -> Result<(), Failure> {
    if request.method().is_safe() || matches!(current.credential, Credential::Token) {
        return Ok(());
    }
    let is_api = request.path().starts_with("/api/");
    match origin(request, &controllers_at(request, state)) {
        Origin::Foreign => Err(Failure::Foreign),
        Origin::Hidden if is_api => Err(Failure::Foreign),
        Origin::Hidden | Origin::Own => {
            let is_form = request
                .headers()
                .get(CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| !value.to_ascii_lowercase().starts_with("application/json"));
            if is_api && is_form {
                return Err(Failure::Foreign);
            }
            Ok(())
        }
    }
}

fn names<'a>(controllers: &[&'a Controller]) -> Vec<&'a str> {
    controllers
        .iter()
        .map(|controller| controller.id.as_str())
        .collect()
}
