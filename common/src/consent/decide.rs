// SPDX-License-Identifier: GPL-3.0-or-later
//! The one rule: may this recipient be observed, for this purpose, by this sender, now?
//!
//! Called by the milter before it instruments and by the collector before it keeps a hit; nobody else decides. Pure:
//! the same values give the same verdict.

use chrono::{DateTime, Utc};

use super::{Author, Event, Profile, Purpose, Standing, State};
use crate::{
    config::{ConsentRule, Controller, MinAssurance},
    ids::UserId,
};

/// What the controller demands of a grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    pub consent: ConsentRule,
    pub min_assurance: MinAssurance,
    /// What is collected now.
    pub profile: Profile,
}

/// The outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    Allowed,
    Refused(Refusal),
}

/// Why not. For tests and for the recipient's own page; senders see one word for all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A denial or withdrawal covers this sender and no later grant of the recipient lifts it.
    Negative,
    /// No grant covers this sender, or none that is effective, unexpired, strong enough and wide enough.
    NoGrant,
    Restricted,
    Suppressed,
}

impl Rule {
    /// Returns the rule of a controller for what this release collects.
    pub fn of(controller: &Controller) -> Self {
        Self {
            consent: controller.consent,
            min_assurance: controller.min_assurance,
            profile: Profile::CURRENT,
        }
    }
}

impl Verdict {
    /// Tells whether the answer is yes.
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }
}

/// Decides whether a recipient may be observed for one purpose by one sender.
///
/// Yes if there is a grant that covers this sender, is effective and not expired, is strong enough and wide enough, and
/// every denial or withdrawal that covers this sender came earlier, was followed by the recipient's own act, and is not
/// narrower than that act. Where the controller needs no grant, denials and withdrawals bind all the same.
pub fn decide(
    standing: &Standing,
    purpose: Purpose,
    sender: UserId,
    rule: &Rule,
    now: DateTime<Utc>,
) -> Verdict {
    if standing.is_suppressed {
        return Verdict::Refused(Refusal::Suppressed);
    }
    if standing.is_restricted {
        return Verdict::Refused(Refusal::Restricted);
    }
    let covering: Vec<&Event> = standing
        .events
        .iter()
        .filter(|event| {
            event.purpose == purpose && event.scope.covers(sender) && event.effective_at <= now
        })
        .collect();
    let negatives: Vec<&Event> = covering
        .iter()
        .copied()
        .filter(|event| event.state.is_negative())
        .collect();
    let is_lifted_by = |grant: &Event| negatives.iter().all(|negative| lifts(grant, negative));

    let mut grants = covering
        .iter()
        .copied()
        .filter(|event| is_effective(event, &covering, rule, now))
        .peekable();
    let has_grant = grants.peek().is_some();
    let is_free = negatives.is_empty() && rule.consent == ConsentRule::NotRequired;
    if is_free || grants.any(is_lifted_by) {
        Verdict::Allowed
    } else if has_grant || !negatives.is_empty() {
        Verdict::Refused(Refusal::Negative)
    } else {
        Verdict::Refused(Refusal::NoGrant)
    }
}

fn is_effective(event: &Event, covering: &[&Event], rule: &Rule, now: DateTime<Utc>) -> bool {
    event.state == State::Granted
        && event.is_exact
        && event.expires_at.is_none_or(|end| now < end)
        && event.assurance >= least(rule.min_assurance)
        && event.profile.covers(rule.profile)
        && !covering.iter().any(|later| ends(later, event))
}

/// Tells whether a later event of the system or an administrator took the ground from under a grant.
fn ends(later: &Event, grant: &Event) -> bool {
    matches!(later.state, State::Expired | State::Invalidated)
        && later.seq > grant.seq
        && later.is_exact
        && grant.scope.is_within(later.scope)
}

fn lifts(grant: &Event, negative: &Event) -> bool {
    negative.seq < grant.seq
        && grant.author == Author::Recipient
        && grant.scope.is_within(negative.scope)
}

