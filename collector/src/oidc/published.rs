// SPDX-License-Identifier: GPL-3.0-or-later
//! What a provider publishes, and how long it is taken for granted: fetched when it is first needed, held while the
//! provider is away.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::config::is_safe;
use serde::Deserialize;
use url::Url;

use super::provider::OidcError;

/// What was fetched of the provider, and when it last could not be.
pub(super) struct Known<T> {
    fetched: Option<(Instant, Arc<T>)>,
    failed: Option<Instant>,
}

/// What a provider says about itself (OpenID Connect Discovery 1.0, section 3).
pub(super) struct Metadata {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) keys: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) end_session: Option<Url>,
    /// How we may prove who we are.
    proofs: Option<Vec<String>>,
}

/// The same, as it is fetched.
#[derive(Deserialize)]
pub(super) struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// How long what the provider publishes is taken for granted.
pub(super) const FRESH: Duration = Duration::from_secs(3600);
/// A provider that did not answer is left alone for so long, so that nobody waits in a line of those who wait for it.
const RESPITE: Duration = Duration::from_secs(5);

impl<T> Known<T> {
    /// Returns what is known if it is fresh, else what can be fetched, else what is known all the same.
    pub(super) async fn get(
        &mut self,
        fresh: Duration,
        fetch: impl Future<Output = Result<T, OidcError>>,
    ) -> Result<Arc<T>, OidcError> {
        let old = self.fetched.as_ref();
        if let Some((since, value)) = old
            && since.elapsed() < fresh
        {
            return Ok(Arc::clone(value));
        }
        let is_away = self.failed.is_some_and(|at| at.elapsed() < RESPITE);
        let error = if is_away {
            OidcError::Away
        } else {
            match fetch.await {
                Ok(value) => {
                    let value = Arc::new(value);
                    self.fetched = Some((Instant::now(), Arc::clone(&value)));
                    self.failed = None;
                    return Ok(value);
                }
                Err(error) => error,
            }
        };
        if !is_away {
            self.failed = Some(Instant::now());
        }
        self.fetched
            .as_ref()
            .map(|(_, value)| Arc::clone(value))
            .ok_or(error)
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            fetched: None,
            failed: None,
        }
    }
}

impl Metadata {
    pub(super) fn read(document: Document, issuer: &str) -> Result<Self, OidcError> {
        // Else one provider could speak for another.
        if document.issuer != issuer {
            return Err(OidcError::Malformed("the issuer"));
        }
        let endpoint = |text: &str| {
            Url::parse(text)
                .ok()
                .filter(is_safe)
                .ok_or(OidcError::Malformed("an endpoint"))
        };
        let optional = |text: Option<String>| text.as_deref().map(endpoint).transpose();
        Ok(Self {
            authorization: endpoint(&document.authorization_endpoint)?,
            token: endpoint(&document.token_endpoint)?,
            keys: endpoint(&document.jwks_uri)?,
            userinfo: optional(document.userinfo_endpoint)?,
            end_session: optional(document.end_session_endpoint)?,
            proofs: document.token_endpoint_auth_methods_supported,
        })
    }

    /// Tells whether we may prove who we are in that way; the first is what all take that do not say.
    pub(super) fn takes(&self, proof: &str) -> bool {
        match &self.proofs {
            Some(proofs) => proofs.iter().any(|one| one == proof),
            None => proof == "client_secret_basic",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn provider_that_is_away_is_left_alone_and_what_it_said_holds() {
        let mut known = Known::default();
        let late = || async { Err(OidcError::Late) };
        let said = |number: u8| async move { Ok(number) };

        let first = known.get(FRESH, late()).await;
        // Not asked again so soon.
        let second = known.get(FRESH, said(1)).await;
        known.failed = None;
        let third = known.get(FRESH, said(2)).await.unwrap();
        let fresh = known.get(FRESH, said(3)).await.unwrap();
        let renewed = known.get(Duration::ZERO, said(4)).await.unwrap();
        let held = known.get(Duration::ZERO, late()).await.unwrap();

        assert!(matches!(first, Err(OidcError::Late)));
        assert!(matches!(second, Err(OidcError::Away)));
        assert_eq!((*third, *fresh, *renewed, *held), (2, 2, 4, 4));
    }

    #[test]
    fn endpoints_are_safe_and_the_issuer_is_the_one_that_was_asked() {
        let document = |changes: Value| {
            let mut document = json!({
                "issuer": "https://id.example.com",
                "authorization_endpoint": "https://id.example.com/a?x=1",
                "token_endpoint": "https://id.example.com/t",
                "jwks_uri": "https://id.example.com/k",
            });
            for (name, value) in changes.as_object().unwrap() {
                document[name] = value.clone();
            }
            let document = serde_json::from_value(document).unwrap();
            Metadata::read(document, "https://id.example.com").ok()
        };

        let plain = document(json!({})).unwrap();
        assert!(plain.takes("client_secret_basic") && !plain.takes("client_secret_post"));
        let post = json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
        assert!(!document(post).unwrap().takes("client_secret_basic"));
        for changes in [
            json!({"issuer": "https://id.example.com/"}),
            json!({"token_endpoint": "http://id.example.com/t"}),
            json!({"jwks_uri": "file:///etc/passwd"}),
            json!({"userinfo_endpoint": "http://10.0.0.1/"}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
        ] {
            assert!(document(changes.clone()).is_none(), "{changes}");
        }
    }
}
