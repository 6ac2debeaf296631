// SPDX-License-Identifier: GPL-3.0-or-later
//! Properties that must hold for every hit, tried on random ones.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{
    AddressHistory, Class, Kind, MailExchanger, Networks, RequestParts, Salt, SenderSignals,
    extract, parse_networks,
    testing::{self, Hit},
};

static COMPILED_IN: LazyLock<Networks> = LazyLock::new(Networks::compiled_in);

const AGENTS: &[&str] = &[
    "",
    "Mozilla/5.0",
    testing::CHROME,
    testing::CHROME_ON_MAC,
    testing::SAFARI,
    testing::APPLE_MAIL,
    testing::THUNDERBIRD,
    testing::GMAIL,
    testing::YAHOO,
    testing::GMAIL_PREFETCH,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/97.0.4692.99 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 15; SM-S921B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/152.0.0.0 Mobile Safari/537.36",
    "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.6326; Pro)",
    "Microsoft Office Existence Discovery",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0 Safari/537.36 Edg/117.0.2045.47 OneOutlook/1.2023.927.100",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.1; Trident/6.0)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Barracuda Sentinel (EE)",
    "curl/8.5.0",
    "okhttp/4.10.0",
    "SomethingMail/3.1 (custom; build 77)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/100.0.4896.88 Safari/537.36",
];

const PLACES: &[(&str, u32)] = &[
    testing::HOME,
    ("2001:db8:12::5", 64497),
    testing::GOOGLE,
    testing::RELAY,
    testing::MICROSOFT,
    testing::EXCHANGE,
    testing::MICROSOFT_FILTER,
    testing::BARRACUDA_GATEWAY,
    testing::PROOFPOINT,
    testing::FORCEPOINT,
    testing::AMAZON,
    testing::ZSCALER,
];

