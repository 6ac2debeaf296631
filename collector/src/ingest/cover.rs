// SPDX-License-Identifier: GPL-3.0-or-later
//! May this hit be kept? Consent is asked again, of every recipient, as of now.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    consent::{Purpose, Rule, Standing, State, decide},
    db::recordings::Recording,
    ids::{SubjectRef, UserId},
};

use crate::metrics::Dropped;

/// What is known about a message and about those who received it.
pub(crate) struct Facts<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) standings: &'a HashMap<SubjectRef, Standing>,
    pub(crate) rule: Rule,
}

/// Decides whether a hit at a time may be kept now.
///
/// Consent must have covered it when it happened, and ever since: a hit that waited in the log is neither kept after a
/// withdrawal, though a yes followed it, nor brought in by a later grant. A freeze that was lifted meanwhile does not
/// count: what was recorded before a freeze is there again after it.
///
/// # Errors
///
/// Returns the reason why not.
pub(crate) fn check(
    facts: &Facts<'_>,
    purpose: Purpose,
    at: DateTime<Utc>,
    window: TimeDelta,
    now: DateTime<Utc>,
) -> Result<(), Dropped> {
    let recording = facts.recording;
    if !recording.is_instrumented_for(purpose) {
        return Err(Dropped::NotInstrumented);
    }
    if recording.stopped_at.is_some() {
        return Err(Dropped::Stopped);
    }
    if at > recording.sent_at + window {
        return Err(Dropped::TooLate);
    }
    let is_covered = |recipient| {
        facts.standings.get(recipient).is_some_and(|standing| {
            [at, now].into_iter().all(|when| {
                decide(standing, purpose, recording.sender, &facts.rule, when).is_allowed()
            }) && !was_taken_back(standing, purpose, recording.sender, at, now)
        })
    };
    // Of a message whose recipients were all erased nothing is kept.
    if recording.recipients.is_empty() || !recording.recipients.iter().all(is_covered) {
        return Err(Dropped::Untracked);
    }
    Ok(())
}

/// Tells whether a statement between the two moments deleted what had been recorded until then.
fn was_taken_back(
    standing: &Standing,
    purpose: Purpose,
    sender: UserId,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> bool {
    standing.events.iter().any(|event| {
        event.purpose == purpose
            && event.scope.covers(sender)
            && (event.state.is_negative() || event.state == State::Invalidated)
            && at < event.effective_at
            && event.effective_at <= now
    })
}

#[cfg(test)]
mod tests {
    use common::{
        config::Config,
        consent::{Author, Event, Profile, Scope},
        ids::ControllerId,
    };
    use uuid::Uuid;

    use super::*;

    const ANNA: SubjectRef = SubjectRef(Uuid::from_u128(1));
    const BOB: SubjectRef = SubjectRef(Uuid::from_u128(2));
    const SENDER: UserId = UserId(Uuid::from_u128(3));

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn event(seq: i64, state: State, second: i64) -> Event {
        Event {
            seq,
            purpose: Purpose::Open,
            scope: Scope::Controller,
            state,
            author: Author::Recipient,
            assurance: 2,
            effective_at: at(second),
            expires_at: None,
            profile: Profile::CURRENT,
            is_exact: true,
        }
    }

    fn check_with(
        recording: &Recording,
        standings: [(SubjectRef, Vec<Event>); 2],
        hit_at: i64,
    ) -> Result<(), Dropped> {
        let standings = standings
            .into_iter()
            .map(|(subject, events)| {
                let standing = Standing {
                    events,
                    ..Standing::default()
                };
                (subject, standing)
            })
            .collect();
        let facts = Facts {
            recording,
            standings: &standings,
            rule: Rule::of(&Config::for_testing().controllers[0]),
        };
        check(
            &facts,
            Purpose::Open,
            at(hit_at),
            TimeDelta::seconds(100),
            at(90),
        )
    }

    fn recording() -> Recording {
        Recording {
            controller: ControllerId("example".into()),
            sender: SENDER,
            sent_at: at(10),
            opens: true,
            links: false,
            stopped_at: None,
            recipients: vec![ANNA, BOB],
        }
    }

    fn granted() -> [(SubjectRef, Vec<Event>); 2] {
        [ANNA, BOB].map(|subject| (subject, vec![event(1, State::Granted, 0)]))
    }

    #[test]
    fn hit_is_kept_where_every_recipient_agreed() {
        assert_eq!(check_with(&recording(), granted(), 50), Ok(()));
    }

    #[test]
    fn one_withdrawal_ends_it_for_hits_that_came_before_too() {
        let mut standings = granted();
        standings[1].1.push(event(2, State::Withdrawn, 80));

        assert_eq!(
            check_with(&recording(), standings, 50),
            Err(Dropped::Untracked)
        );
    }

    #[test]
    fn yes_after_a_withdrawal_brings_no_hit_back() {
        for ended in [State::Denied, State::Withdrawn, State::Invalidated] {
            let mut standings = granted();
            standings[1]
                .1
                .extend([event(2, ended, 60), event(3, State::Granted, 70)]);

            let before = check_with(&recording(), standings.clone(), 50);
            let after = check_with(&recording(), standings, 75);

            assert_eq!(before, Err(Dropped::Untracked), "{ended:?}");
            assert_eq!(after, Ok(()), "{ended:?}");
        }
    }

    #[test]
    fn later_grant_brings_no_earlier_hit_in() {
        let mut standings = granted();
        standings[0].1 = vec![event(1, State::Granted, 60)];

        assert_eq!(
            check_with(&recording(), standings.clone(), 50),
            Err(Dropped::Untracked)
        );
        assert_eq!(check_with(&recording(), standings, 70), Ok(()));
    }

    #[test]
    fn erased_recipients_leave_nothing_to_record() {
        let recording = Recording {
            recipients: Vec::new(),
            ..recording()
        };

        assert_eq!(
            check_with(&recording, granted(), 50),
            Err(Dropped::Untracked)
        );
    }

    #[test]
    fn stopped_late_and_uninstrumented_messages_are_told_apart() {
        let stopped = Recording {
            stopped_at: Some(at(40)),
            ..recording()
        };
        let plain = Recording {
            opens: false,
            ..recording()
        };

        assert_eq!(check_with(&stopped, granted(), 50), Err(Dropped::Stopped));
        assert_eq!(
            check_with(&plain, granted(), 50),
            Err(Dropped::NotInstrumented)
        );
        assert_eq!(
            check_with(&recording(), granted(), 111),
            Err(Dropped::TooLate)
        );
    }
}
