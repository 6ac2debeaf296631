// SPDX-License-Identifier: GPL-3.0-or-later
//! A look at one message: its hits before and after they were judged again, and what that changes.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use common::{
    consent::Purpose,
    db::{
        counters::{Difference, Gain},
        settlements::Claim,
        verdicts::Judged,
    },
};

use super::judge::{is_machine, is_person, is_settled, is_unclear};

/// A message that is being settled.
pub(super) struct Look {
    pub(super) claim: Claim,
    /// Hits up to this moment are settled afterwards, those aside that are marked otherwise.
    pub(super) until: Option<DateTime<Utc>>,
    /// The hits of late, in the order of time.
    pub(super) before: Vec<Judged>,
    /// The same hits, judged again.
    pub(super) after: Vec<Judged>,
}

/// What a look changes in the counters.
#[derive(Debug, PartialEq)]
pub(super) struct Sum {
    /// Nothing where the message loses something: then it is counted anew.
    pub(super) gain: Gain,
    pub(super) has_losses: bool,
    /// What each hour gains or loses.
    pub(super) hours: BTreeMap<DateTime<Utc>, Difference>,
}

impl Look {
    /// Pairs the hits before and after.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Judged, &Judged)> {
        self.before.iter().zip(&self.after)
    }

    /// Returns the hits that are to be written.
    pub(super) fn changed(&self) -> impl Iterator<Item = &Judged> {
        self.pairs()
            .filter(|(old, new)| old != new)
            .map(|(_, new)| new)
    }

    /// Tells whether the verdict on a hit had been settled before.
    pub(super) fn was_settled(&self, before: &Judged) -> bool {
        is_settled(before, self.claim.settled_until)
    }

    /// Tells whether the verdict on a hit is settled now.
    pub(super) fn is_settled(&self, after: &Judged) -> bool {
        is_settled(after, self.until)
    }

    /// Returns the classes of the hits that this look settles.
    pub(super) fn newly_settled(&self) -> impl Iterator<Item = String> {
        self.pairs()
            .filter(|(old, new)| !self.was_settled(old) && self.is_settled(new))
            .map(|(_, new)| new.class.clone())
    }

    /// Sums up what changes.
    pub(super) fn sum(&self) -> Sum {
        let mut sum = Sum {
            gain: Gain {
                message: self.claim.message,
                until: self.until.unwrap_or_default(),
                opens: 0,
                clicks: 0,
                automatic: 0,
                unclear_opens: 0,
                unclear_clicks: 0,
                opened: None,
                clicked: None,
            },
            has_losses: false,
            hours: BTreeMap::new(),
        };
        for (old, new) in self.pairs() {
            let lost = contribution(old, self.was_settled(old));
            let gained = contribution(new, self.is_settled(new));
            if lost == gained {
                continue;
            }
            sum.has_losses |= lost != Contribution::default();
            let hour = new.at.duration_trunc(TimeDelta::hours(1)).unwrap_or(new.at);
            let total = sum.hours.entry(hour).or_default();
            total.opens += gained.shown.opens - lost.shown.opens;
            total.clicks += gained.shown.clicks - lost.shown.clicks;
            total.automatic += gained.shown.automatic - lost.shown.automatic;
            sum.gain.opens += gained.shown.opens;
            sum.gain.clicks += gained.shown.clicks;
            sum.gain.automatic += gained.shown.automatic;
            sum.gain.unclear_opens += gained.unclear_opens;
            sum.gain.unclear_clicks += gained.unclear_clicks;
            // In the order of time.
            if gained.shown.opens > 0 {
                let first = sum.gain.opened.map_or(new.at, |(first, _)| first);
                sum.gain.opened = Some((first, new.at));
            }
            if gained.shown.clicks > 0 {
                let first = sum.gain.clicked.map_or(new.at, |(first, _)| first);
                sum.gain.clicked = Some((first, new.at));
            }
        }
        sum.hours
            .retain(|_, difference| *difference != Difference::default());
        if sum.has_losses {
            sum.gain = Gain {
                opens: 0,
                clicks: 0,
                automatic: 0,
                unclear_opens: 0,
                unclear_clicks: 0,
                opened: None,
                clicked: None,
                ..sum.gain
            };
        }
        sum
    }
}

