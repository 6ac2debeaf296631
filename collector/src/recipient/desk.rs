// SPDX-License-Identifier: GPL-3.0-or-later
//! Mails links to recipients, in the background and within limits, so that neither the answer nor its timing tells
//! whether an address is known, and nobody can be flooded.
//!
//! Three an hour for one address and 300 an hour for all are counted in the database, exactly, whatever the number of
//! collectors; before that, each process lets through a burst of 20 and one a minute from one network, a burst of 60 and
//! one a second from all, and works on eight at a time. What exceeds a limit is dropped without a word.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use actix_web::HttpRequest;

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    address::Address,
    config::Controller,
    db::{DbError, QueryError, Transactions, recipient_links, subjects},
    ids::{ControllerId, SubjectRef, UserId},
    language::Language,
};
use tokio::sync::Semaphore;

use super::{
    mailed::Secret,
    networks::{Bucket, Networks, Rate},
    words::{Words, fill},
};
use crate::{
    mail::{MailError, Outgoing},
    state::State,
    tracking::client,
};

/// How long a link works.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(30);

const AT_A_TIME: u32 = 8;
const OF_ALL: Rate = Rate {
    burst: 60.0,
    per_second: 1.0,
};
const OF_A_NETWORK: Rate = Rate {
    burst: 20.0,
    per_second: 1.0 / 60.0,
};
const PER_ADDRESS_AND_HOUR: i64 = 3;
const PER_HOUR: i64 = 300;

/// Takes orders for links.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

/// Who is to get a link.
#[derive(Clone)]
pub enum Whom {
    /// Whoever reads this address, known or not.
    Address(Address),
    /// Somebody whose address we have, and the page must not show.
    Subject(SubjectRef),
}

/// An order for a link.
#[derive(Clone)]
pub struct Order {
    pub controller: ControllerId,
    pub whom: Whom,
    pub language: Language,
    /// The sender whose mail led here.
    pub sender: Option<UserId>,
}

struct Inner {
    bucket: Mutex<Bucket>,
    networks: Networks,
    work: Arc<Semaphore>,
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error("the database refused")]
    Query(#[from] QueryError),
    #[error("no random numbers from the operating system")]
    Random,
}

impl Default for Desk {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            inner: Arc::new(Inner {
                bucket: Mutex::new(Bucket::full(OF_ALL, now)),
                networks: Networks::new(OF_A_NETWORK, now),
                work: Arc::new(Semaphore::new(AT_A_TIME as usize)),
            }),
        }
    }
}

impl Desk {
    /// Takes an order and returns at once; what comes of it is not told. `from` is the address that asks, if known.
    pub fn take(&self, order: Order, from: Option<IpAddr>, state: &State, now: DateTime<Utc>) {
        if !self.lets_through(from, Instant::now()) {
            tracing::warn!("too many requests for links; some are dropped");
            return;
        }
        let Ok(permit) = Arc::clone(&self.inner.work).try_acquire_owned() else {
            tracing::warn!("too many requests for links at a time; some are dropped");
            return;
        };
        let state = state.clone();
        tokio::spawn(async move {
            match fulfil(&order, &state, now).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a link was not mailed"
                    );
                }
            }
            drop(permit);
        });
    }

    /// Sends a mail in the background, to somebody who has just acted.
    pub fn post(&self, outgoing: Outgoing, state: &State) {
        let Ok(permit) = Arc::clone(&self.inner.work).try_acquire_owned() else {
            tracing::warn!("too much mail at a time; a receipt was not mailed");
            return;
        };
        let mailer = state.mailer.clone();
        tokio::spawn(async move {
            if let Err(error) = mailer.send(outgoing).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a receipt was not mailed"
                );
            }
            drop(permit);
        });
    }

    /// Waits until every order taken so far is done: for the end of the program, and for tests.
    pub async fn finish(&self) {
        let _all = self.inner.work.acquire_many(AT_A_TIME).await;
    }

    /// First the network's limit, so that one that asks too often takes nothing from the others.
    fn lets_through(&self, from: Option<IpAddr>, now: Instant) -> bool {
        let networks = &self.inner.networks;
        if from.is_some_and(|from| !networks.lets_through(from, OF_A_NETWORK, now)) {
            return false;
        }
        self.inner
            .bucket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(OF_ALL, now)
    }
}

