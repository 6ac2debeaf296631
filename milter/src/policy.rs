// SPDX-License-Identifier: GPL-3.0-or-later
//! The decision: may this message be instrumented, and for what?
//!
//! Pure: the user's settings, what the author says in the message, the controller's ceilings, what kind of message it
//! is, who receives it, and whether each of them consents, in this order. The first no decides. No wish of an author
//! passes a ceiling or a missing consent.

use std::fmt::{self, Display, Formatter};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use common::{
    address::Address,
    config::{ConsentRule, Controller, MultiRecipient, Users},
    consent::{self, Purpose, Rule, Standing},
    db::users::User,
    ids::UserId,
    reason::SkipReason,
};

use crate::control::{Choice, Links};

/// Everything the decision looks at.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub controller: &'a Controller,
    pub users: Users,
    /// `None` for a login that has no row: everything is off.
    pub user: Option<&'a User>,
    pub choice: &'a Choice,
    /// Why this kind of message is never instrumented, if so.
    pub obstacle: Option<SkipReason>,
    /// Each once, without control addresses; `None` is what is no mailbox address.
    pub recipients: &'a [Option<Address>],
    /// One for each recipient that is an address; looked at only if nothing else says no.
    pub standings: &'a [Standing],
    pub splitting: Splitting,
}

/// Whether a message to several recipients can be split now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Splitting {
    Impossible,
    Possible,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    Instrument(Purposes),
    Skip(SkipReason),
    /// Each recipient gets a message of their own. One lot for each, in their order; at least one is to be instrumented.
    Split(Vec<Lot>),
}

/// What a recipient's own message may become.
pub type Lot = Result<Purposes, SkipReason>;

/// What a message is instrumented for; at least one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Purposes {
    pub opens: bool,
    pub links: Links,
}

/// Decides.
pub fn decide(case: &Case<'_>, now: DateTime<Utc>) -> Decision {
    match before_consent(case) {
        Ok(purposes) if is_to_be_split(case) => {
            let lots = lots(purposes, case, now);
            if lots.iter().any(Result::is_ok) {
                Decision::Split(lots)
            } else {
                let first = lots.into_iter().find_map(Result::err);
                Decision::Skip(first.unwrap_or(SkipReason::Untracked))
            }
        }
        Ok(purposes) => {
            let purposes = consented(purposes, case, now);
            if purposes.is_none() {
                Decision::Skip(SkipReason::Untracked)
            } else {
                Decision::Instrument(purposes)
            }
        }
        Err(reason) => Decision::Skip(reason),
    }
}

/// Tells whether an untracked message may invite its one recipient to choose: somebody of whom nothing is known yet, who
/// could be asked by mail too.
pub fn invites(case: &Case<'_>) -> bool {
    let controller = case.controller;
    let ([Some(recipient)], [standing]) = (case.recipients, case.standings) else {
        return false;
    };
    controller.invite
        && controller.consent == ConsentRule::Required
        && before_consent(case).is_ok()
        && *standing == Standing::default()
        && !controller.owns(recipient.domain())
        && !consent::is_role(recipient)
        && !consent::is_list(recipient)
}

/// Tells whether the decision depends on consent, so that it must be looked up.
pub fn depends_on_consent(case: &Case<'_>) -> bool {
    before_consent(case).is_ok()
}

/// Tells whether the message is one of a user who has tracking on, or says something about it: such messages are
/// written down, instrumented or not.
pub fn is_of_interest(case: &Case<'_>) -> bool {
    is_entitled(case) && (!defaults(case.user).is_none() || is_made(case.choice))
}

fn before_consent(case: &Case<'_>) -> Result<Purposes, SkipReason> {
    if !is_entitled(case) {
        return Err(SkipReason::NoUser);
    }
    let wish = wish(case)?;
    let purposes = Purposes {
        opens: wish.opens && case.controller.opens,
        links: wish.links.within(Links::from_settings(
            case.controller.links,
            case.controller.text_links,
        )),
    };
    if purposes.is_none() {
        return Err(SkipReason::Ceiling);
    }
    if let Some(obstacle) = case.obstacle {
        return Err(obstacle);
    }
    check_recipients(case)?;
    Ok(purposes)
}

