// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /c/TOKEN`: what is recorded about a message and by whom, and how to stop it. Changes nothing, whatever the query.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use common::{
    config::{Config, Controller},
    db::{Connection, DbError, observed, subjects},
    ids::{ControllerId, MessageId, SubjectRef, UserId},
};

use super::{
    claim::Claim,
    notice::{self, Notice},
    page::{self, Frame, Plain},
    when,
    words::fill,
};
use crate::{layout::Layout, state::State};

/// What a token turned out to stand for.
pub struct Found<'a> {
    pub controller: &'a Controller,
    pub stands_for: StandsFor,
}

/// What a token turned out to stand for, in the database as it is now.
pub enum StandsFor {
    /// A message; if it went to one person, its token may speak for that one.
    Message {
        message: Box<observed::Observed>,
        recipients: Vec<SubjectRef>,
    },
    /// Nothing is stored any more.
    Nothing,
    /// One person, and perhaps one sender's mail: a receipt's link, or a message purged long ago.
    Person {
        subject: SubjectRef,
        sender: Option<UserId>,
    },
}

impl StandsFor {
    /// Returns the one to whom a message went.
    pub fn only_recipient(&self) -> Option<SubjectRef> {
        match self {
            Self::Message {
                message,
                recipients,
            } => match recipients.as_slice() {
                [one] if !message.to_several => Some(*one),
                _ => None,
            },
            Self::Nothing | Self::Person { .. } => None,
        }
    }
}

/// The page.
#[derive(Template)]
#[template(path = "recipient/message.html")]
pub struct Page {
    pub layout: Layout,
    pub frame: Frame,
    pub error: Option<&'static str>,
    pub facts: Vec<String>,
    /// The sender's name, where "this sender only" can be chosen.
    pub sender: Option<String>,
    /// Whether choices of one person can be taken.
    pub is_one: bool,
    pub is_several: bool,
    pub notice: Notice,
    pub version: String,
    pub stop_all: String,
    pub scope_controller: String,
    pub scope_sender: String,
}

/// Shows the page.
pub async fn message_show(
    request: HttpRequest,
    token: Path<String>,
    state: Data<State>,
) -> HttpResponse {
    let Some(claim) = Claim::open(&state.keys, &token) else {
        return invalid(&request, &state);
    };
    match look_up(claim, &request, &state).await {
        Ok(Some(found)) => page::respond(StatusCode::OK, &show(&found, None, &request, &state)),
        Ok(None) => invalid(&request, &state),
        Err(error) => unavailable(&error, &request, &state),
    }
}

/// Returns what a token stands for; `None` if no controller is configured.
pub async fn look_up<'a>(
    claim: Claim,
    request: &HttpRequest,
    state: &'a State,
) -> Result<Option<Found<'a>>, DbError> {
    let Some(host) = page::controller_of(state, request) else {
        return Ok(None);
    };
    let mut connection = state.db.get().await?;
    let known = |id: &str| state.config.controller(&ControllerId(id.to_owned()));
    let ids: Vec<&str> = ids(&state.config);
    let found = match claim {
        Claim::Message(message) => find_message(&ids, message, &mut connection).await?,
        Claim::Subject(subject) => find_subject(&state.config, subject, &mut connection).await?,
    };
    let found = found.and_then(|(id, stands_for)| {
        Some(Found {
            controller: known(&id)?,
            stands_for,
        })
    });
    Ok(Some(found.unwrap_or(Found {
        controller: host,
        stands_for: StandsFor::Nothing,
    })))
}

