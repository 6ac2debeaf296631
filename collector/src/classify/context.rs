// SPDX-License-Identifier: GPL-3.0-or-later
//! What a hit is judged against: the other hits of its message, the message, the address's recent past, the sender.

use common::config::Classify;
use serde::{Deserialize, Serialize};

use super::{class::Class, features::Features};

/// Another hit of the same message.
#[derive(Clone, Copy, Debug)]
pub struct Neighbour {
    pub features: Features,
    /// Milliseconds from the judged hit to this one: negative for earlier ones.
    pub offset_ms: i64,
    /// What it was judged to be so far, if it was judged.
    pub class: Option<Class>,
}

/// Who filters the recipient's mail, by the host that takes it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "String", rename_all = "lowercase")]
pub enum MailExchanger {
    Apple,
    Barracuda,
    Cisco,
    Google,
    Microsoft,
    Mimecast,
    /// Anybody else, and whoever is not known.
    #[default]
    Other,
    Proofpoint,
    Symantec,
    TrendMicro,
    Yahoo,
}

impl MailExchanger {
    /// Names whom a mail exchanger's host name belongs to.
    pub fn of_host(host: &str) -> Self {
        const SUFFIXES: &[(&str, MailExchanger)] = &[
            ("pphosted.com", MailExchanger::Proofpoint),
            ("ppe-hosted.com", MailExchanger::Proofpoint),
            ("mimecast.com", MailExchanger::Mimecast),
            ("barracudanetworks.com", MailExchanger::Barracuda),
            ("iphmx.com", MailExchanger::Cisco),
            ("messagelabs.com", MailExchanger::Symantec),
            ("trendmicro.com", MailExchanger::TrendMicro),
            ("trendmicro.eu", MailExchanger::TrendMicro),
            ("protection.outlook.com", MailExchanger::Microsoft),
            ("mx.microsoft", MailExchanger::Microsoft),
            ("google.com", MailExchanger::Google),
            ("googlemail.com", MailExchanger::Google),
            ("yahoodns.net", MailExchanger::Yahoo),
            ("mail.icloud.com", MailExchanger::Apple),
        ];
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        SUFFIXES
            .iter()
            .find(|(suffix, _)| {
                host.strip_suffix(suffix)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
            .map_or(Self::Other, |(_, exchanger)| *exchanger)
    }

    /// Returns the word for it, from which it is read again.
    pub fn code(self) -> &'static str {
        match self {
            Self::Apple => "apple",
            Self::Barracuda => "barracuda",
            Self::Cisco => "cisco",
            Self::Google => "google",
            Self::Microsoft => "microsoft",
            Self::Mimecast => "mimecast",
            Self::Other => "other",
            Self::Proofpoint => "proofpoint",
            Self::Symantec => "symantec",
            Self::TrendMicro => "trendmicro",
            Self::Yahoo => "yahoo",
        }
    }

    /// Says whether it is a gateway whose trade is to look into messages.
    pub fn is_gateway(self) -> bool {
        matches!(
            self,
            Self::Barracuda
                | Self::Cisco
                | Self::Mimecast
                | Self::Proofpoint
                | Self::Symantec
                | Self::TrendMicro
        )
    }
}

impl From<String> for MailExchanger {
    fn from(code: String) -> Self {
        match code.as_str() {
            "apple" => Self::Apple,
            "barracuda" => Self::Barracuda,
            "cisco" => Self::Cisco,
            "google" => Self::Google,
            "microsoft" => Self::Microsoft,
            "mimecast" => Self::Mimecast,
            "proofpoint" => Self::Proofpoint,
            "symantec" => Self::Symantec,
            "trendmicro" => Self::TrendMicro,
            "yahoo" => Self::Yahoo,
            _ => Self::Other,
        }
    }
}

/// What the hit's address did of late. Counted in memory, never stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct AddressHistory {
    /// Recipients whose links or pixels it touched within 10 minutes.
    pub recipients: u32,
    /// It touched a link that no reader sees, within a day.
    pub touched_honeypot: bool,
}

/// What ties the hit to the message's sender.
#[derive(Clone, Copy, Debug, Default)]
pub struct SenderSignals {
    /// The hit carries the sender's own session.
    pub has_session: bool,
    /// Address and user agent are those of a session of the sender.
    pub is_same_client: bool,
    /// The recipient belongs to the sender's own organisation.
    pub is_same_organisation: bool,
    /// Milliseconds since the sender was seen to look at this message.
    pub viewed_ms_ago: Option<u64>,
}

/// All that a hit is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Hits before this one, in any order.
    pub earlier: &'a [Neighbour],
    /// Hits after this one, as far as they are known by now.
    pub later: &'a [Neighbour],
    /// How many tracked links the message has.
    pub links: u32,
    pub exchanger: MailExchanger,
    pub address: AddressHistory,
    pub sender: SenderSignals,
    pub thresholds: &'a Thresholds,
}

/// The operator's thresholds, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    pub(super) instant_ms: u64,
    pub(super) proxy_instant_ms: u64,
}

impl From<&Classify> for Thresholds {
    fn from(config: &Classify) -> Self {
        let millis = |period: common::config::Period| {
            u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX)
        };
        Self {
            instant_ms: millis(config.instant),
            proxy_instant_ms: millis(config.proxy_instant),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::from(&Classify::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchangers_are_known_by_whole_labels_of_their_hosts() {
        assert_eq!(
            MailExchanger::of_host("mx1.Example.PPHOSTED.com."),
            MailExchanger::Proofpoint
        );
        assert_eq!(
            MailExchanger::of_host("example-com.mail.protection.outlook.com"),
            MailExchanger::Microsoft
        );
        assert_eq!(
            MailExchanger::of_host("evilmimecast.com"),
            MailExchanger::Other
        );
        assert_eq!(MailExchanger::of_host(""), MailExchanger::Other);
    }
}
