// SPDX-License-Identifier: GPL-3.0-or-later
//! Each rule on hits written for it.

use std::collections::HashSet;

use super::*;
use crate::classify::{
    MailExchanger, Networks,
    testing::{
        AMAZON, APPLE_MAIL, BARRACUDA_GATEWAY, CHROME, CHROME_ON_MAC, EXCHANGE, FORCEPOINT, GMAIL,
        GMAIL_PREFETCH, GOOGLE, HOME, Hit, MICROSOFT, MICROSOFT_FILTER, PROOFPOINT, RELAY, SAFARI,
        THUNDERBIRD, YAHOO, ZSCALER, click, open, strong_click,
    },
};

#[test]
fn every_rule_has_a_name_that_is_explained_and_no_name_is_idle() {
    let used: HashSet<_> = RULES.iter().map(|rule| rule.id).collect();
    let given_elsewhere = [R40a, R40b, R60, R61, R62];

    for reason in ReasonId::ALL {
        assert!(
            used.contains(reason) != given_elsewhere.contains(reason),
            "{reason}"
        );
    }
}

#[test]
fn senders_own_hits_come_first() {
    let mut own = open().from(MICROSOFT_FILTER);
    own.sender.has_session = true;
    let mut viewed = open().by(GMAIL).from(GOOGLE);
    viewed.sender.viewed_ms_ago = Some(2_000);
    let mut stale_view = viewed.clone();
    stale_view.sender.viewed_ms_ago = Some(11_000);
    let mut alike = open();
    alike.sender.is_same_client = true;
    let mut colleague = alike.clone();
    colleague.sender.is_same_organisation = true;

    assert_eq!(own.decided(), (R01a, SELF));
    assert_eq!(viewed.decided(), (R01b, SELF));
    assert_eq!(stale_view.decided(), (R05a, PROXY));
    assert_eq!(alike.decided(), (R01c, SELF));
    assert_eq!(colleague.decided(), (R01d, UNKNOWN));
}

#[test]
fn people_send_get() {
    let with = |method, agent| {
        let mut hit = click().by(agent);
        hit.method = method;
        hit.decided()
    };

    assert_eq!(with("HEAD", "WhatsApp/2.23.20.0 A"), (R02a, PREVIEW));
    assert_eq!(
        with("OPTIONS", "Microsoft Office Protocol Discovery"),
        (R02b, PREFETCH)
    );
    assert_eq!(with("HEAD", CHROME), (R02c, SCANNER));
    assert_eq!(with("get", CHROME), (R50g, HUMAN));
}

#[test]
fn what_the_browser_prefetches_nobody_asked_for() {
    let hit = strong_click().header("Sec-Purpose", "prefetch;prerender");

    assert_eq!(hit.decided(), (R03, PREFETCH));
}

#[test]
fn hidden_links_give_machines_away_before_and_afterwards() {
    let mut honeypot = click().after_secs(44.0);
    honeypot.is_honeypot = true;
    let mut late = strong_click().after_secs(30_000.0);
    late.is_honeypot = true;

    assert_eq!(honeypot.decided(), (R04a, SCANNER));
    assert_eq!(late.decided(), (R04b, UNKNOWN));
    assert_eq!(
        click()
            .on_link(4)
            .preceded_by(2_000, honeypot.clone(), SCANNER)
            .decided(),
        (R04c, SCANNER)
    );
    assert_eq!(
        click().followed_by(2_000, honeypot.clone()).decided(),
        (R04d, SCANNER)
    );
    assert_eq!(
        strong_click()
            .followed_by(2_000, honeypot.clone())
            .decided(),
        (R04e, UNKNOWN)
    );
    assert_eq!(
        click()
            .from(("198.51.100.3", 64500))
            .preceded_by(2_000, honeypot, SCANNER)
            .decided()
            .1,
        HUMAN
    );
}

#[test]
fn image_proxies_are_openings_if_they_come_from_where_they_should() {
    assert_eq!(open().by(GMAIL).from(GOOGLE).decided(), (R05a, PROXY));
    assert_eq!(open().by(YAHOO).decided(), (R05a, PROXY));
    assert_eq!(
        open().by(GMAIL).from(GOOGLE).after_secs(1.2).decided(),
        (R05b, PREFETCH)
    );
    assert_eq!(click().by(GMAIL).from(GOOGLE).decided(), (R05c, SCANNER));
    assert_eq!(open().by(GMAIL).decided(), (R05d, UNKNOWN));
}