/// Makes the page; `error` says why a form was not taken.
pub fn show(
    found: &Found<'_>,
    error: Option<&'static str>,
    request: &HttpRequest,
    state: &State,
) -> Page {
    let controller = found.controller;
    let frame = Frame::new(controller, request, |words| words.choices_title);
    let words = frame.words;
    let notice = Notice::new(controller, &state.config.retention, frame.language);
    let (mut facts, mut sender) = (Vec::new(), None);
    let (mut is_one, mut is_several) = (false, false);
    match &found.stands_for {
        StandsFor::Message {
            message,
            recipients,
        } => {
            let name = name_of(message);
            let places = [
                ("sender", name.as_str()),
                ("controller", &controller.name),
                ("date", &when(message.sent_at)),
            ];
            facts.push(fill(words.message_line, &places));
            match message.stopped_at {
                Some(at) => facts.push(fill(words.message_stopped, &[("date", &when(at))])),
                None if message.opens || message.links => {
                    let active = [
                        (message.opens, words.message_open),
                        (message.links, words.message_click),
                    ];
                    facts.extend(
                        active
                            .into_iter()
                            .filter(|(is_active, _)| *is_active)
                            .map(|(_, line)| line.to_owned()),
                    );
                }
                None => facts.push(words.message_none.to_owned()),
            }
            is_one = found.stands_for.only_recipient().is_some();
            is_several = !is_one && !recipients.is_empty();
            if is_several {
                facts.push(words.message_several.to_owned());
            }
            sender = is_one.then_some(name);
        }
        StandsFor::Nothing => {
            facts.push(words.message_gone.to_owned());
        }
        StandsFor::Person { .. } => is_one = true,
    }
    Page {
        layout: frame.layout(),
        error,
        facts,
        is_one,
        is_several,
        version: version(&notice, &frame),
        notice,
        stop_all: fill(words.stop_all, &[("controller", &controller.name)]),
        scope_controller: fill(words.scope_controller, &[("controller", &controller.name)]),
        scope_sender: sender.as_deref().map_or_else(String::new, |sender| {
            fill(words.scope_sender, &[("sender", sender)])
        }),
        sender,
        frame,
    }
}

/// Answers to a token that we never made.
pub fn invalid(request: &HttpRequest, state: &State) -> HttpResponse {
    plain_alert(StatusCode::NOT_FOUND, request, state, |words| {
        (words.invalid_title, words.invalid)
    })
}

/// Answers when the database does not serve.
pub fn unavailable(
    error: &(dyn std::error::Error + 'static),
    request: &HttpRequest,
    state: &State,
) -> HttpResponse {
    tracing::error!(error, "a recipient's page could not be served");
    plain_alert(StatusCode::SERVICE_UNAVAILABLE, request, state, |words| {
        (words.unavailable_title, words.unavailable)
    })
}

/// Returns the line below a notice that says which text it is.
pub fn version(notice: &Notice, frame: &Frame) -> String {
    fill(
        frame.words.notice_version,
        &[
            ("version", &notice::VERSION.to_string()),
            ("hash", &notice.hash_hex()),
        ],
    )
}

/// Returns the names of the configured controllers.
pub fn ids(config: &Config) -> Vec<&str> {
    config
        .controllers
        .iter()
        .map(|controller| controller.id.as_str())
        .collect()
}

/// Returns how a sender is called towards recipients.
pub fn name_of(message: &observed::Observed) -> String {
    message
        .display_name
        .clone()
        .unwrap_or_else(|| message.login.clone())
}

fn plain_alert(
    status: StatusCode,
    request: &HttpRequest,
    state: &State,
    says: fn(&super::words::Words) -> (&'static str, &'static str),
) -> HttpResponse {
    let Some(controller) = page::controller_of(state, request) else {
        return HttpResponse::build(status).finish();
    };
    let mut frame = Frame::new(controller, request, |words| words.choices_title);
    let (title, line) = says(frame.words);
    frame.title = title.to_owned();
    page::respond(status, &Plain::alert(frame, &[line]))
}

async fn find_message(
    ids: &[&str],
    message: MessageId,
    connection: &mut Connection,
) -> Result<Option<(String, StandsFor)>, DbError> {
    if let Some(found) = observed::find(ids, message, connection).await? {
        let id = ControllerId(found.controller_id.clone());
        let recipients = observed::recipients(&id, message, connection).await?;
        let stands_for = StandsFor::Message {
            message: Box::new(found),
            recipients,
        };
        return Ok(Some((id.0, stands_for)));
    }
    let key = observed::key(ids, message, connection).await?;
    Ok(key.map(|key| {
        let stands_for = StandsFor::Person {
            subject: SubjectRef(key.subject_ref),
            sender: Some(UserId(key.user_id)),
        };
        (key.controller_id, stands_for)
    }))
}

async fn find_subject(
    config: &Config,
    subject: SubjectRef,
    connection: &mut Connection,
) -> Result<Option<(String, StandsFor)>, DbError> {
    for controller in &config.controllers {
        if subjects::get(&controller.id, subject, connection)
            .await?
            .is_some()
        {
            let stands_for = StandsFor::Person {
                subject,
                sender: None,
            };
            return Ok(Some((controller.id.0.clone(), stands_for)));
        }
    }
    Ok(None)
}
