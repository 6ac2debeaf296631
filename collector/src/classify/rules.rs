// SPDX-License-Identifier: GPL-3.0-or-later
//! The rules, in their order: the first that fits decides. Pure functions over values.
//!
//! Design note: order matters more than lists. What the protocol says stands first, then the sender's own hits, declared
//! image proxies, Apple's and Gmail's prefetch, declared previews and scanners, networks, the behaviour of the whole
//! message, and last what speaks for a person. What is left is unknown; nothing is guessed. Robots are looked for after
//! the image proxies, or the readers of whole mail services would vanish.
//!
//! Design note: only a person is ever made less of afterwards. A would-be person becomes a duplicate if an earlier hit
//! was the same act, and unknown where no network data could have shown a machine. A machine is never a duplicate.

use super::{
    class::{Class, Verdict},
    client::ClientKind as Client,
    context::Context,
    evidence::Case,
    features::Features,
    network::Network,
    reason::ReasonId::{self, *},
};

/// The version of the rules, stored with every verdict. Raise it when a verdict could change.
pub const RULES_VERSION: u16 = 1;

/// Below this a person's verdict is provisional until later hits of the message are known.
const SURE: u8 = 90;
/// Below this an image proxy's verdict rests on its network alone, and is provisional too.
const SURE_PROXY: u8 = 75;

/// Judges a hit by all that is known of its message by now.
pub fn classify(hit: &Features, context: &Context<'_>) -> Verdict {
    let case = Case { hit, context };
    let Some(rule) = RULES.iter().find(|rule| (rule.fits)(&case)) else {
        return verdict(Class::Unknown, 30, &[R60]);
    };
    if rule.class == Class::Human && !is_checked(&case, rule.confidence) {
        return verdict(Class::Unknown, 30, &[R61, rule.id]);
    }
    if rule.class.is_person() && case.is_repeat() {
        return if case.is_click() {
            verdict(Class::Duplicate, 90, &[R40a, rule.id])
        } else {
            verdict(Class::Duplicate, 85, &[R40b, rule.id])
        };
    }
    verdict(rule.class, rule.confidence, &[rule.id])
}

/// Judges a hit at the moment it arrives: later hits are not known, and a person is only what no later hit could undo.
pub fn classify_at_once(hit: &Features, context: &Context<'_>) -> Verdict {
    let verdict = classify(
        hit,
        &Context {
            later: &[],
            ..*context
        },
    );
    let is_provisional = match verdict.class {
        Class::Human => verdict.confidence < SURE,
        Class::ImageProxyOnOpen => verdict.confidence < SURE_PROXY,
        _ => false,
    };
    if !is_provisional {
        return verdict;
    }
    let mut reasons = vec![R62];
    reasons.extend(verdict.reasons);
    Verdict {
        class: Class::Unknown,
        confidence: 30,
        reasons,
    }
}

/// Says whether a would-be person was checked against networks, or needs no such check.
///
/// Without network data nothing that a network would have shown to be a machine becomes a person: then a click must be
/// backed by more than its own header fields, and an open must come from a mail program.
fn is_checked(case: &Case<'_>, confidence: u8) -> bool {
    match case.network() {
        network if network.is_known() => true,
        Network::NoData => false,
        _ if case.is_click() => case.is_backed(),
        _ => confidence >= 80,
    }
}

fn verdict(class: Class, confidence: u8, reasons: &[ReasonId]) -> Verdict {
    Verdict {
        class,
        confidence,
        reasons: reasons.to_vec(),
    }
}

