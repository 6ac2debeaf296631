// SPDX-License-Identifier: GPL-3.0-or-later
//! Does again what a line of the journal says, unless it is done.
//!
//! Design note: a person whom the backup does not know cannot be written down, because the journal has no address. What
//! that person refused or froze is kept as a suppression, by the fingerprint, under the person's old name in `erasures`;
//! it ends where the person's own later yes ended all of it.

use std::collections::HashMap;

use common::{
    consent::{Author, Method, Profile, Purpose, Scope, Statement, refusal},
    db::{
        Connection, DbError, QueryError,
        consent_events::{self, AppendError},
        consent_requests,
        erasures::{self, Suppression},
        standings, subjects, suppressions, users, withdrawals,
    },
    ids::{ControllerId, MessageId, SubjectRef, UserId},
    keys::KeyRing,
};
use serde_json::json;
use uuid::Uuid;

use super::super::record::hash;
use crate::journal::{Line, What};

/// What came of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Done {
    Account,
    /// So many people were there again.
    Erased(usize),
    Forgotten,
    Frozen,
    Lifted,
    Nothing,
    Refused,
    Stopped,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{0}")]
    Malformed(String),
    #[error("the database refused")]
    Query(#[from] QueryError),
}

/// Something for which a person whom the database does not know is left alone.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Reason {
    Freeze,
    Refusal(String, Option<Uuid>),
}

/// A replay, as far as it has come.
pub(super) struct Replay<'a> {
    keys: &'a KeyRing,
    /// Whether a person's data are frozen in the end.
    frozen: HashMap<Uuid, bool>,
    /// Why a fingerprint is suppressed: unknown people, and what each of them said.
    held: HashMap<[u8; 32], Vec<(Uuid, Reason)>>,
}

impl<'a> Replay<'a> {
    /// Prepares for lines, given in the order of time.
    pub(super) fn of(lines: &[Line], keys: &'a KeyRing) -> Self {
        let frozen = lines.iter().filter_map(|line| match line.what {
            What::Restriction {
                subject, frozen, ..
            } => Some((subject, frozen)),
            _ => None,
        });
        Self {
            keys,
            frozen: frozen.collect(),
            held: HashMap::new(),
        }
    }

    /// Does what a line says; belongs into a transaction.
    pub(super) async fn again(
        &mut self,
        id: &ControllerId,
        line: &Line,
        connection: &mut Connection,
    ) -> Result<Done, ReplayError> {
        match &line.what {
            What::Account { user } => {
                let user = UserId(*user);
                let known = users::get(id, user, connection).await?;
                if known.is_none_or(|known| known.is_erased()) {
                    return Ok(Done::Nothing);
                }
                users::erase(id, user, line.at, connection).await?;
                Ok(Done::Account)
            }
            What::Erasure { .. } => self.erase(id, line, connection).await,
            What::Lift { .. } => self.lift(id, line, connection).await,
            What::Refusal { .. } => self.refuse(id, line, connection).await,
            What::Restriction { .. } => self.restrict(id, line, connection).await,
            What::Stop { message } => {
                let message = MessageId(*message);
                let is_new = withdrawals::stop_message(id, message, line.at, connection).await?;
                Ok(if is_new { Done::Stopped } else { Done::Nothing })
            }
        }
    }

    async fn erase(
        &mut self,
        id: &ControllerId,
        line: &Line,
        connection: &mut Connection,
    ) -> Result<Done, ReplayError> {
        let What::Erasure {
            subject,
            suppression,
            requests,
        } = &line.what
        else {
            return Ok(Done::Nothing);
        };
        // What the person said before counts no more; the erasure says what remains.
        for held in self.held.values_mut() {
            held.retain(|(other, _)| other != subject);
        }
        let subject = SubjectRef(*subject);
        let address = subjects::get(id, subject, connection).await?;
        let known = erasures::find(id, subject, connection).await?;
        // Each of the addresses that went together has a line of its own.
        let people = [subject.0];
        if let Some(hash) = read(suppression.as_deref())? {
            if known.is_some() && address.is_none() {
                return Ok(Done::Nothing);
            }
            let keep = Suppression::Keep;
            let erased = erasures::erase(id, &people, &hash, keep, line.at, connection).await?;
            return Ok(Done::Erased(erased.people));
        }
        // Where the line has no fingerprint, the backup may: with the address, or under the name.
        let requests = consent_requests::forget_named(id, requests, connection).await?;
        let hash = match address {
            Some((address, _)) => Some(standings::suppression_hash(self.keys, &address)),
            None => known.and_then(|erasure| erasure.address_hash),
        };
        let Some(hash) = hash else {
            return Ok(if requests > 0 {
                Done::Forgotten
            } else {
                Done::Nothing
            });
        };
        let forget = Suppression::Forget;
        let erased = erasures::erase(id, &people, &hash, forget, line.at, connection).await?;
        Ok(match erased.people {
            0 => Done::Forgotten,
            people => Done::Erased(people),
        })
    }

