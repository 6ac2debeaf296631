// SPDX-License-Identifier: GPL-3.0-or-later
//! What the owner of an address has decided to do, done: in one transaction with the use of the link.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use chrono::{DateTime, Utc};
use common::{
    consent::{Author, Method, chain},
    db::{
        Connection, DbError, QueryError, Transactions,
        consent_events::{AppendError, Recorded},
        erasures::{self, Erased, Suppression},
        recipient_links, standings, subjects, suppressions,
    },
    language::Language,
};
use serde_json::{Map, Value};

use super::{
    choose::{self, Books, Circumstances},
    claim::withdrawal_url,
    document::{self, About, Depth},
    form::Choice,
    mine_show::{self, Person},
    notice::Notice,
    page::{self, Frame, Plain},
    words::{Words, fill},
};
use crate::{journal, mail::Outgoing, state::State};

/// How the right to act was proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// By a link that has not been used yet.
    Link,
    /// By the session that followed its use.
    Session,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    Choose(Choice),
    Download(Depth, Format),
    Erase(Suppression),
    Freeze,
    See,
    Unfreeze,
}

/// In what form to download.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    Json,
    Text,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the database refused")]
    Query(#[from] QueryError),
    /// Somebody was faster, or the page was used too often.
    #[error("the link was used meanwhile")]
    Used,
}

