// SPDX-License-Identifier: GPL-3.0-or-later
//! A controller: the organisation answerable for the mail of its domains.

use serde::Deserialize;
use url::{Host, Url};

use crate::{ids::ControllerId, language::Language};

/// One `[[controller]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    /// A short name, of lower-case letters, digits and `-`; never changed once mail was sent.
    pub id: ControllerId,
    /// The legal name, shown to recipients.
    pub name: String,
    /// The postal address, shown to recipients.
    pub address: String,
    /// The mail address or URL where recipients turn to.
    pub contact: String,
    /// The data-protection officer, if there is one: name and address.
    pub dpo: Option<String>,
    /// The supervisory authority where recipients may complain.
    pub authority: String,
    /// The mail domains whose logins belong to this controller. A login without a domain gets the first one of the
    /// first controller.
    pub domains: Vec<String>,
    /// The URL of the collector as recipients reach it, without a path: `https://track.example.com`. Plain `http` is
    /// taken for loopback hosts only.
    pub public_url: String,
    /// The language of pages and mails where nothing better is known. Default: `en`.
    #[serde(default)]
    pub language: Language,
    /// Whether recipients must have consented. Default: `required`.
    #[serde(default)]
    pub consent: ConsentRule,
    /// The legal basis, in words shown to recipients; mandatory with `consent = "not-required"`.
    pub basis: Option<String>,
    /// How strong a grant must be: `attested` takes what senders, administrators and imports attest; `recipient` takes
    /// the recipient's own act only. Default: `attested`.
    #[serde(default)]
    pub min_assurance: MinAssurance,
    /// What happens to mail with several recipients: `all` instruments it if every recipient consents, `never` leaves it
    /// untouched, `split` sends one message to each, instrumented for those who consent; that needs `milter.reinject`.
    /// Default: `all`.
    #[serde(default)]
    pub multi_recipient: MultiRecipient,
    /// Whether a message to somebody who was never asked carries, instead of artefacts, one line that invites to choose: at
    /// most once in 180 days for each recipient, and nothing is observed. Default: false.
    #[serde(default)]
    pub invite: bool,
    /// Whether recipients in the controller's own domains may be observed. Default: false.
    #[serde(default)]
    pub internal: bool,
    /// Ceiling: may users switch open tracking on? Default: true.
    #[serde(default = "yes")]
    pub opens: bool,
    /// Ceiling: may users switch link tracking on? Default: true.
    #[serde(default = "yes")]
    pub links: bool,
    /// Ceiling: may links in plain text be rewritten? Default: true.
    #[serde(default = "yes")]
    pub text_links: bool,
    /// Addresses or domains never observed. Default: none.
    #[serde(default)]
    pub exclude_recipients: Vec<String>,
    /// Hosts whose links are never rewritten; a host covers its subdomains. Default: none.
    #[serde(default)]
    pub exclude_links: Vec<String>,
}

/// Whether recipients must have consented.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentRule {
    /// No grant is asked for; refusals and withdrawals still bind.
    NotRequired,
    #[default]
    Required,
}

/// How strong a grant must be to count.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum MinAssurance {
    #[default]
    Attested,
    Recipient,
}

/// What happens to mail with several recipients.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum MultiRecipient {
    /// Instrumented if every recipient consents.
    #[default]
    All,
    /// Left untouched.
    Never,
    /// One message to each recipient, instrumented for those who consent.
    Split,
}

impl Controller {
    /// Tells whether a mail domain is this controller's.
    pub fn owns(&self, domain: &str) -> bool {
        self.domains
            .iter()
            .any(|own| domain.eq_ignore_ascii_case(own))
    }

    /// Returns the base of tracking URLs: `public_url` without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.public_url.trim_end_matches('/')
    }

    /// Returns the tracking host, in lower case, without a port.
    pub fn tracking_host(&self) -> String {
        Url::parse(&self.public_url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let id = self.id.as_str();
        if id.is_empty()
            || !id
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        {
            return Err(format!(
                "\"id\": invalid name \"{id}\" (lower-case letters, digits and \"-\")"
            ));
        }
        for (key, value) in [
            ("name", &self.name),
            ("address", &self.address),
            ("contact", &self.contact),
            ("authority", &self.authority),
        ] {
            if value.trim().is_empty() {
                return Err(format!(
                    "\"{key}\": required, because recipients must be told it"
                ));
            }
        }
        if self.domains.is_empty()
            || self
                .domains
                .iter()
                .any(|domain| domain.trim().is_empty() || domain.contains('@'))
        {
            return Err(
                "\"domains\": at least one mail domain is required, each without \"@\"".into(),
            );
        }
        if self.consent == ConsentRule::NotRequired
            && self
                .basis
                .as_deref()
                .is_none_or(|basis| basis.trim().is_empty())
        {
            return Err("\"basis\" is required when \"consent\" is \"not-required\"".into());
        }
        if self.consent == ConsentRule::Required && self.basis.is_some() {
            return Err("\"basis\" is for \"consent\" = \"not-required\" only".into());
        }
        self.check_public_url()
    }

    pub(super) fn check_beside(&self, others: &[Self]) -> Result<(), String> {
        for other in others {
            if other.id == self.id {
                return Err(format!(
                    "\"id\": \"{}\" is taken by another controller",
                    self.id
                ));
            }
            if let Some(domain) = self.domains.iter().find(|domain| other.owns(domain)) {
                return Err(format!(
                    "\"domains\": \"{domain}\" belongs to controller \"{}\" too",
                    other.id
                ));
            }
        }
        Ok(())
    }

    fn check_public_url(&self) -> Result<(), String> {
        let complaint = |what: &str| {
            Err(format!(
                "\"public_url\": invalid URL \"{}\" ({what})",
                self.public_url
            ))
        };
        let Ok(url) = Url::parse(&self.public_url) else {
            return complaint("such as https://track.example.com");
        };
        let loopback = match url.host() {
            Some(Host::Domain(domain)) => domain == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => return complaint("a host is missing"),
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            return complaint("https is required; http is for loopback hosts only");
        }
        if url.path() != "/"
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
        {
            return complaint("scheme and host only");
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}