const HEADERS: &[(&str, &str)] = &[
    ("Accept-Language", "de"),
    ("Sec-Fetch-User", "?1"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Purpose", "prefetch"),
    ("X-Native-Host", "OneOutlook/1.2"),
    ("Accept", "*/*"),
];

const AGES_MS: &[u64] = &[
    0, 1_500, 4_000, 25_000, 59_000, 100_000, 500_000, 700_000, 90_000_000,
];

const EXCHANGERS: &[MailExchanger] = &[
    MailExchanger::Other,
    MailExchanger::Google,
    MailExchanger::Microsoft,
    MailExchanger::Barracuda,
];

prop_compose! {
    fn request()(
        is_click in any::<bool>(),
        agent in prop::sample::select(AGENTS),
        place in prop::sample::select(PLACES),
        headers in prop::sample::subsequence(HEADERS, 0..=HEADERS.len()),
        age_ms in prop::sample::select(AGES_MS),
        link in 0_u16..4,
        is_head in prop::bool::weighted(0.05),
        is_honeypot in prop::bool::weighted(0.1),
    ) -> Hit {
        let mut hit = if is_click { testing::click().on_link(link) } else { testing::open() };
        hit.headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        hit.age_ms = age_ms;
        hit.is_honeypot = is_click && is_honeypot;
        if is_head {
            hit.method = "HEAD";
        }
        hit.by(agent).from(place)
    }
}

/// Sweeps are fast, so many a neighbour must be near.
fn offset_ms() -> impl Strategy<Value = i64> {
    prop_oneof![0_i64..1_200, 0_i64..70_000]
}

prop_compose! {
    fn hit()(
        hit in request(),
        earlier in prop::collection::vec((offset_ms(), request(), prop::sample::select(&Class::ALL[..])), 0..4),
        later in prop::collection::vec((offset_ms(), request()), 0..4),
        exchanger in prop::sample::select(EXCHANGERS),
        recipients in 0_u32..6,
        touched_honeypot in prop::bool::weighted(0.1),
        has_session in prop::bool::weighted(0.03),
        is_same_client in prop::bool::weighted(0.05),
    ) -> Hit {
        let mut hit = hit;
        hit.exchanger = exchanger;
        hit.address = AddressHistory { recipients, touched_honeypot };
        hit.sender = SenderSignals { has_session, is_same_client, ..SenderSignals::default() };
        for (ago, other, class) in earlier {
            hit = hit.preceded_by(ago, other, class);
        }
        for (after, other) in later {
            hit = hit.followed_by(after, other);
        }
        hit
    }
}

/// The same hit with header fields in another order and in capitals.
fn shouted(hit: &Hit) -> Hit {
    let mut other = hit.clone();
    other.headers = hit
        .headers
        .iter()
        .rev()
        .map(|(name, value)| {
            let value = if name.eq_ignore_ascii_case("user-agent") {
                value.to_ascii_uppercase()
            } else {
                value.clone()
            };
            (name.to_ascii_uppercase(), value)
        })
        .collect();
    other
}

/// The same hit when nothing tells the numbers of systems.
fn without_systems(hit: &Hit) -> Hit {
    let mut other = hit.clone();
    other.place.1 = None;
    for (_, earlier, _) in &mut other.earlier {
        earlier.place.1 = None;
    }
    for (_, later) in &mut other.later {
        later.place.1 = None;
    }
    other
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn order_and_case_of_header_fields_never_change_a_verdict(hit in hit()) {
        let verdict = hit.judged_with(&COMPILED_IN, false);

        prop_assert_eq!(shouted(&hit).judged_with(&COMPILED_IN, false), verdict);
    }

    #[test]
    fn without_network_data_no_machine_becomes_a_person(hit in hit()) {
        let verdict = hit.judged_with(&COMPILED_IN, false);

        if verdict.class.is_machine() {
            let blind = without_systems(&hit);
            let without_systems = blind.judged_with(&COMPILED_IN, false);
            let without_lists = blind.judged_with(&Networks::empty(), false);
            prop_assert!(!without_systems.class.is_person(), "{verdict:?} {without_systems:?}");
            prop_assert!(!without_lists.class.is_person(), "{verdict:?} {without_lists:?}");
        }
    }

    #[test]
    fn what_is_a_person_at_once_never_turns_out_a_machine(hit in hit()) {
        let at_once = hit.judged_with(&COMPILED_IN, true);

        if at_once.class.is_person() {
            let settled = hit.judged_with(&COMPILED_IN, false);
            prop_assert!(!settled.class.is_machine(), "{at_once:?} {settled:?}");
        }
    }

    #[test]
    fn a_scanner_nearby_never_turns_a_sure_person_into_a_machine(
        hit in hit(),
        scanner in request(),
        ago in offset_ms(),
    ) {
        let strong = hit.header("Sec-Fetch-User", "?1").header("Accept-Language", "fr");
        let before = strong.judged_with(&COMPILED_IN, false);

        if strong.kind == Kind::Click && before.class == Class::Human {
            let mut scanned = strong.preceded_by(ago, scanner, Class::SecurityScanner);
            let after = scanned.judged_with(&COMPILED_IN, false);
            prop_assert!(!after.class.is_machine(), "{after:?}");

            // The worst neighbour: at the very same address, on a hidden link.
            let mut honeypot = scanned.clone();
            honeypot.earlier.clear();
            honeypot.is_honeypot = true;
            scanned = scanned.preceded_by(ago, honeypot, Class::SecurityScanner);
            let after = scanned.judged_with(&COMPILED_IN, false);
            prop_assert!(!after.class.is_machine(), "{after:?}");
        }
    }

    #[test]
    fn features_survive_being_written_down(hit in hit()) {
        let features = hit.features(&COMPILED_IN);

        let json = serde_json::to_string(&features).unwrap();

        prop_assert_eq!(serde_json::from_str::<super::Features>(&json).unwrap(), features);
    }

    #[test]
    fn no_request_makes_it_panic(
        method in ".{0,9}",
        name in ".{0,20}",
        value in ".{0,300}",
        agent in "(\\PC|Mozilla/5.0|Chrome/|MSIE |bot|Trident/|\\(KHTML, like Gecko\\)|é|@|/){0,40}",
        age_ms in any::<u64>(),
        link in any::<Option<u16>>(),
        ip in any::<Option<std::net::IpAddr>>(),
        asn in any::<Option<u32>>(),
    ) {
        let request = RequestParts {
            kind: Kind::Click,
            method: &method,
            headers: &[(&name, &value), ("user-agent", &agent)],
            ip,
            asn,
            link,
            age_ms,
        };

        let features = extract(&request, &COMPILED_IN, &Salt::new(&[0; 32], b"x"));

        prop_assert_eq!(features.link, link);
    }

    #[test]
    fn no_list_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[0-9./:,\t {}\\[\\]a-z\n]{0,120}") {
        let _ = parse_networks(&bytes, None);
        let _ = parse_networks(text.as_bytes(), None);
    }
}