/// What a hit adds to the counters.
#[derive(Default, PartialEq)]
struct Contribution {
    /// To those of its message, and of its hour in the picture.
    shown: Difference,
    /// To those of its message alone.
    unclear_opens: i32,
    unclear_clicks: i32,
}

fn contribution(hit: &Judged, is_settled: bool) -> Contribution {
    let one = |counts: bool| i32::from(is_settled && hit.duplicate_of.is_none() && counts);
    let is = |purpose: Purpose| hit.kind == purpose.code();
    Contribution {
        shown: Difference {
            opens: one(is_person(hit) && is(Purpose::Open)),
            clicks: one(is_person(hit) && is(Purpose::Click)),
            automatic: one(is_machine(hit)),
        },
        unclear_opens: one(is_unclear(hit) && is(Purpose::Open)),
        unclear_clicks: one(is_unclear(hit) && is(Purpose::Click)),
    }
}

#[cfg(test)]
mod tests {
    use common::{
        db::hits::Json,
        ids::{MessageId, UserId},
    };
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn hit(second: i64, class: &str) -> Judged {
        Judged {
            message_id: Uuid::nil(),
            at: at(second),
            id: Uuid::from_u128(second.unsigned_abs().into()),
            kind: "open".into(),
            ordinal: 0,
            features: Json("{}".into()),
            class: class.into(),
            confidence: 90,
            reasons: Vec::new(),
            rules_version: 1,
            settled: true,
            duplicate_of: None,
        }
    }

    fn look(settled: Option<i64>, until: i64, before: Vec<Judged>, after: Vec<Judged>) -> Look {
        Look {
            claim: Claim {
                message: MessageId(Uuid::nil()),
                sender: UserId(Uuid::nil()),
                sent_at: at(0),
                muted: false,
                last_open_at: None,
                last_click_at: None,
                settled_until: settled.map(at),
                exchanger: None,
            },
            until: Some(at(until)),
            before,
            after,
        }
    }

    #[test]
    fn hits_count_once_when_they_become_settled() {
        let hits = vec![hit(10, "human"), hit(20, "human"), hit(90, "human")];

        let sum = look(Some(10), 30, hits.clone(), hits).sum();

        assert_eq!((sum.gain.opens, sum.has_losses), (1, false));
        assert_eq!(sum.gain.opened, Some((at(20), at(20))));
        assert_eq!(sum.hours[&at(0)].opens, 1);
    }

    #[test]
    fn hit_of_which_it_is_not_clear_who_made_it_is_counted_on_its_message_alone() {
        let hits = vec![hit(10, "unknown")];

        let sum = look(None, 30, hits.clone(), hits.clone()).sum();
        let human = look(Some(30), 40, hits, vec![hit(10, "human")]).sum();

        assert_eq!((sum.gain.unclear_opens, sum.gain.opens), (1, 0));
        assert!(sum.hours.is_empty());
        assert!(human.has_losses);
    }

    #[test]
    fn person_who_turns_out_to_be_a_machine_is_counted_anew() {
        let before = vec![hit(10, "human")];
        let after = vec![hit(10, "security-scanner")];

        let sum = look(Some(30), 40, before, after).sum();

        assert!(sum.has_losses);
        assert_eq!((sum.gain.opens, sum.gain.automatic), (0, 0));
        assert_eq!(
            (sum.hours[&at(0)].opens, sum.hours[&at(0)].automatic),
            (-1, 1)
        );
    }

    #[test]
    fn late_hit_counts_only_when_it_was_looked_at_by_itself() {
        let late = Judged {
            settled: false,
            ..hit(10, "human")
        };

        let unseen = look(Some(30), 40, vec![late.clone()], vec![late.clone()]).sum();
        let seen = look(Some(30), 40, vec![late], vec![hit(10, "human")]).sum();

        assert_eq!((unseen.gain.opens, seen.gain.opens), (0, 1));
    }
}