#[test]
fn what_apple_mail_and_gmail_load_by_themselves_is_no_opening() {
    assert_eq!(
        open().by("Mozilla/5.0").from(RELAY).decided(),
        (R06a, PREFETCH)
    );
    assert_eq!(open().by("Mozilla/5.0").judged().confidence, 60);
    assert_eq!(
        open().by(APPLE_MAIL).from(RELAY).decided(),
        (R06b, PREFETCH)
    );
    assert_eq!(
        open().by(GMAIL_PREFETCH).from(GOOGLE).decided(),
        (R07a, PREFETCH)
    );
    assert_eq!(open().by(GMAIL_PREFETCH).decided(), (R07b, UNKNOWN));
}

#[test]
fn programs_that_give_their_names_are_believed() {
    let by = |agent| click().by(agent).decided();

    assert_eq!(by("Twitterbot/1.0"), (R08, PREVIEW));
    assert_eq!(by("Barracuda Sentinel (EE)"), (R09, SCANNER));
    assert_eq!(by("curl/8.5.0"), (R10a, SCANNER));
    assert_eq!(by("okhttp/4.10.0"), (R10a, SCANNER));
    assert_eq!(open().by("okhttp/4.10.0").decided(), (R10b, UNKNOWN));
    assert_eq!(by("Mozilla/5.0 HeadlessChrome/100"), (R10e, SCANNER));
    assert_eq!(
        by("Mozilla/5.0 (compatible; Googlebot/2.1)"),
        (R10f, SCANNER)
    );
    assert_eq!(by("Someprogram/1.0"), (R10g, SCANNER));
    assert_eq!(
        by("Mozilla/4.0 (compatible; ms-office; MSOffice 16)"),
        (R10d, SCANNER)
    );
    assert_eq!(
        click()
            .header("X-Native-Host", "OneOutlook/1.2023")
            .decided(),
        (R10c, PREFETCH)
    );
    assert_eq!(click().without("User-Agent").decided(), (R11a, SCANNER));
    assert_eq!(open().by("").from(PROOFPOINT).decided(), (R11b, SCANNER));
    assert_eq!(open().by("").decided(), (R11c, UNKNOWN));
}

#[test]
fn nobody_reads_mail_in_a_mail_filter() {
    assert_eq!(
        open().by(THUNDERBIRD).from(MICROSOFT_FILTER).decided(),
        (R20a, SCANNER)
    );
    assert_eq!(
        strong_click().from(BARRACUDA_GATEWAY).decided(),
        (R20b, SCANNER)
    );
}

fn sweep(offsets: &[(i64, u16)]) -> Hit {
    offsets.iter().fold(click(), |hit, (offset, link)| {
        let other = click().on_link(*link).from(("198.51.100.9", 64503));
        if *offset < 0 {
            hit.preceded_by(-offset, other, UNKNOWN)
        } else {
            hit.followed_by(*offset, other)
        }
    })
}

#[test]
fn sweeps_are_seen_whoever_makes_them() {
    assert_eq!(sweep(&[(900, 2)]).decided(), (R30a, SCANNER));
    assert_eq!(sweep(&[(-4_000, 2), (5_000, 3)]).decided(), (R30a, SCANNER));
    assert_eq!(
        sweep(&[(-30_000, 2), (-15_000, 3), (20_000, 4)]).decided(),
        (R30b, SCANNER)
    );
    // Two of five links within a minute are a reader's.
    assert_eq!(sweep(&[(-30_000, 2)]).decided().1, HUMAN);
}

#[test]
fn a_person_survives_a_sweep_by_others() {
    let mut person = strong_click();
    for link in 2..6 {
        let scan = click().on_link(link).from(MICROSOFT);
        person = person.preceded_by(500, scan, SCANNER);
    }

    assert_eq!(person.decided(), (R50e, HUMAN));
}

#[test]
fn what_a_person_clicked_before_is_no_sweep() {
    let hit = click()
        .by(SAFARI)
        .preceded_by(800, click().by(SAFARI).on_link(2), HUMAN);

    assert_eq!(hit.decided(), (R50f, HUMAN));
}

#[test]
fn a_pixel_before_a_sweep_is_the_sweeps() {
    let mut hit = open().after_secs(9.0);
    for link in 1..5 {
        hit = hit.followed_by(33_000 + i64::from(link) * 100, click().on_link(link));
    }

    assert_eq!(hit.decided(), (R30c, SCANNER));
    assert_eq!(hit.by(THUNDERBIRD).decided(), (R50a, HUMAN));
}

