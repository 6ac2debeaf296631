// SPDX-License-Identifier: GPL-3.0-or-later
//! The section of the OpenID Connect provider.

use std::{fs, path::PathBuf};

use serde::Deserialize;
use url::{Host, Url};

use super::{ConfigError, sections::Secret};

/// `[oidc]`: the OpenID Connect provider by which users sign in, with `sign_in = "oidc"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The provider's issuer, letter for letter as the provider spells it; everything else is read from its discovery
    /// document. `https://…`, or `http://…` on loopback.
    pub issuer: String,
    /// The name under which the provider knows us. The address to which it sends users back, to be registered there, is
    /// `/sign-in/oidc` below each controller's `public_url`; `/sign-in` is the one after signing out.
    pub client_id: String,
    /// The secret that the provider gave us. Default: none; then we are a public client, and the challenge of PKCE, which is
    /// always used, alone protects.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// A file that holds `client_secret`, for the collector alone, which reads it at start and at reload. Default: none.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for besides `openid`. Default: `["email"]`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim that holds a user's login: a mail address of one of the controller's domains. Default: `email`.
    #[serde(default = "claim")]
    pub claim: String,
    /// Whether the provider must say, by `email_verified`, that the address is the user's, where `claim` is `email`. `false` is
    /// for a provider that gives out the addresses itself and does not say so. Default: `true`.
    #[serde(default = "yes")]
    pub require_verified: bool,
}

impl Oidc {
    /// Checks what one field alone cannot tell.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let is_whole = Url::parse(&self.issuer).is_ok_and(|url| {
            let is_bare = url.query().is_none() && url.fragment().is_none();
            let is_plain = url.username().is_empty() && url.password().is_none();
            url.has_host() && is_bare && is_plain && is_safe(&url)
        });
        if !is_whole {
            return Err((
                "oidc.issuer",
                "must be an https URL without a query (http on loopback)".into(),
            ));
        }
        if self.client_id.is_empty() {
            return Err(("oidc.client_id", "must not be empty".into()));
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            return Err((
                "oidc.client_secret_file",
                "\"client_secret\" says it already".into(),
            ));
        }
        Ok(())
    }

    /// Returns the secret, out of its file if it lies in one.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn secret(&self) -> Result<Option<Secret>, ConfigError> {
        match &self.client_secret_file {
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
                    path: path.clone(),
                    source,
                })?;
                Ok(Some(text.trim().to_owned().into()))
            }
            None => Ok(self.client_secret.clone()),
        }
    }
}

/// Tells whether what goes to a URL can be read by nobody on the way.
pub fn is_safe(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

fn scopes() -> Vec<String> {
    vec!["email".into()]
}

fn claim() -> String {
    "email".into()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Oidc {
        toml::from_str(text).unwrap()
    }

    fn fault(text: &str) -> Option<&'static str> {
        parsed(text).check().err().map(|(key, _)| key)
    }

    #[test]
    fn provider_is_reached_safely_and_known_by_one_secret() {
        let provider = |issuer: &str| format!("issuer = \"{issuer}\"\nclient_id = \"x\"\n");
        for issuer in [
            "https://id.example.com",
            "https://id.example.com/realms/a",
            "http://127.0.0.1:8080",
            "http://localhost:8080/",
            "http://[::1]:8080",
        ] {
            assert_eq!(fault(&provider(issuer)), None, "{issuer}");
        }
        for issuer in [
            "",
            "id.example.com",
            "http://id.example.com",
            "http://localhost.example.com",
            "https://id.example.com/?x=1",
            "https://id.example.com/#x",
            "https://a:b@id.example.com/",
        ] {
            assert_eq!(fault(&provider(issuer)), Some("oidc.issuer"), "{issuer}");
        }
        let good = provider("https://id.example.com");
        let two = format!("{good}client_secret = \"a\"\nclient_secret_file = \"/b\"");
        assert_eq!(fault(&two), Some("oidc.client_secret_file"));
        assert_eq!(
            fault("issuer = \"https://id.example.com\"\nclient_id = \"\""),
            Some("oidc.client_id")
        );
        let one = parsed(&format!("{good}client_secret = \"a\""));
        assert!(!format!("{one:?}").contains("\"a\""));
        assert_eq!(
            (one.scopes, one.claim.as_str(), one.require_verified),
            (vec!["email".to_owned()], "email", true)
        );
    }
}
