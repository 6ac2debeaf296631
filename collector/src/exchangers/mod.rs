// SPDX-License-Identifier: GPL-3.0-or-later
//! Who takes the mail of a domain: a hint whether a filter looked into a message before its reader could.
//!
//! A name server is asked when a message was hit soon after it was sent, where the hint matters; no answer waits for it.
//! What cannot be found out is nobody in particular: then a rule does not fit that might have.

mod question;

use std::{
    collections::HashMap,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use common::config::NameServer;
use tokio::{net::UdpSocket, sync::Semaphore};

use crate::classify::MailExchanger;

/// Domains that are remembered at most; then all are forgotten.
const MOST: usize = 10_000;
/// Questions that are on their way at the same time. What is more is not asked.
const MOST_QUESTIONS: usize = 32;
const PATIENCE: Duration = Duration::from_secs(3);
const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// After a failure it is asked again sooner.
const FAILURE_REMEMBERED: TimeDelta = TimeDelta::minutes(10);
/// The largest answer without an extension of the protocol that we do not ask for.
const LARGEST: usize = 512;

/// Asks, and remembers; cheap to clone.
#[derive(Clone)]
pub struct Exchangers {
    server: Option<SocketAddr>,
    known: Arc<Mutex<HashMap<String, Known>>>,
    questions: Arc<Semaphore>,
}

/// What is known about a domain.
#[derive(Clone, Copy)]
enum Known {
    Asked,
    Until(DateTime<Utc>, MailExchanger),
}

/// What can be said about a domain now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Said {
    /// The question is on its way.
    Asked,
    Known(MailExchanger),
}

impl Exchangers {
    /// Makes one that asks a name server, if there is any.
    pub fn new(server: NameServer) -> Self {
        Self {
            server: match server {
                NameServer::At(address) => Some(address),
                NameServer::None => None,
                NameServer::System => of_the_host(),
            },
            known: Arc::default(),
            questions: Arc::new(Semaphore::new(MOST_QUESTIONS)),
        }
    }

    /// Says who takes a domain's mail, or begins to ask; never waits.
    pub(crate) fn of(&self, domain: &str, now: DateTime<Utc>) -> Said {
        let unknown = Said::Known(MailExchanger::Other);
        let Some(server) = self.server else {
            return unknown;
        };
        match self.known().get(domain) {
            Some(Known::Asked) => return Said::Asked,
            Some(Known::Until(until, exchanger)) if now < *until => {
                return Said::Known(*exchanger);
            }
            _ => {}
        }
        let Ok(permit) = Arc::clone(&self.questions).try_acquire_owned() else {
            return unknown;
        };
        self.remember(domain, Known::Asked);
        let (this, domain) = (self.clone(), domain.to_owned());
        tokio::spawn(async move {
            let answer = tokio::time::timeout(PATIENCE, ask(server, &domain)).await;
            let known = match answer {
                Ok(Ok(host)) => Known::Until(now + REMEMBERED, MailExchanger::of_host(&host)),
                Ok(Err(_)) | Err(_) => {
                    tracing::debug!("a name server did not say who takes a domain's mail");
                    Known::Until(now + FAILURE_REMEMBERED, MailExchanger::Other)
                }
            };
            this.remember(&domain, known);
            drop(permit);
        });
        Said::Asked
    }

    fn remember(&self, domain: &str, what: Known) {
        let mut known = self.known();
        if known.len() >= MOST && !known.contains_key(domain) {
            known.clear();
        }
        known.insert(domain.to_owned(), what);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the first name server that the host uses, as the C library reads it.
fn of_the_host() -> Option<SocketAddr> {
    let text = fs::read_to_string("/etc/resolv.conf").ok()?;
    first_server(&text)
}

fn first_server(text: &str) -> Option<SocketAddr> {
    const PORT: u16 = 53;
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let address: IpAddr = match words.next() {
            Some("nameserver") => words.next()?.parse().ok()?,
            _ => return None,
        };
        Some(SocketAddr::from((address, PORT)))
    })
}

/// Asks which host takes a domain's mail.
///
/// The port and the number of the question are random, and only the server's own answers are looked at, so that nobody
/// else can answer in its place without guessing both.
async fn ask(server: SocketAddr, domain: &str) -> io::Result<String> {
    let mut number = [0; 2];
    getrandom::fill(&mut number).map_err(io::Error::other)?;
    let question =
        question::write(u16::from_be_bytes(number), domain).ok_or(io::ErrorKind::InvalidInput)?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    loop {
        let mut answer = [0; LARGEST];
        let length = socket.recv(&mut answer).await?;
        let answer = answer.get(..length).unwrap_or_default();
        if question::is_answer(&question, answer) {
            return question::read(&question, answer)
                .ok_or_else(|| io::ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_name_server_of_the_host_is_asked() {
        let text =
            "# nameserver 192.0.2.1\nsearch example\nnameserver 192.0.2.53\nnameserver ::1\n";

        assert_eq!(first_server(text), "192.0.2.53:53".parse().ok());
        assert_eq!(first_server("options edns0\nnameserver nonsense\n"), None);
    }

    #[tokio::test]
    async fn without_a_name_server_nothing_is_asked() {
        let exchangers = Exchangers::new(NameServer::None);

        let said = exchangers.of("example.com", Utc::now());

        assert_eq!(said, Said::Known(MailExchanger::Other));
    }

    #[tokio::test]
    async fn server_that_is_not_there_is_asked_once_in_a_while() {
        // Nobody listens where this socket did.
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let exchangers = Exchangers::new(NameServer::At(address));
        let now = Utc::now();

        let first = exchangers.of("example.com", now);
        while exchangers.of("example.com", now) == Said::Asked {
            tokio::task::yield_now().await;
        }

        let unknown = Said::Known(MailExchanger::Other);
        assert_eq!(first, Said::Asked);
        assert_eq!(exchangers.of("example.com", now), unknown);
        let later = now + FAILURE_REMEMBERED;
        assert_eq!(exchangers.of("example.com", later), Said::Asked);
    }
}