/// Does it, and answers with what follows.
///
/// # Errors
///
/// Fails if the database does, or if somebody used the link first; then nothing was done.
pub async fn perform(
    mut person: Person<'_>,
    proof: Proof,
    act: Act,
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> Result<HttpResponse, ActError> {
    let language = page::language(request, person.controller);
    let mut connection = state.db.get().await?;
    let whose = &person;
    let changed = connection
        .transaction(async |connection| {
            let link = &whose.link;
            let may_act = match proof {
                Proof::Link => recipient_links::consume(link, now, connection).await?,
                Proof::Session => recipient_links::use_again(link, connection).await?,
            };
            if !may_act {
                return Err(ActError::Used);
            }
            change(whose, &act, language, state, now, connection).await
        })
        .await?;
    write_down(&person, &changed, state, now, &mut connection).await;
    drop(connection);
    if proof == Proof::Link {
        person.link.used_at = Some(now);
    }
    match act {
        Act::Choose(choice) => chosen(&person, &choice, request, state, now).await,
        Act::Download(depth, format) => {
            let document = gather(&person, depth, state, now).await?;
            Ok(downloaded(&document, depth, format))
        }
        Act::Erase(suppression) => Ok(forgotten(&person, suppression, request)),
        Act::Freeze => more(&person, request, state, now, |words| words.done_frozen).await,
        Act::See => {
            let document = gather(&person, Depth::Everything, state, now).await?;
            let mut page = mine_show::show_more(&person, request, state, now).await?;
            page.data = Some(document::text(&document));
            Ok(page::respond(StatusCode::OK, &page))
        }
        Act::Unfreeze => more(&person, request, state, now, |words| words.done_unfrozen).await,
    }
}

/// What was changed in the database.
enum Changed {
    Chosen(Vec<Recorded>),
    Erased(Erased, Suppression),
    Frozen(bool),
    Nothing,
}

fn books<'a>(person: &Person<'a>, state: &'a State) -> Books<'a> {
    Books {
        config: &state.config,
        controller: person.controller,
        keys: &state.keys,
    }
}

/// Changes what is to be changed in the database.
async fn change(
    person: &Person<'_>,
    act: &Act,
    language: Language,
    state: &State,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Changed, ActError> {
    let (controller, subject) = (person.controller, person.subject);
    let hash = standings::suppression_hash(&state.keys, &person.address);
    match act {
        Act::Choose(choice) => {
            if choice.allows() {
                // Whoever asked never to be asked has now decided otherwise.
                suppressions::lift(&controller.id, &hash, connection).await?;
            }
            let circumstances = Circumstances {
                author: Author::Recipient,
                method: Method::MailedLink,
                language: Some(language),
                evidence: evidence(person, now),
            };
            let books = books(person, state);
            let entries =
                choose::record(books, subject, choice, circumstances, now, connection).await?;
            Ok(Changed::Chosen(entries))
        }
        Act::Erase(suppression) => {
            let id = &controller.id;
            let base = person.address.base();
            let people = subjects::of_base(id, &base, connection).await?;
            let erased = erasures::erase(id, &people, &hash, *suppression, now, connection).await?;
            Ok(Changed::Erased(erased, *suppression))
        }
        Act::Freeze | Act::Unfreeze => {
            let frozen = *act == Act::Freeze;
            let id = &controller.id;
            let is_new = subjects::restrict(id, subject, frozen, connection).await?;
            Ok(if is_new {
                Changed::Frozen(frozen)
            } else {
                Changed::Nothing
            })
        }
        Act::Download(..) | Act::See => Ok(Changed::Nothing),
    }
}

/// Puts what was changed into the journal.
async fn write_down(
    person: &Person<'_>,
    changed: &Changed,
    state: &State,
    now: DateTime<Utc>,
    connection: &mut Connection,
) {
    let books = books(person, state);
    let hash = standings::suppression_hash(&state.keys, &person.address);
    match changed {
        Changed::Chosen(entries) => journal::write_statements(books, entries, connection).await,
        Changed::Erased(erased, suppression) => {
            journal::write_erasure(books, erased, &hash, *suppression, now).await;
        }
        Changed::Frozen(frozen) => {
            journal::write_restriction(books, person.subject, &hash, *frozen, now).await;
        }
        Changed::Nothing => {}
    }
}

/// Returns what shows that the owner of the mailbox chose: when the link went out, and when it was used.
fn evidence(person: &Person<'_>, now: DateTime<Utc>) -> Map<String, Value> {
    let link = &person.link;
    let used = link.used_at.unwrap_or(now);
    let mut evidence = Map::new();
    evidence.insert("by".into(), "a link mailed to the address".into());
    evidence.insert(
        "link_sent_at".into(),
        chain::instant(link.created_at).into(),
    );
    evidence.insert(
        "link_used_at".into(),
        chain::instant(chain::storable(used)).into(),
    );
    match link.request_id {
        Some(request) => evidence.insert("request".into(), request.to_string().into()),
        None => evidence.insert("asked_by".into(), "the person".into()),
    };
    evidence
}

async fn chosen(
    person: &Person<'_>,
    choice: &Choice,
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
) -> Result<HttpResponse, ActError> {
    let mut page = mine_show::show_more(person, request, state, now).await?;
    let words = page.frame.words;
    page.done.push(words.done_saved.to_owned());
    if choice.allows() {
        page.done.push(words.done_allowed.to_owned());
        let url = withdrawal_url(person.controller.base_url(), &state.keys, person.subject);
        page.done
            .push(fill(words.receipt_withdraw, &[("url", &url)]));
        mail_receipt(
            person,
            page.standing.as_deref().unwrap_or_default(),
            &url,
            &page.frame,
            state,
        );
    }
    Ok(page::respond(StatusCode::OK, &page))
}

/// Mails the receipt, in the background: the choice stands whether or not it arrives.
fn mail_receipt(person: &Person<'_>, standing: &[String], url: &str, frame: &Frame, state: &State) {
    let words = frame.words;
    let controller = person.controller;
    let notice = Notice::new(controller, &state.config.retention, frame.language).text();
    let choices: String = standing.iter().map(|line| format!("- {line}\n")).collect();
    let places = [
        ("controller", controller.name.as_str()),
        ("choices", &choices),
        ("record", &person.subject.0.to_string()),
        ("url", url),
        ("notice", &notice),
    ];
    let outgoing = Outgoing {
        to: person.address.as_str().to_owned(),
        subject: fill(words.mail_receipt_subject, &places),
        text: fill(words.mail_receipt, &places),
        html: None,
    };
    state.desk.post(outgoing, state);
}

async fn more(
    person: &Person<'_>,
    request: &HttpRequest,
    state: &State,
    now: DateTime<Utc>,
    says: fn(&Words) -> &'static str,
) -> Result<HttpResponse, ActError> {
    let mut page = mine_show::show_more(person, request, state, now).await?;
    page.done.push(says(page.frame.words).to_owned());
    Ok(page::respond(StatusCode::OK, &page))
}

async fn gather(
    person: &Person<'_>,
    depth: Depth,
    state: &State,
    now: DateTime<Utc>,
) -> Result<Value, DbError> {
    let about = About {
        config: &state.config,
        controller: person.controller,
        keys: &state.keys,
        subject: person.subject,
        address: &person.address,
    };
    let mut connection = state.db.get().await?;
    document::gather(&about, depth, now, &mut connection).await
}

fn downloaded(document: &Value, depth: Depth, format: Format) -> HttpResponse {
    let name = if depth == Depth::Receipt {
        "receipt"
    } else {
        "my-data"
    };
    match format {
        Format::Json => page::download(
            &format!("{name}.json"),
            "application/json",
            format!("{document:#}\n"),
        ),
        Format::Text => page::download(
            &format!("{name}.txt"),
            "text/plain; charset=utf-8",
            document::text(document),
        ),
    }
}

fn forgotten(person: &Person<'_>, suppression: Suppression, request: &HttpRequest) -> HttpResponse {
    let frame = Frame::new(person.controller, request, |words| words.done_title);
    let words = frame.words;
    let line = match suppression {
        Suppression::Forget => words.done_erased_forgotten,
        Suppression::Keep => words.done_erased_kept,
    };
    let lines = vec![words.done_erased.to_owned(), line.to_owned()];
    page::respond(StatusCode::OK, &Plain::said(frame, lines))
}
