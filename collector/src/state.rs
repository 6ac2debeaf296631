// SPDX-License-Identifier: GPL-3.0-or-later
//! What handlers and jobs share.

use std::sync::Arc;

use common::{config::Config, db::Db, keys::KeyRing};

use crate::{
    exchangers::Exchangers, live::Live, mail::Mailer, oidc::Provider, recipient::desk::Desk,
};

/// What handlers and jobs share; cheap to clone.
#[derive(Clone)]
pub struct State {
    pub config: Arc<Config>,
    pub db: Db,
    pub keys: Arc<KeyRing>,
    pub mailer: Mailer,
    /// Mails links to recipients, within limits.
    pub desk: Desk,
    pub live: Live,
    /// Where users sign in by OpenID Connect.
    pub oidc: Option<Arc<Provider>>,
    /// Who takes the mail of whom.
    pub exchangers: Exchangers,
}
