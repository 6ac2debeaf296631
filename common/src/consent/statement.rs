// SPDX-License-Identifier: GPL-3.0-or-later
//! A statement: what is about to be written into the log, and whether it may be.
//!
//! Recipients outrank everyone: nobody else's yes, and no request, is taken down over their no. Pure.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Author, Profile, Purpose, Scope, Standing, State, chain::Hash};
use crate::{address::Address, ids::SubjectRef, language::Language};

/// How a statement was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    Api,
    Cli,
    Import,
    /// A link mailed to the address.
    MailedLink,
    /// A POST by a program on behalf of the person (RFC 8058 shows the manner).
    OneClick,
    /// The page that the link in a message leads to.
    Page,
    /// A mail that asks.
    RequestMail,
    Timer,
}

/// What is about to be written down.
#[derive(Clone, Debug)]
pub struct Statement {
    pub subject: SubjectRef,
    pub purpose: Purpose,
    pub scope: Scope,
    pub state: State,
    pub author: Author,
    pub expires_at: Option<DateTime<Utc>>,
    pub profile: Profile,
    /// The text that the person saw, by its hash in `notices`.
    pub notice: Option<Hash>,
    pub language: Option<Language>,
    pub method: Method,
    /// What supports it; personal, so it is kept beside the chain.
    pub evidence: Value,
}

/// Why a statement may not be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Inadmissible {
    #[error("nobody is stored under that name any more")]
    Erased,
    #[error("the recipient has said no, and only the recipient can change that")]
    Refused,
    #[error("the recipient has asked that nothing be recorded for now")]
    Restricted,
    #[error("the recipient has asked never to be asked or observed again")]
    Suppressed,
}

impl Method {
    /// Returns the word in the database.
    pub fn code(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Cli => "cli",
            Self::Import => "import",
            Self::MailedLink => "mailed-link",
            Self::OneClick => "one-click",
            Self::Page => "page",
            Self::RequestMail => "request-mail",
            Self::Timer => "timer",
        }
    }
}

/// Tells whether a statement may be written, given what the recipient said before.
///
/// A no may always be written, by whomever; so may everything that the recipient says, and everything that ends a
/// grant. Another's yes or question may not be written where any no of that recipient touches its scope, unless, for a
/// question, the recipient's own later yes lifted that no.
///
/// # Errors
///
/// Says why not.
pub fn admit(standing: &Standing, statement: &Statement) -> Result<(), Inadmissible> {
    let is_another = statement.author != Author::Recipient;
    let is_asking = statement.state == State::Requested;
    if !is_another || !(is_asking || statement.state == State::Granted) {
        return Ok(());
    }
    if standing.is_suppressed {
        return Err(Inadmissible::Suppressed);
    }
    if standing.is_restricted {
        return Err(Inadmissible::Restricted);
    }
    let (purpose, scope) = (statement.purpose, statement.scope);
    let mut negatives = standing.events.iter().filter(|event| {
        event.purpose == purpose
            && event.state.is_negative()
            && (event.scope.is_within(scope) || scope.is_within(event.scope))
    });
    let is_lifted = |seq: i64, refused: Scope| {
        standing.events.iter().any(|grant| {
            grant.purpose == purpose
                && grant.state == State::Granted
                && grant.author == Author::Recipient
                && grant.is_exact
                && grant.seq > seq
                && grant.scope.is_within(refused)
                && scope.is_within(grant.scope)
        })
    };
    if negatives.any(|no| !(is_asking && is_lifted(no.seq, no.scope))) {
        Err(Inadmissible::Refused)
    } else {
        Ok(())
    }
}

/// Returns what a no is to be written down as: a withdrawal where something had been allowed, else a denial.
///
/// Returns `None` where the same no stands already and nothing was allowed since: saying it twice makes one event.
pub fn refusal(standing: &Standing, purpose: Purpose, scope: Scope) -> Option<State> {
    let mut own = standing
        .events
        .iter()
        .filter(|event| event.is_exact && event.purpose == purpose);
    let last_grant = own
        .clone()
        .filter(|event| {
            event.state == State::Granted
                && (event.scope.is_within(scope) || scope.is_within(event.scope))
        })
        .map(|event| event.seq)
        .max();
    let stands = own.any(|event| {
        event.state.is_negative()
            && scope.is_within(event.scope)
            && last_grant.is_none_or(|granted| granted < event.seq)
    });
    match (stands, last_grant) {
        (true, _) => None,
        (false, Some(_)) => Some(State::Withdrawn),
        (false, None) => Some(State::Denied),
    }
}

/// Tells whether an address belongs to an office rather than a person (RFC 2142 and the habits of four languages): no
/// one else can say yes for whoever reads it, and nobody is asked.
pub fn is_role(address: &Address) -> bool {
    let local = address.local();
    let local = local.split('+').next().unwrap_or(local);
    ROLES.split(' ').any(|role| role == local)
}

/// Tells whether an address looks like that of a mailing list or a group: one person cannot consent for its members.
pub fn is_list(address: &Address) -> bool {
    let (local, domain) = (address.local(), address.domain());
    let local = local.split('+').next().unwrap_or(local);
    local.starts_with("owner-")
        || [
            "-request",
            "-bounces",
            "-owner",
            "-subscribe",
            "-unsubscribe",
            "-list",
        ]
        .iter()
        .any(|ending| local.ends_with(ending))
        || ["lists.", "list.", "groups.", "listserv.", "mailman."]
            .iter()
            .any(|beginning| domain.starts_with(beginning))
        || domain == "googlegroups.com"
        || domain.ends_with(".groups.io")
        || domain == "groups.io"
}