#[test]
fn a_scanner_stays_one_for_a_while() {
    let scan = click().on_link(2);

    assert_eq!(
        open().preceded_by(5_000, scan, SCANNER).decided(),
        (R30d, SCANNER)
    );
}

#[test]
fn vendors_networks_mean_machines_on_a_link() {
    assert_eq!(click().from(MICROSOFT).decided(), (R21a, SCANNER));
    assert_eq!(strong_click().from(MICROSOFT).decided(), (R21b, UNKNOWN));
    assert_eq!(click().from(GOOGLE).decided(), (R22a, SCANNER));
    assert_eq!(strong_click().from(GOOGLE).decided(), (R22b, UNKNOWN));
    assert_eq!(click().from(PROOFPOINT).decided(), (R23a, SCANNER));
    assert_eq!(strong_click().from(PROOFPOINT).decided(), (R23b, UNKNOWN));
    assert_eq!(
        strong_click().from(PROOFPOINT).after_secs(90.0).decided(),
        (R23a, SCANNER)
    );
    assert_eq!(click().from(AMAZON).decided(), (R26a, SCANNER));
    assert_eq!(strong_click().from(AMAZON).decided(), (R26b, UNKNOWN));
}

#[test]
fn vendors_networks_may_mean_readers_on_the_pixel() {
    assert_eq!(open().from(EXCHANGE).decided(), (R25a, PROXY));
    assert_eq!(
        open().from(EXCHANGE).after_secs(12.0).decided(),
        (R25c, SCANNER)
    );
    assert_eq!(
        open()
            .from(EXCHANGE)
            .followed_by(20_000, click().from(MICROSOFT))
            .decided(),
        (R25b, SCANNER)
    );
    assert_eq!(open().from(PROOFPOINT).decided(), (R23a, SCANNER));
    assert_eq!(
        open().by(THUNDERBIRD).from(PROOFPOINT).decided(),
        (R23c, UNKNOWN)
    );
    assert_eq!(
        open().from(AMAZON).after_secs(100.0).decided(),
        (R24a, SCANNER)
    );
    assert_eq!(open().from(AMAZON).decided(), (R24b, UNKNOWN));
    assert_eq!(
        open().by(THUNDERBIRD).from(AMAZON).decided(),
        (R24c, UNKNOWN)
    );
}

#[test]
fn relays_and_web_gateways_carry_people() {
    assert_eq!(click().by(SAFARI).from(RELAY).decided(), (R50f, HUMAN));
    assert_eq!(strong_click().from(ZSCALER).decided(), (R50e, HUMAN));
    assert_eq!(open().from(ZSCALER).decided(), (R50d, HUMAN));
    assert_eq!(open().from(FORCEPOINT).decided(), (R50d, HUMAN));
    assert_eq!(
        click().from(FORCEPOINT).after_secs(40.0).decided(),
        (R23a, SCANNER)
    );
}

#[test]
fn haste_is_suspicious_without_being_proof() {
    let filtered = |hit: Hit, exchanger| Hit { exchanger, ..hit };
    let hasty = click().after_secs(25.0);

    assert_eq!(click().after_secs(1.0).decided(), (R31, SCANNER));
    assert_eq!(hasty.decided(), (R35b, UNKNOWN));
    assert_eq!(
        filtered(hasty.clone(), MailExchanger::Microsoft).decided(),
        (R35a, SCANNER)
    );
    assert_eq!(
        filtered(hasty.clone(), MailExchanger::Mimecast).decided(),
        (R34, SCANNER)
    );
    assert_eq!(
        hasty
            .preceded_by(9_000, open().by(GMAIL).from(GOOGLE), PROXY)
            .decided(),
        (R50g, HUMAN)
    );
    assert_eq!(strong_click().after_secs(13.0).decided(), (R50e, HUMAN));
    assert_eq!(click().by(SAFARI).after_secs(17.0).decided(), (R50f, HUMAN));
}

#[test]
fn browsers_that_nobody_uses_are_machines() {
    let hit = click().by("Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)");

    assert_eq!(hit.decided(), (R12a, SCANNER));
}

#[test]
fn busy_addresses_need_something_that_speaks_for_a_person() {
    let busy = |mut hit: Hit| {
        hit.address.recipients = 9;
        hit.decided()
    };
    let trapped = |mut hit: Hit| {
        hit.address.touched_honeypot = true;
        hit.decided()
    };

    assert_eq!(busy(click()), (R32, SCANNER));
    assert_eq!(busy(strong_click()), (R50e, HUMAN));
    assert_eq!(busy(open()), (R50d, HUMAN));
    assert_eq!(trapped(click()), (R33, SCANNER));
    assert_eq!(trapped(strong_click()), (R50e, HUMAN));
}