fn is_entitled(case: &Case<'_>) -> bool {
    match case.user {
        Some(user) => user.enabled,
        None => case.users == Users::All,
    }
}

/// What the author wants: the settings, with what the message says instead.
fn wish(case: &Case<'_>) -> Result<Purposes, SkipReason> {
    let defaults = defaults(case.user);
    let wish = Purposes {
        opens: case.choice.opens.unwrap_or(defaults.opens),
        links: case.choice.links.map_or(defaults.links, |choice| {
            choice.resolve(case.user.is_some_and(|user| user.text_links))
        }),
    };
    if !wish.is_none() {
        Ok(wish)
    } else if is_made(case.choice) {
        Err(SkipReason::Control)
    } else {
        Err(SkipReason::Off)
    }
}

/// Tells whether the author says anything about this message.
pub fn is_made(choice: &Choice) -> bool {
    choice.opens.is_some() || choice.links.is_some()
}

fn defaults(user: Option<&User>) -> Purposes {
    user.map_or_else(Purposes::default, |user| Purposes {
        opens: user.opens,
        links: Links::from_settings(user.links, user.text_links),
    })
}

/// Tells whether each recipient is to get a message of their own.
fn is_to_be_split(case: &Case<'_>) -> bool {
    case.recipients.len() > 1
        && case.controller.multi_recipient == MultiRecipient::Split
        && case.splitting == Splitting::Possible
}

fn check_recipients(case: &Case<'_>) -> Result<(), SkipReason> {
    if is_to_be_split(case) {
        let mut checks = case
            .recipients
            .iter()
            .flatten()
            .map(|recipient| check_recipient(recipient, case.controller));
        // One is enough.
        return match checks.next() {
            None => Err(SkipReason::Untracked),
            Some(first) => checks.fold(first, Result::or),
        };
    }
    let known = || case.recipients.iter().flatten();
    if known().any(|recipient| is_internal(recipient, case.controller)) {
        return Err(SkipReason::Internal);
    }
    if known().any(|recipient| is_excluded(recipient, case.controller)) {
        return Err(SkipReason::Excluded);
    }
    if known().any(consent::is_list) {
        // One person can agree, or be silent, for none of the readers: also where no consent is required.
        return Err(SkipReason::List);
    }
    if case.recipients.len() > 1 && case.controller.multi_recipient != MultiRecipient::All {
        return Err(SkipReason::SeveralRecipients);
    }
    if case.recipients.is_empty() || case.recipients.contains(&None) {
        // Nobody can have consented, or refused, in the name of what is no address.
        return Err(SkipReason::Untracked);
    }
    Ok(())
}

fn check_recipient(recipient: &Address, controller: &Controller) -> Result<(), SkipReason> {
    if is_internal(recipient, controller) {
        Err(SkipReason::Internal)
    } else if is_excluded(recipient, controller) {
        Err(SkipReason::Excluded)
    } else if consent::is_list(recipient) {
        Err(SkipReason::List)
    } else {
        Ok(())
    }
}

fn is_internal(recipient: &Address, controller: &Controller) -> bool {
    !controller.internal && controller.owns(recipient.domain())
}

fn is_excluded(recipient: &Address, controller: &Controller) -> bool {
    let mut entries = controller.exclude_recipients.iter();
    entries.any(|entry| recipient.matches(entry))
}

/// Tells whether a recipient may be observed for a purpose by the author of the message.
pub fn allows(standing: &Standing, purpose: Purpose, case: &Case<'_>, now: DateTime<Utc>) -> bool {
    let rule = Rule::of(case.controller);
    // No event names a user that does not exist yet, so any name that is not in use will do.
    let sender = case.user.map_or(UserId(Uuid::nil()), User::user_id);
    consent::decide(standing, purpose, sender, &rule, now).is_allowed()
}

/// Keeps the purposes that every recipient allows.
fn consented(purposes: Purposes, case: &Case<'_>, now: DateTime<Utc>) -> Purposes {
    let do_all_allow = |purpose| {
        case.standings.len() == case.recipients.len()
            && case
                .standings
                .iter()
                .all(|standing| allows(standing, purpose, case, now))
    };
    Purposes {
        opens: purposes.opens && do_all_allow(Purpose::Open),
        links: if purposes.links != Links::No && do_all_allow(Purpose::Click) {
            purposes.links
        } else {
            Links::No
        },
    }
}