/// Returns the address that a request comes from, for [`Desk::take`]. That of a trusted proxy says nothing about who asks.
pub fn asker(request: &HttpRequest, state: &State) -> Option<IpAddr> {
    let trusted = &state.config.collector.trusted_proxies;
    client::address(request.head(), trusted)
        .filter(|address| !trusted.iter().any(|net| net.contains(address)))
}

async fn fulfil(order: &Order, state: &State, now: DateTime<Utc>) -> Result<(), LinkError> {
    let Some(controller) = state.config.controller(&order.controller) else {
        return Ok(());
    };
    let secret = Secret::random().ok_or(LinkError::Random)?;
    let Some(address) = write_down(order, &secret, state, now).await? else {
        return Ok(());
    };
    let outgoing = letter(controller, &address, &secret, order.language);
    state.mailer.send(outgoing).await?;
    Ok(())
}

/// Keeps the link, and returns the address to which it goes; `None` if a limit is reached.
async fn write_down(
    order: &Order,
    secret: &Secret,
    state: &State,
    now: DateTime<Utc>,
) -> Result<Option<Address>, LinkError> {
    let mut connection = state.db.get().await?;
    let id = &order.controller;
    let token_hash = secret.hash(&state.keys);
    let address = connection
        .transaction(async |connection| {
            recipient_links::lock(id, connection).await?;
            let since = now - TimeDelta::hours(1);
            if recipient_links::asked_for_since(id, None, since, connection).await? >= PER_HOUR {
                return Ok(None);
            }
            let (subject, address) = match &order.whom {
                Whom::Address(address) => {
                    let one = std::slice::from_ref(address);
                    let found = subjects::find_or_create(id, one, connection).await?;
                    let Some(subject) = found.first().copied() else {
                        return Ok(None);
                    };
                    (subject, address.clone())
                }
                Whom::Subject(subject) => match subjects::get(id, *subject, connection).await? {
                    Some((address, _)) => (*subject, address),
                    None => return Ok(None),
                },
            };
            let asked = recipient_links::asked_for_since(id, Some(subject), since, connection);
            if asked.await? >= PER_ADDRESS_AND_HOUR {
                return Ok(None);
            }
            let link = recipient_links::Link {
                controller_id: id.as_str().to_owned(),
                token_hash: token_hash.clone(),
                subject_ref: subject.0,
                scope_user: order.sender.map(|user| user.0),
                request_id: None,
                created_at: now,
                expires_at: now + LIFETIME,
                used_at: None,
            };
            recipient_links::create(&link, connection).await?;
            Ok::<_, QueryError>(Some(address))
        })
        .await?;
    Ok(address)
}

fn letter(
    controller: &Controller,
    address: &Address,
    secret: &Secret,
    language: Language,
) -> Outgoing {
    let words = Words::of(language);
    let url = format!(
        "{}/c/mine/{}?lang={}",
        controller.base_url(),
        secret.text(),
        language.code()
    );
    let places = [
        ("controller", controller.name.as_str()),
        ("postal", &controller.address),
        ("contact", &controller.contact),
        ("url", &url),
    ];
    Outgoing {
        to: address.as_str().to_owned(),
        subject: fill(words.mail_link_subject, &places),
        text: fill(words.mail_link, &places),
        html: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How long the burst takes to come back.
    const REFILL: Duration = Duration::from_secs(60);

    #[test]
    fn burst_is_let_through_and_then_one_a_second() {
        let desk = Desk::default();
        let start = Instant::now();

        let through = |from: Option<IpAddr>, at: Instant| {
            (0..10_000).filter(|_| desk.lets_through(from, at)).count()
        };

        let one_network = through("192.0.2.1".parse().ok(), start);
        let burst = one_network + through(None, start);
        let later = through(None, start + Duration::from_secs(3));
        let rested = through(None, start + Duration::from_secs(3) + REFILL);

        assert_eq!(one_network, 20);
        assert_eq!((burst, later, rested), (60, 3, 60));
    }
}
