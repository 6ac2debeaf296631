// SPDX-License-Identifier: GPL-3.0-or-later
//! How a verdict is put to people: a state, its words in four languages, its icon, and the name of whose program it was.
//!
//! The words promise no more than was seen: images were loaded, a link was followed. Percentages are not shown.

use common::language::Language;

use super::{
    class::{Class, Kind, Verdict},
    client::ClientKind,
    features::Features,
    network::Network,
};

/// What one line of a message's history says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// Security software, a tool or a crawler.
    Checked,
    Clicked,
    /// Apple Mail loaded by itself; whether anybody read cannot be told.
    LoadedByApple,
    Opened,
    OpenedThroughProxy,
    /// The sender's own hit.
    Own,
    Preloaded,
    Previewed,
    ProbablyClicked,
    ProbablyOpened,
    /// Nothing was seen at all.
    Quiet,
    /// A repetition of an earlier hit.
    Repeated,
    Unclear,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 13] = [
        Self::Checked,
        Self::Clicked,
        Self::LoadedByApple,
        Self::Opened,
        Self::OpenedThroughProxy,
        Self::Own,
        Self::Preloaded,
        Self::Previewed,
        Self::ProbablyClicked,
        Self::ProbablyOpened,
        Self::Quiet,
        Self::Repeated,
        Self::Unclear,
    ];

    /// Returns the words for it.
    pub fn words(self, language: Language) -> &'static str {
        let [en, pl, de, fr] = self.translations();
        match language {
            Language::De => de,
            Language::En => en,
            Language::Fr => fr,
            Language::Pl => pl,
        }
    }

    /// In the order of [`Language::ALL`].
    #[rustfmt::skip]
    fn translations(self) -> [&'static str; 4] {
        match self {
            Self::Checked => [
                "Checked by security software",
                "Sprawdzone przez oprogramowanie zabezpieczające",
                "Von Sicherheitssoftware geprüft",
                "Contrôlé par un logiciel de sécurité",
            ],
            Self::Clicked => ["Clicked", "Kliknięto", "Angeklickt", "Cliqué"],
            Self::LoadedByApple => [
                "Loaded automatically by Apple Mail. It may or may not have been read.",
                "Pobrane automatycznie przez Apple Mail. Nie wiadomo, czy wiadomość przeczytano.",
                "Von Apple Mail automatisch geladen. Ob die Nachricht gelesen wurde, ist offen.",
                "Chargé automatiquement par Apple Mail. Impossible de dire si le message a été lu.",
            ],
            Self::Opened => ["Opened", "Otwarto", "Geöffnet", "Ouvert"],
            Self::OpenedThroughProxy => [
                "Opened (place and device hidden)",
                "Otwarto (miejsce i urządzenie ukryte)",
                "Geöffnet (Ort und Gerät verborgen)",
                "Ouvert (lieu et appareil masqués)",
            ],
            Self::Own => ["Your own activity", "Własna aktywność", "Eigene Aktivität", "Votre propre activité"],
            Self::Preloaded => [
                "Pre-loaded before reading",
                "Pobrane z wyprzedzeniem, przed czytaniem",
                "Vor dem Lesen im Voraus geladen",
                "Préchargé avant lecture",
            ],
            Self::Previewed => ["Link preview", "Podgląd linku", "Link-Vorschau", "Aperçu du lien"],
            Self::ProbablyClicked => [
                "Probably clicked", "Prawdopodobnie kliknięto", "Wahrscheinlich angeklickt", "Probablement cliqué",
            ],
            Self::ProbablyOpened => [
                "Probably opened", "Prawdopodobnie otwarto", "Wahrscheinlich geöffnet", "Probablement ouvert",
            ],
            Self::Quiet => [
                "No activity seen. Images may be blocked; this does not mean unread.",
                "Nie odnotowano aktywności. Obrazy mogą być blokowane; nie znaczy to, że nie przeczytano.",
                "Keine Aktivität beobachtet. Bilder können blockiert sein; das heißt nicht, dass nicht gelesen wurde.",
                "Aucune activité observée. Les images peuvent être bloquées ; cela ne veut pas dire non lu.",
            ],
            Self::Repeated => ["Repeated at once", "Powtórzone zaraz potem", "Gleich wiederholt", "Répété aussitôt"],
            Self::Unclear => ["Unclear activity", "Niejasna aktywność", "Unklare Aktivität", "Activité incertaine"],
        }
    }
}

