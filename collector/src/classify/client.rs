// SPDX-License-Identifier: GPL-3.0-or-later
//! Families of programs: all that is kept of what a request says about its program.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{agent::BROWSERS, tokens::TOKENS};

/// The kind of a program.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// No User-Agent at all.
    Absent,
    /// A loader built into apps: images of a mail app, or anything.
    AppLoader,
    /// WebKit that names no browser: Apple Mail on the pixel, an app's web view on a link.
    AppleMail,
    /// Exactly `Mozilla/5.0`, as Apple's Mail Privacy Protection sends it.
    Bare,
    Browser,
    Crawler,
    /// The old Edge that Gmail's prefetch pretends to be.
    GmailPrefetch,
    Headless,
    ImageProxy,
    Library,
    MailApp,
    /// `ms-office` and no more: Outlook on the pixel, a check of the link on a link.
    Office,
    /// Office asks whether a link exists, before the browser is started.
    OfficeProbe,
    /// The new Outlook for Windows: a person on the pixel, its own request on a link.
    OneOutlook,
    Preview,
    /// Some program that is no browser: every browser calls itself `Mozilla`.
    Program,
    Scanner,
    #[default]
    Unknown,
    /// A browser inside an app.
    WebView,
}

impl ClientKind {
    fn code(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::AppLoader => "app-loader",
            Self::AppleMail => "apple-mail",
            Self::Bare => "bare",
            Self::Browser => "browser",
            Self::Crawler => "crawler",
            Self::GmailPrefetch => "gmail-prefetch",
            Self::Headless => "headless",
            Self::ImageProxy => "image-proxy",
            Self::Library => "library",
            Self::MailApp => "mail-app",
            Self::Office => "office",
            Self::OfficeProbe => "office-probe",
            Self::OneOutlook => "one-outlook",
            Self::Preview => "preview",
            Self::Program => "program",
            Self::Scanner => "scanner",
            Self::Unknown => "unknown",
            Self::WebView => "web-view",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        [
            Self::Absent,
            Self::AppLoader,
            Self::AppleMail,
            Self::Bare,
            Self::Browser,
            Self::Crawler,
            Self::GmailPrefetch,
            Self::Headless,
            Self::ImageProxy,
            Self::Library,
            Self::MailApp,
            Self::Office,
            Self::OfficeProbe,
            Self::OneOutlook,
            Self::Preview,
            Self::Program,
            Self::Scanner,
            Self::Unknown,
            Self::WebView,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }
}

/// A family of programs, written `kind:name`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Client {
    pub kind: ClientKind,
    /// A name out of our own tables, never one out of the request. Empty where the kind says all.
    pub name: &'static str,
}

impl Client {
    pub(super) const ONE_OUTLOOK: Self = Self {
        kind: ClientKind::OneOutlook,
        name: "outlook",
    };

    pub(super) const fn new(kind: ClientKind) -> Self {
        Self { kind, name: "" }
    }

    fn parse(code: &str) -> Option<Self> {
        let (kind, name) = code.split_once(':').unwrap_or((code, ""));
        let kind = ClientKind::from_code(kind)?;
        // A name that this version no longer knows becomes the empty one.
        let name = BROWSERS
            .iter()
            .map(|(_, known)| *known)
            .chain(TOKENS.iter().map(|(_, known, _)| *known))
            .find(|known| *known == name)
            .unwrap_or_default();
        Some(Self { kind, name })
    }
}

impl Serialize for Client {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.name.is_empty() {
            serializer.serialize_str(self.kind.code())
        } else {
            serializer.collect_str(&format_args!("{}:{}", self.kind.code(), self.name))
        }
    }
}

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).ok_or_else(|| de::Error::custom(format!("unknown client \"{code}\"")))
    }
}

/// The family of an operating system.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Os {
    Android,
    ChromeOs,
    Ios,
    Linux,
    Mac,
    #[default]
    Unknown,
    Windows,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::agent::Agent;

    #[test]
    fn clients_survive_being_written_down() {
        for field in [
            "",
            "Mozilla/5.0",
            "FastmailUA/1.0",
            "Twitterbot/1.0",
            "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        ] {
            let client = Agent::parse(field).client;

            let json = serde_json::to_string(&client).unwrap();

            assert_eq!(serde_json::from_str::<Client>(&json).unwrap(), client);
        }
    }
}