    async fn lift(
        &mut self,
        id: &ControllerId,
        line: &Line,
        connection: &mut Connection,
    ) -> Result<Done, ReplayError> {
        let What::Lift {
            subject,
            purpose,
            scope,
            address_hash,
        } = &line.what
        else {
            return Ok(Done::Nothing);
        };
        let Some(hash) = read(address_hash.as_deref())? else {
            return Ok(Done::Nothing);
        };
        if let Some(held) = self.held.get_mut(&hash) {
            let lifted = Reason::Refusal(purpose.clone(), *scope);
            held.retain(|(other, reason)| other != subject || *reason != lifted);
            if !held.is_empty() {
                return Ok(Done::Nothing);
            }
        }
        let is_lifted = suppressions::lift_as_of(id, &hash, line.at, connection).await?;
        Ok(if is_lifted {
            Done::Lifted
        } else {
            Done::Nothing
        })
    }

    async fn refuse(
        &mut self,
        id: &ControllerId,
        line: &Line,
        connection: &mut Connection,
    ) -> Result<Done, ReplayError> {
        let What::Refusal {
            subject,
            event,
            purpose: code,
            scope: user,
            address_hash,
        } = &line.what
        else {
            return Ok(Done::Nothing);
        };
        let subject = SubjectRef(*subject);
        consent_events::lock(id, connection).await?;
        let known = consent_events::of_subject(id, subject, connection).await?;
        if known.iter().any(|entry| entry.event_id == *event) {
            return Ok(Done::Nothing);
        }
        if subjects::get(id, subject, connection).await?.is_none() {
            let reason = Reason::Refusal(code.clone(), *user);
            let hash = read(address_hash.as_deref())?;
            return self.hold(id, line, subject, hash, reason, connection).await;
        }
        let purpose = Purpose::from_code(code)
            .ok_or_else(|| ReplayError::Malformed(format!("unknown purpose \"{code}\"")))?;
        let scope = user.map_or(Scope::Controller, |user| Scope::Sender(UserId(user)));
        let standing = standings::by_subject(id, &[subject], self.keys, connection)
            .await?
            .remove(&subject)
            .unwrap_or_default();
        let Some(state) = refusal(&standing, purpose, scope) else {
            return Ok(Done::Nothing);
        };
        let statement = Statement {
            subject,
            purpose,
            scope,
            state,
            author: Author::System,
            expires_at: None,
            profile: Profile::CURRENT,
            notice: None,
            language: None,
            method: Method::Cli,
            evidence: json!({"by": "the journal, after a restore", "said_at": line.at}),
        };
        consent_events::append_as(id, &statement, *event, self.keys, line.at, connection).await?;
        Ok(Done::Refused)
    }

    async fn restrict(
        &mut self,
        id: &ControllerId,
        line: &Line,
        connection: &mut Connection,
    ) -> Result<Done, ReplayError> {
        let What::Restriction {
            subject,
            frozen,
            address_hash,
        } = &line.what
        else {
            return Ok(Done::Nothing);
        };
        // Only the last word of each person: nobody is set free for a moment.
        if self.frozen.get(subject) != Some(frozen) {
            return Ok(Done::Nothing);
        }
        let subject = SubjectRef(*subject);
        if subjects::get(id, subject, connection).await?.is_none() {
            let hash = read(address_hash.as_deref())?.filter(|_| *frozen);
            return self
                .hold(id, line, subject, hash, Reason::Freeze, connection)
                .await;
        }
        let is_new = subjects::restrict(id, subject, *frozen, connection).await?;
        Ok(if is_new { Done::Frozen } else { Done::Nothing })
    }

    /// Sees to it that a person whom the database does not know is left alone, unless it knows how that person went.
    async fn hold(
        &mut self,
        id: &ControllerId,
        line: &Line,
        subject: SubjectRef,
        hash: Option<[u8; 32]>,
        reason: Reason,
        connection: &mut Connection,
    ) -> Result<Done, ReplayError> {
        let Some(hash) = hash else {
            return Ok(Done::Nothing);
        };
        let held = self.held.entry(hash).or_default();
        held.push((subject.0, reason));
        if erasures::find(id, subject, connection).await?.is_some() {
            return Ok(Done::Nothing);
        }
        erasures::suppress(id, subject, &hash, line.at, connection).await?;
        Ok(Done::Refused)
    }
}

fn read(text: Option<&str>) -> Result<Option<[u8; 32]>, ReplayError> {
    text.map(|text| hash(text).map_err(ReplayError::Malformed))
        .transpose()
}