/// Chooses the state that a verdict puts a hit into.
pub fn state(hit: &Features, verdict: &Verdict) -> State {
    const SURE_ENOUGH: u8 = 75;
    let is_probable = verdict.confidence < SURE_ENOUGH;
    match (verdict.class, hit.kind) {
        (Class::Duplicate, _) => State::Repeated,
        (Class::Human | Class::ImageProxyOnOpen, Kind::Open) if is_probable => {
            State::ProbablyOpened
        }
        (Class::Human, Kind::Click) if is_probable => State::ProbablyClicked,
        (Class::Human, Kind::Click) => State::Clicked,
        (Class::Human, Kind::Open) => State::Opened,
        (Class::ImageProxyOnOpen, _) => State::OpenedThroughProxy,
        (Class::LinkPreview, _) => State::Previewed,
        (Class::MachinePrefetch, Kind::Open) if is_apple(hit) => State::LoadedByApple,
        (Class::MachinePrefetch, _) => State::Preloaded,
        (Class::SecurityScanner, _) => State::Checked,
        (Class::SelfHit, _) => State::Own,
        (Class::Unknown, _) => State::Unclear,
    }
}

fn is_apple(hit: &Features) -> bool {
    !hit.is_prefetch && matches!(hit.client.kind, ClientKind::AppleMail | ClientKind::Bare)
}

/// The key of an icon.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Icon {
    Chat,
    Dotted,
    Grey,
    Half,
    Hidden,
    None,
    Outlined,
    Shield,
    Solid,
    SolidProxy,
}

impl Icon {
    /// Returns the key as templates and style sheets use it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Dotted => "dotted",
            Self::Grey => "grey",
            Self::Half => "half",
            Self::Hidden => "hidden",
            Self::None => "none",
            Self::Outlined => "outlined",
            Self::Shield => "shield",
            Self::Solid => "solid",
            Self::SolidProxy => "solid-proxy",
        }
    }
}

/// Returns the icon of a state.
pub fn icon(state: State) -> Icon {
    match state {
        State::Checked => Icon::Shield,
        State::Clicked | State::Opened => Icon::Solid,
        State::LoadedByApple => Icon::Half,
        State::OpenedThroughProxy => Icon::SolidProxy,
        State::Own | State::Repeated => Icon::Hidden,
        State::Preloaded => Icon::Grey,
        State::Previewed => Icon::Chat,
        State::ProbablyClicked | State::ProbablyOpened => Icon::Outlined,
        State::Quiet => Icon::None,
        State::Unclear => Icon::Dotted,
    }
}

/// Names whose program it was, where that is known: `Gmail`, `Outlook`, `Microsoft Defender`, `Slack`.
pub fn actor(hit: &Features, class: Class) -> Option<&'static str> {
    let by_client = NAMES
        .iter()
        .find(|(key, _)| *key == hit.client.name)
        .map(|(_, name)| *name);
    match class {
        Class::ImageProxyOnOpen if hit.network == Network::Microsoft => by_client
            .filter(|_| hit.client.kind == ClientKind::ImageProxy)
            .or(Some("Outlook")),
        Class::MachinePrefetch if is_apple(hit) => Some("Apple Mail"),
        Class::MachinePrefetch if hit.client.kind == ClientKind::GmailPrefetch => Some("Gmail"),
        // A browser's name would be the scanner's disguise.
        Class::SecurityScanner if hit.client.kind != ClientKind::Scanner => {
            security_vendor(hit.network)
        }
        Class::SecurityScanner => by_client.or_else(|| security_vendor(hit.network)),
        Class::Unknown => None,
        _ if hit.client.kind == ClientKind::AppleMail => Some("Apple Mail"),
        _ => by_client,
    }
}