/// Decides for each recipient alone.
fn lots(purposes: Purposes, case: &Case<'_>, now: DateTime<Utc>) -> Vec<Lot> {
    let mut standings = case.standings.iter();
    case.recipients
        .iter()
        .map(|recipient| {
            let recipient = recipient.as_ref().ok_or(SkipReason::Untracked)?;
            let standing = standings.next();
            check_recipient(recipient, case.controller)?;
            let does_allow =
                |purpose| standing.is_some_and(|standing| allows(standing, purpose, case, now));
            let lot = Purposes {
                opens: purposes.opens && does_allow(Purpose::Open),
                links: if purposes.links != Links::No && does_allow(Purpose::Click) {
                    purposes.links
                } else {
                    Links::No
                },
            };
            if lot.is_none() {
                Err(SkipReason::Untracked)
            } else {
                Ok(lot)
            }
        })
        .collect()
}

impl Purposes {
    /// Returns what either is for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            opens: self.opens || other.opens,
            links: self.links.or(other.links),
        }
    }

    /// Tells whether there is nothing to do.
    pub fn is_none(self) -> bool {
        !self.opens && self.links == Links::No
    }
}

impl Display for Purposes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let links = match self.links {
            Links::Both => "links in HTML and plain text",
            Links::Html => "links in HTML",
            Links::No => "",
            Links::Text => "links in plain text",
        };
        match (self.opens, self.links) {
            (true, Links::No) => f.write_str("opens"),
            (true, _) => write!(f, "opens and {links}"),
            (false, _) => f.write_str(links),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::{
        config::Config,
        consent::{Author, Event, Profile, Scope, State},
    };

    use super::*;
    use crate::control::LinkChoice;

    const ANNA: Uuid = Uuid::from_u128(1);
    const EVERYTHING: Purposes = Purposes {
        opens: true,
        links: Links::Both,
    };

    /// A case in which everything says yes.
    struct Builder {
        controller: Controller,
        users: Users,
        user: Option<User>,
        choice: Choice,
        obstacle: Option<SkipReason>,
        recipients: Vec<Option<Address>>,
        standings: Vec<Standing>,
        splitting: Splitting,
    }

    impl Builder {
        fn new() -> Self {
            Self {
                controller: Config::for_testing().controllers.remove(0),
                users: Users::All,
                user: Some(user(true)),
                choice: Choice::default(),
                obstacle: None,
                recipients: vec![Address::parse("ewa@customer.example")],
                standings: vec![granted(&Purpose::ALL)],
                splitting: Splitting::Possible,
            }
        }

        fn decide(&self) -> Decision {
            decide(&self.case(), DateTime::UNIX_EPOCH)
        }

        fn case(&self) -> Case<'_> {
            Case {
                controller: &self.controller,
                users: self.users,
                user: self.user.as_ref(),
                choice: &self.choice,
                obstacle: self.obstacle,
                recipients: &self.recipients,
                standings: &self.standings,
                splitting: self.splitting,
            }
        }

        fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }
    }

    fn user(on: bool) -> User {
        User {
            controller_id: "example".into(),
            id: ANNA,
            login: "anna@example.com".into(),
            display_name: None,
            enabled: true,
            is_admin: false,
            opens: on,
            links: on,
            text_links: on,
            notifications: "all".into(),
            digest: "off".into(),
            remember_choice: true,
            language: None,
            time_zone: "UTC".into(),
        }
    }

    fn granted(purposes: &[Purpose]) -> Standing {
        stated(purposes, State::Granted)
    }

    fn stated(purposes: &[Purpose], state: State) -> Standing {
        Standing {
            events: purposes
                .iter()
                .zip(1..)
                .map(|(purpose, seq)| Event {
                    seq,
                    purpose: *purpose,
                    scope: Scope::Controller,
                    state,
                    author: Author::Recipient,
                    assurance: 2,
                    effective_at: DateTime::UNIX_EPOCH,
                    expires_at: None,
                    profile: Profile::CURRENT,
                    is_exact: true,
                })
                .collect(),
            ..Standing::default()
        }
    }

    fn no() -> Choice {
        Choice {
            opens: Some(false),
            links: Some(LinkChoice::No),
            ..Choice::default()
        }
    }

    fn yes() -> Choice {
        Choice {
            opens: Some(true),
            links: Some(LinkChoice::Both),
            ..Choice::default()
        }
    }

    /// C16: also where no consent is required, and where somebody wrote down that the list agreed.
    #[test]
    fn lists_are_left_alone_whatever_the_rule() {
        for rule in [ConsentRule::NotRequired, ConsentRule::Required] {
            let mut to_a_list = Builder::new();
            to_a_list.controller.consent = rule;
            to_a_list.recipients = vec![Address::parse("dev@lists.customer.example")];
            let mut to_both = Builder::new().with(|b| b.controller.consent = rule);
            to_both.controller.multi_recipient = MultiRecipient::Split;
            to_both.recipients.extend(to_a_list.recipients.clone());
            to_both.standings.push(granted(&Purpose::ALL));

            assert_eq!(to_a_list.decide(), Decision::Skip(SkipReason::List));
            assert_eq!(
                to_both.decide(),
                Decision::Split(vec![Ok(EVERYTHING), Err(SkipReason::List)])
            );
        }
    }

    #[test]
    fn each_no_has_its_reason() {
        type Change = fn(&mut Builder);
        let rows: [(SkipReason, Change); 15] = [
            (SkipReason::NoUser, |b| {
                b.user.as_mut().unwrap().enabled = false
            }),
            (SkipReason::NoUser, |b| {
                (b.users, b.user) = (Users::Listed, None)
            }),
            (SkipReason::Off, |b| b.user = Some(user(false))),
            (SkipReason::Off, |b| b.user = None),
            (SkipReason::Control, |b| b.choice = no()),
            (SkipReason::Ceiling, |b| {
                (b.controller.opens, b.controller.links) = (false, false)
            }),
            (SkipReason::Ceiling, |b| {
                b.user = Some(user(false));
                b.choice.links = Some(LinkChoice::Text);
                b.controller.text_links = false;
            }),
            (SkipReason::Encrypted, |b| {
                b.obstacle = Some(SkipReason::Encrypted)
            }),
            (SkipReason::Internal, |b| {
                b.recipients.push(Address::parse("jan@EXAMPLE.com"))
            }),
            (SkipReason::Excluded, |b| {
                b.controller.exclude_recipients = vec!["customer.example".into()];
            }),
            (SkipReason::SeveralRecipients, |b| {
                b.controller.multi_recipient = MultiRecipient::Never;
                b.recipients.push(Address::parse("jan@customer.example"));
            }),
            (SkipReason::SeveralRecipients, |b| {
                b.controller.multi_recipient = MultiRecipient::Split;
                b.splitting = Splitting::Impossible;
                b.recipients.push(Address::parse("jan@customer.example"));
            }),
            (SkipReason::Untracked, |b| b.recipients.push(None)),
            (SkipReason::Untracked, |b| {
                b.standings = vec![Standing::default()]
            }),
            (SkipReason::Untracked, |b| b.recipients = Vec::new()),
        ];

        for (reason, change) in rows {
            assert_eq!(
                Builder::new().with(change).decide(),
                Decision::Skip(reason),
                "{reason:?}"
            );
        }
    }

    #[test]
    fn everything_said_yes_is_instrumented() {
        assert_eq!(Builder::new().decide(), Decision::Instrument(EVERYTHING));
    }

    #[test]
    fn message_may_ask_for_what_the_settings_have_off() {
        let case = Builder::new().with(|b| (b.user, b.choice) = (Some(user(false)), yes()));

        assert_eq!(case.decide(), Decision::Instrument(EVERYTHING));
    }

    #[test]
    fn message_without_a_user_may_ask_where_all_may() {
        let case = Builder::new().with(|b| (b.user, b.choice) = (None, yes()));
        let listed = Builder::new().with(|b| {
            (b.users, b.user, b.choice) = (Users::Listed, None, yes());
        });

        assert_eq!(case.decide(), Decision::Instrument(EVERYTHING));
        assert_eq!(listed.decide(), Decision::Skip(SkipReason::NoUser));
    }

    #[test]
    fn no_choice_passes_a_ceiling() {
        let case = Builder::new().with(|b| {
            b.choice = yes();
            (b.controller.opens, b.controller.text_links) = (false, false);
        });

        assert_eq!(
            case.decide(),
            Decision::Instrument(Purposes {
                opens: false,
                links: Links::Html
            })
        );
    }

    #[test]
    fn purposes_are_consented_to_one_by_one() {
        let open = Builder::new().with(|b| b.standings = vec![granted(&[Purpose::Open])]);
        let click = Builder::new().with(|b| b.standings = vec![granted(&[Purpose::Click])]);

        assert_eq!(
            open.decide(),
            Decision::Instrument(Purposes {
                opens: true,
                links: Links::No
            })
        );
        assert_eq!(
            click.decide(),
            Decision::Instrument(Purposes {
                opens: false,
                links: Links::Both
            })
        );
    }

    #[test]
    fn one_recipient_without_consent_is_enough() {
        let refusal = stated(&Purpose::ALL, State::Denied);
        for consent in [ConsentRule::Required, ConsentRule::NotRequired] {
            let case = Builder::new().with(|b| {
                b.controller.consent = consent;
                b.recipients.push(Address::parse("jan@customer.example"));
                b.standings.push(refusal.clone());
            });

            assert_eq!(case.decide(), Decision::Skip(SkipReason::Untracked));
        }
    }

    #[test]
    fn standings_that_do_not_match_the_recipients_allow_nothing() {
        let case = Builder::new().with(|b| b.standings = Vec::new());

        assert!(depends_on_consent(&case.case()));
        assert_eq!(case.decide(), Decision::Skip(SkipReason::Untracked));
    }

    #[test]
    fn messages_of_interest_are_those_of_users_who_asked() {
        let quiet = Builder::new().with(|b| b.user = Some(user(false)));
        let refused = Builder::new().with(|b| b.choice = no());
        let disabled = Builder::new().with(|b| b.user.as_mut().unwrap().enabled = false);

        assert!(is_of_interest(&Builder::new().case()));
        assert!(is_of_interest(&refused.case()));
        assert!(!is_of_interest(&quiet.case()));
        assert!(!is_of_interest(&disabled.case()));
    }

    /// To Ewa, who consents, and these.
    fn split(others: &[(&str, Standing)]) -> Builder {
        Builder::new().with(|b| {
            b.controller.multi_recipient = MultiRecipient::Split;
            for (address, standing) in others {
                b.recipients.push(Address::parse(address));
                b.standings.push(standing.clone());
            }
        })
    }

    #[test]
    fn split_message_is_decided_recipient_by_recipient() {
        let case = split(&[
            ("jan@customer.example", stated(&Purpose::ALL, State::Denied)),
            ("jan@example.com", granted(&Purpose::ALL)),
            ("ola@customer.example", granted(&[Purpose::Click])),
            ("kim@other.example", granted(&Purpose::ALL)),
        ])
        .with(|b| {
            b.controller.exclude_recipients = vec!["other.example".into()];
            // What is no address has no standing.
            b.recipients.insert(0, None);
        });

        assert_eq!(
            case.decide(),
            Decision::Split(vec![
                Err(SkipReason::Untracked),
                Ok(EVERYTHING),
                Err(SkipReason::Untracked),
                Err(SkipReason::Internal),
                Ok(Purposes {
                    opens: false,
                    links: Links::Both
                }),
                Err(SkipReason::Excluded),
            ])
        );
    }

    #[test]
    fn message_that_nobody_consents_to_is_not_split() {
        let nobody = split(&[("jan@customer.example", Standing::default())])
            .with(|b| b.standings[0] = Standing::default());
        let insiders = split(&[("jan@example.com", Standing::default())])
            .with(|b| b.recipients[0] = Address::parse("ola@example.com"));

        assert_eq!(nobody.decide(), Decision::Skip(SkipReason::Untracked));
        assert!(!depends_on_consent(&insiders.case()));
        assert_eq!(insiders.decide(), Decision::Skip(SkipReason::Internal));
    }

    #[test]
    fn message_to_one_is_never_split() {
        assert_eq!(split(&[]).decide(), Decision::Instrument(EVERYTHING));
    }
}
