// SPDX-License-Identifier: GPL-3.0-or-later
//! Signing in by a mailed link: every user has a mailbox on this server, so there are no passwords.
//!
//! A link works once, for 15 minutes. Who asks for one learns nothing about whether the address may sign in: whatever
//! there is to find out is found out after the answer, in the background.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    address::Address,
    config::{Controller, Users},
    db::{
        controllers,
        sessions::{self, Session},
        sign_in_links,
        users::{self, User},
    },
    ids::ControllerId,
    language::Language,
};
use tokio::sync::Semaphore;

use super::secret;
use crate::{failure::Failure, mail::Outgoing, sender::texts::Texts, state::State};

/// A session ends this long after it began.
pub const SESSION_DAYS: i64 = 30;
/// A session ends this long after it was last used.
pub const IDLE_DAYS: i64 = 7;
/// How long a link works.
pub const LINK_MINUTES: i64 = 15;

/// The most links for one address within [`LINK_MINUTES`].
const LINKS_OF_ONE: i64 = 3;
/// The most links for all addresses of a controller within a minute.
const LINKS_OF_ALL: i64 = 60;

/// How many requests are worked on at once; more are dropped, so that nobody can pile up work here.
static AT_WORK: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(32));

/// A session that has just begun.
pub struct Begun {
    pub controller: Controller,
    /// What the cookie carries.
    pub secret: String,
}

/// Mails a sign-in link, if the address may sign in and has not been mailed too many. Returns at once.
pub fn mail_link(
    state: &State,
    controllers: &[&Controller],
    address: &str,
    next: Option<String>,
    language: Language,
) {
    let Some(address) = Address::parse(address) else {
        return;
    };
    let Some((controller, login)) = state.config.controller_of(address.as_str()) else {
        return;
    };
    if controllers.iter().all(|here| here.id != controller.id) {
        return;
    }
    let Ok(permit) = AT_WORK.try_acquire() else {
        tracing::warn!("too many sign-in requests at once; one was dropped");
        return;
    };
    let (state, controller) = (state.clone(), controller.clone());
    tokio::spawn(async move {
        let _permit = permit;
        if let Err(error) = send(&state, &controller, &login, next, language, Utc::now()).await {
            tracing::error!(error = %error, "failed to mail a sign-in link");
        }
    });
}

/// Uses a link up and begins a session; `None` if the link does not work, or no longer.
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn begin(
    state: &State,
    controllers: &[&Controller],
    token: &str,
    replaced: Option<String>,
    now: DateTime<Utc>,
) -> Result<Option<Begun>, Failure> {
    let mut connection = state.db.get().await?;
    let names = names(controllers);
    let used = sign_in_links::use_up(&names, &secret::hash(token), now, &mut connection).await?;
    let Some((id, login)) = used else {
        return Ok(None);
    };
    drop(connection);
    enter(state, controllers, &ControllerId(id), &login, replaced, now).await
}

/// Begins a session for whoever has proved to have a login; `None` if that user may not sign in.
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn enter(
    state: &State,
    controllers: &[&Controller],
    id: &ControllerId,
    login: &str,
    replaced: Option<String>,
    now: DateTime<Utc>,
) -> Result<Option<Begun>, Failure> {
    // Somebody else's earlier session in this browser ends here; and so does our own, whose secret may be known.
    if let Some(old) = replaced {
        let names = names(controllers);
        let mut connection = state.db.get().await?;
        sessions::delete(&names, &secret::hash(&old), &mut connection).await?;
    }
    let (Some(user), Some(controller)) =
        (admit(state, id, login).await?, state.config.controller(id))
    else {
        return Ok(None);
    };
    let secret = session(state, &user, now).await?;
    Ok(Some(Begun {
        controller: controller.clone(),
        secret,
    }))
}

/// Begins a session for a user and returns its secret.
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn session(state: &State, user: &User, now: DateTime<Utc>) -> Result<String, Failure> {
    let random = |_| Failure::Internal("no random numbers from the operating system");
    let fresh = secret::random().map_err(random)?;
    let session = Session {
        controller_id: user.controller_id.clone(),
        token_hash: secret::hash(&fresh),
        user_id: user.id,
        csrf: secret::random_bytes().map_err(random)?.to_vec(),
        created_at: now,
        seen_at: now,
        expires_at: now + TimeDelta::days(SESSION_DAYS),
    };
    let mut connection = state.db.get().await?;
    sessions::insert(&session, &mut connection).await?;
    Ok(fresh)
}

/// Returns the user with that login, if one may sign in: made now, if everybody of the domains may and nobody forbade it.
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn admit(
    state: &State,
    controller: &ControllerId,
    login: &str,
) -> Result<Option<User>, Failure> {
    let mut connection = state.db.get().await?;
    let known = users::find(controller, login, &mut connection).await?;
    let user = match (known, state.config.milter.users) {
        (None, Users::All) => {
            // A controller that was configured just now may not be written down yet.
            let configured = &state.config.controllers;
            controllers::save(configured, Utc::now(), &mut connection).await?;
            users::find_or_create(controller, login, &mut connection).await?
        }
        (None, Users::Listed) => return Ok(None),
        (Some(user), _) => user,
    };
    Ok(user.enabled.then_some(user))
}

fn names<'a>(controllers: &[&'a Controller]) -> Vec<&'a str> {
    controllers
        .iter()
        .map(|controller| controller.id.as_str())
        .collect()
}

async fn send(
    state: &State,
    controller: &Controller,
    login: &str,
    next: Option<String>,
    language: Language,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let mut connection = state.db.get().await?;
    let user = users::find(&controller.id, login, &mut connection).await?;
    let may = match (&user, state.config.milter.users) {
        (Some(user), _) => user.enabled,
        (None, users) => users == Users::All,
    };
    if !may {
        return Ok(());
    }
    let recent = sign_in_links::count_since(
        &controller.id,
        login,
        now - TimeDelta::minutes(LINK_MINUTES),
        &mut connection,
    )
    .await?;
    let all = sign_in_links::count_all_since(
        &controller.id,
        now - TimeDelta::minutes(1),
        &mut connection,
    )
    .await?;
    if recent >= LINKS_OF_ONE || all >= LINKS_OF_ALL {
        tracing::warn!(controller = %controller.id, "a sign-in link was not mailed: too many of late");
        return Ok(());
    }
    let token = secret::random()?;
    let link = sign_in_links::New {
        controller_id: controller.id.as_str(),
        token_hash: &secret::hash(&token),
        login,
        created_at: now,
        expires_at: now + TimeDelta::minutes(LINK_MINUTES),
    };
    sign_in_links::insert(&link, &mut connection).await?;
    drop(connection);

    let language = user.and_then(|user| user.language()).unwrap_or(language);
    let query = next.map(|next| {
        url::form_urlencoded::Serializer::new(String::from("?"))
            .append_pair("next", &next)
            .finish()
    });
    let url = format!(
        "{}/sign-in/{token}{}",
        controller.base_url(),
        query.unwrap_or_default()
    );
    let texts = &Texts::of(language).sign_in;
    state
        .mailer
        .send(Outgoing {
            to: login.to_owned(),
            subject: texts.mail_subject.into(),
            text: texts
                .mail_text
                .replace("{link}", &url)
                .replace("{minutes}", &LINK_MINUTES.to_string()),
            html: None,
        })
        .await?;
    Ok(())
}
