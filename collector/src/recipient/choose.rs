// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes a person's choice into the consent log: one event for each purpose, with the text that was shown.

use chrono::{DateTime, Utc};
use common::{
    config::{Config, Controller},
    consent::{
        Author, Inadmissible, Method, Profile, Purpose, State, Statement, chain::Hash, refusal,
    },
    db::{
        Connection,
        consent_events::{self, AppendError, Recorded},
        notices, standings,
    },
    ids::SubjectRef,
    keys::KeyRing,
    language::Language,
};
use serde_json::{Map, Value};

use super::{
    form::{Answer, Choice},
    notice::{self, Notice},
};

/// Whose log a choice goes into, and what is needed to write it.
#[derive(Clone, Copy)]
pub struct Books<'a> {
    pub config: &'a Config,
    pub controller: &'a Controller,
    pub keys: &'a KeyRing,
}

/// How a choice reached us.
pub struct Circumstances {
    pub author: Author,
    pub method: Method,
    /// The language of the page; `None` where no page was shown.
    pub language: Option<Language>,
    /// What supports it, beside the choice itself.
    pub evidence: Map<String, Value>,
}

/// Records a choice; belongs into a transaction. What stands already is not written twice.
///
/// # Errors
///
/// Fails if the database does, or if the choice may not be written.
pub async fn record(
    books: Books<'_>,
    subject: SubjectRef,
    choice: &Choice,
    circumstances: Circumstances,
    now: DateTime<Utc>,
    connection: &mut Connection,
) -> Result<Vec<Recorded>, AppendError> {
    let Books {
        config,
        controller,
        keys,
    } = books;
    let id = &controller.id;
    consent_events::lock(id, connection).await?;
    let Some(standing) = standings::by_subject(id, &[subject], keys, connection)
        .await?
        .remove(&subject)
    else {
        return nobody(choice);
    };
    let notice = match circumstances.language {
        Some(language) => Some(keep_notice(books, language, connection).await?),
        None => None,
    };
    let mut evidence = circumstances.evidence;
    evidence.insert("choices".into(), described(choice));

    let statements: Vec<Statement> = choice
        .answers
        .iter()
        .filter_map(|(purpose, answer)| {
            let (state, expires_at) = match answer {
                Answer::Allow => (State::Granted, Some(now + config.retention.grant.delta())),
                Answer::Keep => return None,
                Answer::Refuse => (refusal(&standing, *purpose, choice.scope)?, None),
            };
            Some(Statement {
                subject,
                purpose: *purpose,
                scope: choice.scope,
                state,
                author: circumstances.author,
                expires_at,
                profile: Profile::CURRENT,
                notice,
                language: circumstances.language,
                method: circumstances.method,
                evidence: Value::Object(evidence.clone()),
            })
        })
        .collect();
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    consent_events::append(id, &statements, keys, now, connection).await
}

/// Answers for somebody who was erased meanwhile: what they take back is gone already, and nothing can be allowed.
fn nobody(choice: &Choice) -> Result<Vec<Recorded>, AppendError> {
    let allows = |(_, answer): &(Purpose, Answer)| matches!(answer, Answer::Allow);
    match choice.answers.iter().position(allows) {
        None => Ok(Vec::new()),
        Some(place) => Err(AppendError::Inadmissible {
            place,
            reason: Inadmissible::Erased,
        }),
    }
}

/// Keeps the notice as it is shown now, and returns its hash.
pub async fn keep_notice(
    books: Books<'_>,
    language: Language,
    connection: &mut Connection,
) -> Result<Hash, AppendError> {
    let text = Notice::new(books.controller, &books.config.retention, language).text();
    let hash = notices::keep(
        &books.controller.id,
        notice::KIND,
        notice::VERSION,
        language,
        &text,
        connection,
    )
    .await?;
    Ok(hash)
}

fn described(choice: &Choice) -> Value {
    let answers = choice
        .answers
        .iter()
        .map(|(purpose, answer): &(Purpose, Answer)| {
            (purpose.code().to_owned(), answer.code().into())
        })
        .collect();
    Value::Object(answers)
}