const ROLES: &str = "\
    abuse accounting accounts accueil admin administration administrator all alle bestellung bewerbung \
    billing biuro bok bounce bounces buchhaltung careers commercial compta comptabilite contact \
    customerservice datenschutz dpo einkauf everyone faktury feedback finance ftp hello help helpdesk \
    hostmaster hr info iod it jobs kadry kontakt ksiegowosc legal mailer-daemon marketing news no-reply \
    noc noreply office poczta postmaster presse privacy rechnung rodo root sales security sekretariat \
    service serwis sklep support team vertrieb webmaster wszyscy";

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{consent::Event, ids::UserId};

    const ANNA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));

    fn statement(state: State, scope: Scope, author: Author) -> Statement {
        Statement {
            subject: SubjectRef(Uuid::nil()),
            purpose: Purpose::Open,
            scope,
            state,
            author,
            expires_at: None,
            profile: Profile::CURRENT,
            notice: None,
            language: None,
            method: Method::Cli,
            evidence: Value::Null,
        }
    }

    fn said(seq: i64, state: State, scope: Scope) -> Event {
        Event {
            seq,
            purpose: Purpose::Open,
            scope,
            state,
            author: Author::Recipient,
            assurance: 2,
            effective_at: DateTime::UNIX_EPOCH,
            expires_at: None,
            profile: Profile::CURRENT,
            is_exact: true,
        }
    }

    fn after(events: Vec<Event>) -> Standing {
        Standing {
            events,
            ..Standing::default()
        }
    }

    /// C67, and the last but one row of the table of transitions.
    #[test]
    fn nobody_elses_yes_is_written_over_a_refusal() {
        let refused = after(vec![said(1, State::Denied, Scope::Sender(ANNA))]);

        for author in [Author::Admin, Author::Import, Author::Sender] {
            for scope in [Scope::Sender(ANNA), Scope::Controller] {
                assert_eq!(
                    admit(&refused, &statement(State::Granted, scope, author)),
                    Err(Inadmissible::Refused)
                );
            }
            let elsewhere = statement(State::Granted, Scope::Sender(BOB), author);
            assert_eq!(admit(&refused, &elsewhere), Ok(()));
        }
    }

    #[test]
    fn recipient_may_always_change_their_mind() {
        let mut standing = after(vec![said(1, State::Withdrawn, Scope::Controller)]);
        standing.is_suppressed = true;
        let own = statement(State::Granted, Scope::Controller, Author::Recipient);

        assert_eq!(admit(&standing, &own), Ok(()));
    }

    /// C62: never asked again after a refusal; asked again only where the person had said yes since.
    #[test]
    fn question_after_a_refusal_needs_the_persons_own_later_yes() {
        let ask = statement(State::Requested, Scope::Sender(ANNA), Author::Sender);
        let refused = after(vec![said(1, State::Withdrawn, Scope::Controller)]);
        let lifted = after(vec![
            said(1, State::Withdrawn, Scope::Controller),
            said(2, State::Granted, Scope::Sender(ANNA)),
        ]);

        assert_eq!(admit(&refused, &ask), Err(Inadmissible::Refused));
        assert_eq!(admit(&lifted, &ask), Ok(()));
    }

    /// C70: a no by telephone or post is always taken down.
    #[test]
    fn refusal_is_taken_down_from_anyone() {
        let mut standing = after(vec![said(1, State::Granted, Scope::Controller)]);
        standing.is_restricted = true;
        let no = statement(State::Withdrawn, Scope::Controller, Author::Admin);

        assert_eq!(admit(&standing, &no), Ok(()));
    }

    #[test]
    fn suppressed_and_restricted_people_are_left_alone() {
        let ask = statement(State::Requested, Scope::Controller, Author::Sender);
        let suppressed = Standing {
            is_suppressed: true,
            ..Standing::default()
        };
        let restricted = Standing {
            is_restricted: true,
            ..Standing::default()
        };

        assert_eq!(admit(&suppressed, &ask), Err(Inadmissible::Suppressed));
        assert_eq!(admit(&restricted, &ask), Err(Inadmissible::Restricted));
    }

    #[test]
    fn same_refusal_twice_is_one_event() {
        let org = Scope::Controller;
        let said = |state, seq| said(seq, state, org);

        assert_eq!(
            refusal(&after(vec![]), Purpose::Open, org),
            Some(State::Denied)
        );
        assert_eq!(
            refusal(&after(vec![said(State::Granted, 1)]), Purpose::Open, org),
            Some(State::Withdrawn)
        );
        let withdrawn = vec![said(State::Granted, 1), said(State::Withdrawn, 2)];
        assert_eq!(refusal(&after(withdrawn.clone()), Purpose::Open, org), None);
        assert_eq!(
            refusal(
                &after(withdrawn.clone()),
                Purpose::Open,
                Scope::Sender(ANNA)
            ),
            None
        );
        let again = [withdrawn, vec![said(State::Granted, 3)]].concat();
        assert_eq!(
            refusal(&after(again), Purpose::Open, org),
            Some(State::Withdrawn)
        );
    }

    /// C15, C16.
    #[test]
    fn offices_and_lists_are_known_by_their_addresses() {
        let parse = |text| Address::parse(text).unwrap();

        for role in ["info@a.example", "Biuro+x@a.example", "noreply@a.example"] {
            assert!(is_role(&parse(role)), "{role}");
        }
        for list in [
            "dev-request@a.example",
            "owner-dev@a.example",
            "x@lists.a.example",
            "x@googlegroups.com",
        ] {
            assert!(is_list(&parse(list)), "{list}");
        }
        for person in ["anna@a.example", "infos@a.example", "x@blists.example"] {
            assert!(
                !is_role(&parse(person)) && !is_list(&parse(person)),
                "{person}"
            );
        }
    }
}