/// One rule. Several may share a name where they differ in confidence only.
struct Rule {
    id: ReasonId,
    class: Class,
    confidence: u8,
    fits: fn(&Case<'_>) -> bool,
}

const fn rule(id: ReasonId, class: Class, confidence: u8, fits: fn(&Case<'_>) -> bool) -> Rule {
    Rule {
        id,
        class,
        confidence,
        fits,
    }
}

const HUMAN: Class = Class::Human;
const PREFETCH: Class = Class::MachinePrefetch;
const PREVIEW: Class = Class::LinkPreview;
const PROXY: Class = Class::ImageProxyOnOpen;
const SCANNER: Class = Class::SecurityScanner;
const SELF: Class = Class::SelfHit;
const UNKNOWN: Class = Class::Unknown;

#[rustfmt::skip]
const RULES: &[Rule] = &[
    // The sender's own hits.
    rule(R01a, SELF, 99, |c| c.context.sender.has_session),
    rule(R01b, SELF, 80, |c| c.is_open() && c.context.sender.viewed_ms_ago.is_some_and(|ago| ago <= 10_000)),
    rule(R01c, SELF, 75, |c| c.context.sender.is_same_client && !c.context.sender.is_same_organisation),
    rule(R01d, UNKNOWN, 35, |c| c.context.sender.is_same_client),

    // What the protocol says. People send GET.
    rule(R02a, PREVIEW, 95, |c| !c.is_get() && c.is(Client::Preview)),
    rule(R02b, PREFETCH, 80, |c| c.is(Client::OfficeProbe)),
    rule(R02c, SCANNER, 80, |c| !c.is_get()),
    rule(R03, PREFETCH, 97, |c| c.hit.is_prefetch),

    // Links that no reader sees. A sure act of a person is not taken away, only doubted.
    rule(R04b, UNKNOWN, 30, |c| c.hit.is_honeypot && c.is_lone_late_person()),
    rule(R04a, SCANNER, 97, |c| c.hit.is_honeypot),
    rule(R04e, UNKNOWN, 35, |c| {
        let is_sure = c.is_strong() || c.is_open_by_mail_program() || c.is(Client::ImageProxy);
        is_sure && (c.was_tainted() || c.became_tainted())
    }),
    rule(R04c, SCANNER, 90, |c| c.was_tainted()),
    rule(R04d, SCANNER, 85, |c| c.became_tainted()),

    // Image proxies of mail services.
    rule(R05c, SCANNER, 60, |c| c.is_click() && c.is(Client::ImageProxy)),
    rule(R05d, UNKNOWN, 40, |c| c.is(Client::ImageProxy) && c.is_proxy_out_of_place()),
    rule(R05b, PREFETCH, 60, |c| c.is(Client::ImageProxy) && c.is_within(c.context.thresholds.proxy_instant_ms)),
    rule(R05a, PROXY, 90, |c| c.is(Client::ImageProxy) && c.network() == Network::Google),
    rule(R05a, PROXY, 75, |c| c.is(Client::ImageProxy)),

    // Prefetch by Apple Mail and Gmail.
    rule(R06a, PREFETCH, 95, |c| c.is_open() && c.is(Client::Bare) && c.network() == Network::AppleRelay),
    rule(R06a, PREFETCH, 60, |c| c.is_open() && c.is(Client::Bare)),
    rule(R06b, PREFETCH, 65, |c| c.is_open() && c.is(Client::AppleMail) && c.network() == Network::AppleRelay),
    rule(R07a, PREFETCH, 97, |c| c.is_open() && c.is(Client::GmailPrefetch) && c.network() == Network::Google),
    rule(R07b, UNKNOWN, 30, |c| c.is_open() && c.is(Client::GmailPrefetch)),

    // Programs that say what they are.
    rule(R08, PREVIEW, 95, |c| c.is(Client::Preview)),
    rule(R09, SCANNER, 97, |c| c.is(Client::Scanner)),
    rule(R10b, UNKNOWN, 30, |c| c.is_open() && c.is(Client::AppLoader)),
    rule(R10a, SCANNER, 92, |c| c.is(Client::Library) || c.is(Client::AppLoader)),
    rule(R10e, SCANNER, 92, |c| c.is(Client::Headless)),
    rule(R10f, SCANNER, 92, |c| c.is(Client::Crawler)),
    rule(R10g, SCANNER, 70, |c| c.is_click() && c.is(Client::Program)),
    rule(R10c, PREFETCH, 55, |c| c.is_click() && c.is(Client::OneOutlook)),
    rule(R10d, SCANNER, 60, |c| c.is_click() && c.is_outlook()),

    // Networks in which nobody reads mail.
    rule(R20a, SCANNER, 96, |c| c.network() == Network::MicrosoftFilter),
    rule(R20b, SCANNER, 95, |c| c.network() == Network::BarracudaGateway),
    rule(R11a, SCANNER, 75, |c| c.is_click() && c.is(Client::Absent)),
    rule(R11b, SCANNER, 70, |c| c.is(Client::Absent) && c.network().is_vendor()),
    rule(R11c, UNKNOWN, 30, |c| c.is(Client::Absent)),

    // The behaviour of the whole message. A person must survive a sweep by others.
    rule(R30a, SCANNER, 92, |c| c.is_click() && !c.is_strong() && c.is_in_fast_sweep()),
    rule(R30b, SCANNER, 85, |c| c.is_click() && !c.is_strong() && c.is_in_slow_sweep()),
    rule(R30c, SCANNER, 75, |c| {
        c.is_open() && !c.is_open_by_mail_program() && c.is_within(120_000) && c.is_followed_by_sweep()
    }),
    rule(R30d, SCANNER, 75, |c| !c.affirms_human() && !c.is_open_by_mail_program() && c.continues_scan()),

    // Networks of vendors and data centres, where machines are many and people few.
    rule(R21b, UNKNOWN, 35, |c| c.is_click() && c.network() == Network::Microsoft && c.is_strong_and_backed()),
    rule(R21a, SCANNER, 92, |c| c.is_click() && c.network() == Network::Microsoft),
    rule(R22b, UNKNOWN, 35, |c| c.is_click() && c.network() == Network::Google && c.is_strong_and_backed()),
    rule(R22a, SCANNER, 80, |c| c.is_click() && c.network() == Network::Google),
    rule(R25b, SCANNER, 70, |c| c.network() == Network::Microsoft && c.is_followed_by_click_from_there()),
    rule(R25c, SCANNER, 60, |c| c.network() == Network::Microsoft && c.is_within(30_000)),
    rule(R25a, PROXY, 55, |c| c.network() == Network::Microsoft),
    rule(R23b, UNKNOWN, 35, |c| c.network().is_security() && c.is_click() && c.is_backed()),
    rule(R23c, UNKNOWN, 35, |c| c.network().is_security() && c.is_open_by_mail_program()),
    rule(R23a, SCANNER, 90, |c| {
        c.network().is_security()
            && (!c.network().is_also_web_gateway() || (c.is_within_delivery() && !c.affirms_human()))
    }),
    rule(R24c, UNKNOWN, 40, |c| c.network() == Network::Hosting && c.is_open_by_mail_program()),
    rule(R24a, SCANNER, 65, |c| c.network() == Network::Hosting && c.is_open() && c.is_within_delivery()),
    rule(R24b, UNKNOWN, 30, |c| c.network() == Network::Hosting && c.is_open()),
    rule(R26b, UNKNOWN, 40, |c| c.network() == Network::Hosting && c.is_backed()),
    rule(R26a, SCANNER, 88, |c| c.network() == Network::Hosting),

    // Behaviour that is no person's.
    rule(R31, SCANNER, 75, |c| c.is_within(c.context.thresholds.instant_ms)),
    rule(R12a, SCANNER, 80, |c| c.is_click() && c.hit.is_antique),
    rule(R32, SCANNER, 75, |c| c.is_click() && !c.affirms_human() && c.context.address.recipients >= 3),
    rule(R33, SCANNER, 75, |c| {
        c.context.address.touched_honeypot && !c.affirms_human() && !c.is_open_by_mail_program()
    }),
    rule(R34, SCANNER, 75, |c| {
        c.context.exchanger.is_gateway() && c.is_within(120_000) && !c.affirms_human() && !c.is_open_by_mail_program()
    }),
    rule(R35a, SCANNER, 60, |c| is_hasty_click(c) && (c.hit.is_stale || is_filtered(c))),
    rule(R35b, UNKNOWN, 35, is_hasty_click),
    rule(R36, SCANNER, 60, |c| c.is_click() && !c.affirms_human() && c.shadows_person()),

    // What speaks for a person.
    rule(R50a, HUMAN, 90, |c| c.is_open() && (c.is(Client::MailApp) || c.is(Client::OneOutlook))),
    rule(R50b, HUMAN, 70, |c| c.is_open() && c.is(Client::Office)),
    rule(R50c, HUMAN, 80, |c| c.is_open() && c.is(Client::AppleMail)),
    rule(R50d, HUMAN, 75, |c| c.is_open() && c.is_browser() && c.hit.has_language),
    rule(R50e, HUMAN, 95, |c| c.is_strong()),
    rule(R50f, HUMAN, 80, |c| c.is_click() && c.affirms_human()),
    rule(R50g, HUMAN, 60, |c| {
        c.is_click() && c.is_browser() && c.hit.has_language && (!c.is_within(60_000) || c.follows_person())
    }),
];

/// A click within a minute of delivery that nothing led up to and nothing vouches for.
fn is_hasty_click(case: &Case<'_>) -> bool {
    case.is_click() && case.is_within(60_000) && !case.follows_person() && !case.affirms_human()
}

/// Says whether the recipient's mail passes a filter that follows links.
fn is_filtered(case: &Case<'_>) -> bool {
    case.context.exchanger.is_gateway()
        || case.context.exchanger == super::context::MailExchanger::Microsoft
}

#[cfg(test)]
mod tests;