fn least(assurance: MinAssurance) -> u8 {
    match assurance {
        MinAssurance::Attested => 1,
        MinAssurance::Recipient => 2,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::consent::Scope;

    const ANNA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));
    const STRICT: Rule = Rule {
        consent: ConsentRule::Required,
        min_assurance: MinAssurance::Recipient,
        profile: Profile(1),
    };
    const ATTESTED: Rule = Rule {
        min_assurance: MinAssurance::Attested,
        ..STRICT
    };

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn event(seq: i64, state: State, scope: Scope, author: Author) -> Event {
        Event {
            seq,
            purpose: Purpose::Open,
            scope,
            state,
            author,
            assurance: author.assurance(),
            effective_at: at(0),
            expires_at: None,
            profile: Profile(1),
            is_exact: true,
        }
    }

    fn own(seq: i64, state: State, scope: Scope) -> Event {
        event(seq, state, scope, Author::Recipient)
    }

    fn allows(events: Vec<Event>, sender: UserId, rule: &Rule) -> bool {
        let standing = Standing {
            events,
            ..Standing::default()
        };
        decide(&standing, Purpose::Open, sender, rule, at(100)).is_allowed()
    }

    /// The truth table of the consent sheet, section 4.3, by its numbers.
    #[test]
    #[expect(clippy::too_many_lines, reason = "one row for each line of the table")]
    fn truth_table_holds() {
        use Scope::{Controller as Org, Sender};
        use State::{Denied, Granted, Requested, Withdrawn};
        let attested = |seq| event(seq, Granted, Org, Author::Sender);

        let rows = [
            ("T01", vec![], ANNA, STRICT, false),
            (
                "T02",
                vec![own(1, Requested, Sender(ANNA))],
                ANNA,
                STRICT,
                false,
            ),
            (
                "T03",
                vec![own(1, Granted, Sender(ANNA))],
                ANNA,
                STRICT,
                true,
            ),
            (
                "T04",
                vec![own(1, Granted, Sender(ANNA))],
                BOB,
                STRICT,
                false,
            ),
            ("T05", vec![own(1, Granted, Org)], BOB, STRICT, true),
            (
                "T06",
                vec![own(1, Granted, Sender(ANNA)), own(2, Withdrawn, Org)],
                ANNA,
                STRICT,
                false,
            ),
            (
                "T07",
                vec![own(1, Withdrawn, Org), own(2, Granted, Sender(ANNA))],
                ANNA,
                STRICT,
                true,
            ),
            (
                "T08",
                vec![own(1, Withdrawn, Org), own(2, Granted, Sender(ANNA))],
                BOB,
                STRICT,
                false,
            ),
            (
                "T09",
                vec![own(1, Denied, Sender(ANNA)), own(2, Granted, Org)],
                ANNA,
                STRICT,
                false,
            ),
            (
                "T10",
                vec![own(1, Denied, Sender(ANNA)), own(2, Granted, Org)],
                BOB,
                STRICT,
                true,
            ),
            ("T11", vec![attested(1)], ANNA, STRICT, false),
            ("T12", vec![attested(1)], ANNA, ATTESTED, true),
            (
                "T13",
                vec![own(1, Withdrawn, Org), attested(2)],
                ANNA,
                ATTESTED,
                false,
            ),
            (
                "T14",
                vec![Event {
                    expires_at: Some(at(50)),
                    ..own(1, Granted, Org)
                }],
                ANNA,
                STRICT,
                false,
            ),
            (
                "T15",
                vec![Event {
                    profile: Profile(0),
                    ..own(1, Granted, Org)
                }],
                ANNA,
                STRICT,
                false,
            ),
            (
                "T18",
                vec![Event {
                    effective_at: at(200),
                    ..attested(1)
                }],
                ANNA,
                ATTESTED,
                false,
            ),
        ];

        for (name, events, sender, rule, expected) in rows {
            assert_eq!(allows(events, sender, &rule), expected, "{name}");
        }
    }

    #[test]
    fn suppression_and_restriction_outrank_a_grant() {
        let granted = vec![own(1, State::Granted, Scope::Controller)];
        let suppressed = Standing {
            events: granted.clone(),
            is_suppressed: true,
            ..Standing::default()
        };
        let restricted = Standing {
            events: granted,
            is_restricted: true,
            ..Standing::default()
        };

        for (name, standing) in [("T16", suppressed), ("T17", restricted)] {
            assert!(
                !decide(&standing, Purpose::Open, ANNA, &STRICT, at(100)).is_allowed(),
                "{name}"
            );
        }
    }

    #[test]
    fn purposes_are_apart() {
        let standing = Standing {
            events: vec![own(1, State::Granted, Scope::Controller)],
            ..Standing::default()
        };

        assert!(!decide(&standing, Purpose::Click, ANNA, &STRICT, at(100)).is_allowed());
    }

    #[test]
    fn grant_counts_for_the_exact_address_and_refusal_for_the_base() {
        let granted = Event {
            is_exact: false,
            ..own(1, State::Granted, Scope::Controller)
        };
        let refused = Event {
            is_exact: false,
            ..own(2, State::Withdrawn, Scope::Controller)
        };

        assert!(!allows(vec![granted], ANNA, &STRICT));
        assert!(!allows(
            vec![own(1, State::Granted, Scope::Controller), refused],
            ANNA,
            &STRICT
        ));
    }

    #[test]
    fn invalidated_grant_allows_nothing_until_the_next() {
        let invalidated = event(2, State::Invalidated, Scope::Controller, Author::System);
        let granted = own(1, State::Granted, Scope::Controller);

        assert!(!allows(
            vec![granted.clone(), invalidated.clone()],
            ANNA,
            &STRICT
        ));
        assert!(allows(
            vec![
                granted,
                invalidated,
                own(3, State::Granted, Scope::Controller)
            ],
            ANNA,
            &STRICT
        ));
    }

    #[test]
    fn refusals_bind_where_no_consent_is_required() {
        let free = Rule {
            consent: ConsentRule::NotRequired,
            ..STRICT
        };

        assert!(allows(vec![], ANNA, &free));
        assert!(!allows(
            vec![own(1, State::Withdrawn, Scope::Controller)],
            ANNA,
            &free
        ));
        assert!(allows(
            vec![
                own(1, State::Withdrawn, Scope::Controller),
                own(2, State::Granted, Scope::Controller)
            ],
            ANNA,
            &free
        ));
    }

    /// The two properties of the consent sheet, over every history of up to three events.
    #[test]
    fn no_history_lets_a_refusal_be_overruled() {
        use State::{Denied, Granted, Withdrawn};
        let scopes = [Scope::Controller, Scope::Sender(ANNA), Scope::Sender(BOB)];
        let mut pool = Vec::new();
        for state in [Granted, Denied, Withdrawn] {
            for scope in scopes {
                for author in [Author::Recipient, Author::Admin] {
                    pool.push(event(0, state, scope, author));
                }
            }
        }
        let mut histories: Vec<Vec<Event>> = vec![vec![]];
        let mut grown: Vec<Vec<Event>> = vec![vec![]];
        for seq in 1..=3 {
            grown = grown
                .iter()
                .flat_map(|history| {
                    pool.iter().map(move |event| {
                        let mut longer = history.clone();
                        longer.push(Event {
                            seq,
                            ..event.clone()
                        });
                        longer
                    })
                })
                .collect();
            histories.extend(grown.iter().cloned());
        }

        for history in histories {
            for sender in [ANNA, BOB] {
                let before = allows(history.clone(), sender, &ATTESTED);
                for state in [Denied, Withdrawn] {
                    for scope in [Scope::Controller, Scope::Sender(sender)] {
                        let mut refused = history.clone();
                        refused.push(own(99, state, scope));
                        assert!(!allows(refused, sender, &ATTESTED), "{history:?}");
                    }
                }
                let was_refused = history.iter().any(|e| {
                    e.state.is_negative() && e.author == Author::Recipient && e.scope.covers(sender)
                });
                if was_refused && !before {
                    let mut attested = history.clone();
                    attested.push(event(99, Granted, Scope::Controller, Author::Admin));
                    assert!(!allows(attested, sender, &ATTESTED), "{history:?}");
                }
            }
        }
    }
}