#[test]
fn a_shadow_of_a_person_on_another_system_is_a_machine() {
    let shadow = click()
        .by(CHROME_ON_MAC)
        .from(("198.51.100.133", 64505))
        .preceded_by(12_000, strong_click(), HUMAN);

    assert_eq!(shadow.decided(), (R36, SCANNER));
}

#[test]
fn repeats_belong_to_the_hit_they_repeat() {
    let yahoo = open().by(YAHOO).from(("98.137.11.44", 36647));
    let retry = open()
        .by(YAHOO)
        .from(("98.137.11.45", 36647))
        .preceded_by(2_000, yahoo, PROXY);
    let reload = strong_click().preceded_by(2_000, strong_click(), HUMAN);
    let visit = strong_click().preceded_by(1_800_000, strong_click(), HUMAN);
    let other = strong_click().preceded_by(2_000, strong_click().on_link(2), HUMAN);
    let both_stacks = open()
        .from(("2001:db8:12::5", 64496))
        .preceded_by(1_000, open(), HUMAN);
    let colleague = open()
        .from(("198.51.100.33", 64498))
        .preceded_by(30_000, open(), HUMAN);

    assert_eq!(retry.decided(), (R40b, Class::Duplicate));
    assert_eq!(reload.decided(), (R40a, Class::Duplicate));
    assert_eq!(visit.decided(), (R50e, HUMAN));
    assert_eq!(other.decided(), (R50e, HUMAN));
    assert_eq!(both_stacks.decided(), (R40b, Class::Duplicate));
    assert_eq!(colleague.decided(), (R50d, HUMAN));
}

#[test]
fn a_machine_is_never_a_duplicate() {
    let hit =
        open()
            .from(MICROSOFT_FILTER)
            .preceded_by(1_000, open().from(MICROSOFT_FILTER), HUMAN);

    assert_eq!(hit.decided(), (R20a, SCANNER));
}

#[test]
fn people_are_found_by_what_speaks_for_them() {
    assert_eq!(open().by(THUNDERBIRD).decided(), (R50a, HUMAN));
    assert_eq!(
        open()
            .by("Mozilla/4.0 (compatible; ms-office; MSOffice 16)")
            .decided(),
        (R50b, HUMAN)
    );
    assert_eq!(open().by(APPLE_MAIL).decided(), (R50c, HUMAN));
    assert_eq!(open().decided(), (R50d, HUMAN));
    assert_eq!(open().without("Accept-Language").decided(), (R60, UNKNOWN));
    assert_eq!(strong_click().decided(), (R50e, HUMAN));
    assert_eq!(click().by(SAFARI).decided(), (R50f, HUMAN));
    assert_eq!(click().decided(), (R50g, HUMAN));
    assert_eq!(click().by("Mozilla/5.0").decided(), (R60, UNKNOWN));
}

#[test]
fn an_unlisted_address_needs_more_than_its_own_word() {
    let unlisted = |mut hit: Hit| {
        hit.place = (HOME.0, None);
        hit.decided()
    };
    let read_before =
        strong_click()
            .after_secs(90.0)
            .preceded_by(30_000, open().by(GMAIL).from(GOOGLE), PROXY);

    assert_eq!(unlisted(open()), (R61, UNKNOWN));
    assert_eq!(unlisted(open().by(THUNDERBIRD)), (R50a, HUMAN));
    assert_eq!(unlisted(strong_click()), (R50e, HUMAN));
    assert_eq!(unlisted(strong_click().after_secs(90.0)), (R61, UNKNOWN));
    assert_eq!(unlisted(read_before), (R50e, HUMAN));
}

#[test]
fn the_verdict_at_once_is_a_person_only_when_sure() {
    let at_once = |hit: Hit| hit.judged_with(&Networks::compiled_in(), true);

    assert_eq!(at_once(strong_click()).class, HUMAN);
    assert_eq!(at_once(open().by(GMAIL).from(GOOGLE)).class, PROXY);
    assert_eq!(at_once(open()).class, UNKNOWN);
    assert_eq!(at_once(open()).reasons, [R62, R50d]);
    assert_eq!(at_once(open().from(EXCHANGE)).class, UNKNOWN);
    assert_eq!(at_once(sweep(&[(900, 2)])).class, UNKNOWN);
}