fn security_vendor(network: Network) -> Option<&'static str> {
    match network {
        Network::Barracuda | Network::BarracudaGateway => Some("Barracuda"),
        Network::Cisco => Some("Cisco"),
        Network::FireEye => Some("Trellix"),
        Network::Forcepoint => Some("Forcepoint"),
        Network::Fortinet => Some("Fortinet"),
        Network::Google => Some("Google"),
        Network::Microsoft | Network::MicrosoftFilter => Some("Microsoft Defender"),
        Network::Mimecast => Some("Mimecast"),
        Network::PaloAlto => Some("Palo Alto Networks"),
        Network::Proofpoint => Some("Proofpoint"),
        Network::Symantec => Some("Symantec"),
        Network::TrendMicro => Some("Trend Micro"),
        Network::AppleRelay
        | Network::Hosting
        | Network::NoData
        | Network::Other
        | Network::Private
        | Network::Unlisted
        | Network::WebGateway => None,
    }
}

/// Proper names by the names in our tables.
#[rustfmt::skip]
const NAMES: &[(&str, &str)] = &[
    ("airmail", "Airmail"), ("apple-mail", "Apple Mail"), ("aquamail", "Aqua Mail"), ("barracuda", "Barracuda"),
    ("becky", "Becky!"), ("bing", "Bing"), ("bluemail", "BlueMail"), ("bluesky", "Bluesky"),
    ("check-point", "Check Point"), ("chrome", "Chrome"), ("cisco", "Cisco"), ("claws-mail", "Claws Mail"),
    ("cloudmark", "Cloudmark"), ("discord", "Discord"), ("discourse", "Discourse"), ("disqus", "Disqus"),
    ("edge", "Edge"), ("em-client", "eM Client"), ("embedly", "Embedly"), ("eudora", "Eudora"),
    ("evolution", "Evolution"), ("f-secure", "F-Secure"), ("facebook", "Facebook"), ("facebook-app", "Facebook"),
    ("fairemail", "FairEmail"), ("fastmail", "Fastmail"), ("fireeye", "Trellix"), ("firefox", "Firefox"),
    ("flipboard", "Flipboard"), ("forcepoint", "Forcepoint"), ("fortinet", "Fortinet"), ("foxmail", "Foxmail"),
    ("geary", "Geary"), ("github", "GitHub"), ("gmail", "Gmail"), ("google", "Google"), ("google-app", "Google"),
    ("google-messages", "Google Messages"), ("google-safety", "Google"), ("hatena", "Hatena"), ("hey", "HEY"),
    ("hornetsecurity", "Hornetsecurity"), ("iframely", "Iframely"), ("imessage", "iMessage"),
    ("incredimail", "IncrediMail"), ("instagram-app", "Instagram"), ("internet-explorer", "Internet Explorer"),
    ("k9", "K-9 Mail"), ("kakaotalk", "KakaoTalk"), ("kaspersky", "Kaspersky"), ("kmail", "KMail"), ("line", "LINE"),
    ("line-app", "LINE"), ("linkedin", "LinkedIn"), ("linkedin-app", "LinkedIn"), ("mailbird", "Mailbird"),
    ("mailspring", "Mailspring"), ("mastodon", "Mastodon"), ("matrix", "Matrix"), ("mattermost", "Mattermost"),
    ("mcafee", "McAfee"), ("microsoft-defender", "Microsoft Defender"), ("microsoft-preview", "Microsoft"),
    ("mimecast", "Mimecast"), ("mimestream", "Mimestream"), ("misskey", "Misskey"), ("naver-app", "Naver Mail"),
    ("netcraft", "Netcraft"), ("notes", "HCL Notes"), ("office", "Microsoft Office"), ("opera", "Opera"),
    ("outlook", "Outlook"), ("outlook-mobile", "Outlook"), ("outlook-web", "Outlook"),
    ("palo-alto", "Palo Alto Networks"), ("pegasus", "Pegasus Mail"), ("phishtank", "PhishTank"),
    ("pinterest", "Pinterest"), ("pleroma", "Pleroma"), ("postbox", "Postbox"), ("proofpoint", "Proofpoint"),
    ("proton-app", "Proton Mail"), ("quora", "Quora"), ("rambler", "Rambler"), ("reddit", "Reddit"),
    ("rocket-chat", "Rocket.Chat"), ("safari", "Safari"), ("samsung", "Samsung Internet"),
    ("samsung-email", "Samsung Email"), ("seznam", "Seznam"), ("shodan", "Shodan"), ("censys", "Censys"),
    ("shortwave", "Shortwave"), ("slack", "Slack"), ("snapchat", "Snapchat"), ("snapchat-app", "Snapchat"),
    ("sophos", "Sophos"), ("spamassassin", "SpamAssassin"), ("spark", "Spark"), ("steam", "Steam"), ("sucuri", "Sucuri"),
    ("superhuman", "Superhuman"), ("symantec", "Symantec"), ("teams-skype", "Microsoft Teams"),
    ("telegram", "Telegram"), ("the-bat", "The Bat!"), ("thunderbird", "Thunderbird"), ("trend-micro", "Trend Micro"),
    ("tumblr", "Tumblr"), ("tuta-app", "Tuta"), ("twinwave", "TwinWave"), ("twitter", "X"), ("twitter-app", "X"),
    ("ukr-net", "ukr.net"), ("urlscan", "urlscan.io"), ("vade", "Vade"), ("virustotal", "VirusTotal"),
    ("vivaldi", "Vivaldi"), ("vk", "VK"), ("wechat-app", "WeChat"), ("whatsapp", "WhatsApp"),
    ("windows-mail", "Windows Mail"), ("xing", "XING"), ("yahoo", "Yahoo"), ("yahoo-app", "Yahoo Mail"),
    ("yandex", "Yandex Browser"), ("zimbra", "Zimbra"), ("zoom", "Zoom"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::classify::{reason::ReasonId, tokens::TOKENS};

    fn hit(kind: Kind, client: &str, network: &str) -> Features {
        serde_json::from_value(serde_json::json!({
            "k": kind, "t": 60_000, "c": client, "n": network,
        }))
        .unwrap()
    }

    fn verdict(class: Class, confidence: u8) -> Verdict {
        Verdict {
            class,
            confidence,
            reasons: vec![ReasonId::R60],
        }
    }

    #[test]
    fn every_state_has_words_of_its_own_in_every_language() {
        for language in Language::ALL {
            let words: HashSet<_> = State::ALL
                .into_iter()
                .map(|state| state.words(language))
                .collect();

            assert_eq!(words.len(), State::ALL.len());
        }
    }

    #[test]
    fn every_name_in_the_tables_is_put_properly_or_says_nothing() {
        let generic = ["app", "crawler", "headless", "library", "other"];
        for (_, name, _) in TOKENS {
            let is_named = NAMES.iter().any(|(key, _)| key == name);

            assert!(is_named || generic.contains(name), "{name}");
        }
    }

    #[test]
    fn an_automatic_load_by_apple_mail_is_not_called_an_opening() {
        let hit = hit(Kind::Open, "bare", "apple-relay");

        let state = state(&hit, &verdict(Class::MachinePrefetch, 95));

        assert_eq!(state, State::LoadedByApple);
        assert_eq!(icon(state).key(), "half");
        assert_eq!(actor(&hit, Class::MachinePrefetch), Some("Apple Mail"));
    }

    #[test]
    fn weak_verdicts_say_probably() {
        let hit = hit(Kind::Open, "browser:edge", "microsoft");

        let state = state(&hit, &verdict(Class::ImageProxyOnOpen, 55));

        assert_eq!(state, State::ProbablyOpened);
        assert_eq!(actor(&hit, Class::ImageProxyOnOpen), Some("Outlook"));
    }

    #[test]
    fn a_scanner_is_named_by_its_network_not_by_its_disguise() {
        let hit = hit(Kind::Click, "browser:chrome", "microsoft");

        assert_eq!(
            actor(&hit, Class::SecurityScanner),
            Some("Microsoft Defender")
        );
    }
}
