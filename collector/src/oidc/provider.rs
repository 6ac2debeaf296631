// SPDX-License-Identifier: GPL-3.0-or-later
//! The provider: where browsers are sent, and what it says of whoever comes back from there.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use common::config::{Oidc, Secret};
use hyper::{Request, header};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use super::{
    id_token::{self, Expected, Said, TokenError},
    keys::Keys,
    published::{Document, FRESH, Known, Metadata},
    question::{ask, asking, get, octets, path, whole},
};
use crate::exchange::ExchangeError;

/// A provider; what it publishes is fetched when it is first needed, and again from time to time.
pub struct Provider {
    config: Oidc,
    secret: Option<Secret>,
    metadata: Mutex<Known<Metadata>>,
    keys: Mutex<Known<Keys>>,
}

#[derive(Deserialize)]
struct Redeemed {
    id_token: String,
    access_token: Option<String>,
}

/// What the browser brings back from the provider.
#[derive(Deserialize)]
pub struct Returned {
    pub code: Option<String>,
    pub state: Option<String>,
    /// RFC 9207: who answers.
    pub iss: Option<String>,
}

/// What goes with an attempt to and from the provider.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) redirect: &'a str,
    pub(crate) nonce: &'a str,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the provider did not answer a moment ago")]
    Away,
    #[error("the answer belongs to no attempt of this browser, or comes too late")]
    Attempt,
    #[error("failed to ask the provider")]
    Exchange(#[from] ExchangeError),
    #[error("the provider does not answer in time")]
    Late,
    #[error("the provider names no login, or one of another organisation")]
    Login,
    #[error("{0} of the provider cannot be used")]
    Malformed(&'static str),
    #[error("the user may not sign in")]
    NotAdmitted,
    #[error("the provider refused")]
    Refused,
    #[error("the provider answered the {0} with status {1}")]
    Status(&'static str, u16),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the host of the provider is not known")]
    Unknown,
    #[error("the provider does not say that the address is verified")]
    Unverified,
}

/// Keys are not asked for more often than this, whatever tokens name.
const KEYS_AT_MOST_EVERY: Duration = Duration::from_secs(30);

impl Provider {
    /// Makes a provider; nothing is asked yet.
    pub fn new(config: Oidc, secret: Option<Secret>) -> Self {
        Self {
            config,
            secret,
            metadata: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// Returns where to send a browser.
    ///
    /// # Errors
    ///
    /// Fails if the provider does not say where.
    pub(crate) async fn sign_in_url(
        &self,
        terms: Terms<'_>,
        state: &str,
        challenge: &str,
    ) -> Result<Url, OidcError> {
        let metadata = self.metadata().await?;
        let mut url = metadata.authorization.clone();
        let wanted = self.config.scopes.iter().map(String::as_str);
        let mut scopes = vec!["openid"];
        scopes.extend(wanted.filter(|scope| *scope != "openid"));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", terms.redirect)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", state)
            .append_pair("nonce", terms.nonce)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Returns where a browser ends its session with the provider; `None` where that is not offered.
    ///
    /// # Errors
    ///
    /// Fails if the provider does not answer.
    pub(crate) async fn sign_out_url(&self, back: &str) -> Result<Option<Url>, OidcError> {
        let metadata = self.metadata().await?;
        Ok(metadata.end_session.clone().map(|mut url| {
            url.query_pairs_mut()
                .append_pair("client_id", &self.config.client_id)
                .append_pair("post_logout_redirect_uri", back);
            url
        }))
    }

    /// Redeems a code and returns the login that the provider vouches for, as it spells it.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub(crate) async fn login(
        &self,
        returned: &Returned,
        terms: Terms<'_>,
        verifier: &str,
        now: DateTime<Utc>,
    ) -> Result<String, OidcError> {
        let is_other = |issuer: &String| *issuer != self.config.issuer;
        if returned.iss.as_ref().is_some_and(is_other) {
            return Err(TokenError::Issuer.into());
        }
        let code = returned.code.as_deref().ok_or(OidcError::Refused)?;
        let metadata = self.metadata().await?;
        let redeemed = self
            .redeem(&metadata, code, terms.redirect, verifier)
            .await?;
        let mut said = self
            .read(&metadata, &redeemed.id_token, terms.nonce, now)
            .await?;
        if !said.claims.contains_key(&self.config.claim)
            && let (Some(endpoint), Some(token)) = (&metadata.userinfo, &redeemed.access_token)
        {
            // By the standard, this is where claims are when there is an access token, too.
            said.claims = userinfo(endpoint, token, &said.subject).await?;
        }
        self.login_in(&said.claims)
    }

    fn login_in(&self, claims: &Map<String, Value>) -> Result<String, OidcError> {
        let claim = &self.config.claim;
        let login = claims.get(claim).and_then(Value::as_str);
        let login = login.ok_or(OidcError::Login)?;
        if claim == "email" {
            let verified = claims.get("email_verified");
            // Not every provider knows that this is a truth value.
            let is_verified =
                verified.is_some_and(|said| *said == Value::Bool(true) || said == "true");
            if self.config.require_verified && !is_verified {
                return Err(OidcError::Unverified);
            }
            // Only other claims may leave the domain to us.
            if !login.contains('@') {
                return Err(OidcError::Login);
            }
        }
        Ok(login.to_owned())
    }

    async fn redeem(
        &self,
        metadata: &Metadata,
        code: &str,
        redirect: &str,
        verifier: &str,
    ) -> Result<Redeemed, OidcError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect)
            .append_pair("code_verifier", verifier);
        let mut request = asking(Request::post(path(&metadata.token)), &metadata.token)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        match &self.secret {
            Some(secret) if metadata.takes("client_secret_basic") => {
                // RFC 6749, section 2.3.1: encoded before they are put together.
                let encoded = |text: &str| -> String {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                let pair = format!(
                    "{}:{}",
                    encoded(&self.config.client_id),
                    encoded(secret.expose())
                );
                let proof = format!("Basic {}", STANDARD.encode(pair));
                request = request.header(header::AUTHORIZATION, proof);
            }
            Some(secret) => {
                form.append_pair("client_id", &self.config.client_id)
                    .append_pair("client_secret", secret.expose());
            }
            None => {
                form.append_pair("client_id", &self.config.client_id);
            }
        }
        let request = whole(request, form.finish())?;
        ask("code", &metadata.token, request).await
    }

    async fn read(
        &self,
        metadata: &Metadata,
        token: &str,
        nonce: &str,
        now: DateTime<Utc>,
    ) -> Result<Said, OidcError> {
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce,
            now,
        };
        let keys = self.keys(metadata, FRESH).await?;
        match id_token::read(token, &keys, expected) {
            // Providers change their keys when they like.
            Err(TokenError::UnknownKey) => {
                let keys = self.keys(metadata, KEYS_AT_MOST_EVERY).await?;
                Ok(id_token::read(token, &keys, expected)?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        let mut known = self.metadata.lock().await;
        known.get(FRESH, self.discover()).await
    }

    async fn discover(&self) -> Result<Metadata, OidcError> {
        let base = self.config.issuer.trim_end_matches('/');
        let place = format!("{base}/.well-known/openid-configuration");
        let url = Url::parse(&place).map_err(|_malformed| OidcError::Malformed("the issuer"))?;
        let document: Document = get("discovery document", &url).await?;
        Metadata::read(document, &self.config.issuer)
    }

    async fn keys(&self, metadata: &Metadata, fresh: Duration) -> Result<Arc<Keys>, OidcError> {
        let url = &metadata.keys;
        let fetch = async {
            let request = whole(asking(Request::get(path(url)), url), String::new())?;
            let text = octets("keys", url, request).await?;
            Keys::read(&text).ok_or(OidcError::Malformed("the set of keys"))
        };
        let mut known = self.keys.lock().await;
        known.get(fresh, fetch).await
    }
}

/// Asks for claims; they count if they are about the subject of the ID token.
async fn userinfo(
    endpoint: &Url,
    token: &str,
    subject: &str,
) -> Result<Map<String, Value>, OidcError> {
    let request = asking(Request::get(path(endpoint)), endpoint)
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let request = whole(request, String::new())?;
    let claims: Map<String, Value> = ask("claims", endpoint, request).await?;
    if claims.get("sub").and_then(Value::as_str) == Some(subject) {
        Ok(claims)
    } else {
        Err(OidcError::Malformed("the claims"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider(more: &str) -> Provider {
        let text = format!("issuer = \"https://id.example.com\"\nclient_id = \"x\"\n{more}");
        Provider::new(toml::from_str(&text).unwrap(), None)
    }

    fn login(provider: &Provider, claims: Value) -> Option<String> {
        provider.login_in(claims.as_object().unwrap()).ok()
    }

    #[test]
    fn address_counts_where_the_provider_calls_it_verified() {
        let strict = provider("");
        let anna = Some("anna@example.com".to_owned());

        for verified in [json!(true), json!("true")] {
            let claims = json!({"email": "anna@example.com", "email_verified": verified});
            assert_eq!(login(&strict, claims), anna);
        }
        for claims in [
            json!({"email": "anna@example.com"}),
            json!({"email": "anna@example.com", "email_verified": false}),
            json!({"email": "anna@example.com", "email_verified": "yes"}),
            json!({"email": "anna", "email_verified": true}),
            json!({"email": ["anna@example.com"], "email_verified": true}),
            json!({"upn": "anna@example.com", "email_verified": true}),
        ] {
            assert_eq!(login(&strict, claims.clone()), None, "{claims}");
        }
        let lenient = provider("require_verified = false");
        assert_eq!(login(&lenient, json!({"email": "anna@example.com"})), anna);
        let other = provider("claim = \"upn\"");
        assert_eq!(login(&other, json!({"upn": "anna@example.com"})), anna);
        assert_eq!(login(&other, json!({"email": "anna@example.com"})), None);
    }
}
