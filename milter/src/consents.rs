// SPDX-License-Identifier: GPL-3.0-or-later
//! What the decision needs from the database: who writes, with which settings, and where each recipient stands.

use common::{
    address::Address,
    config::{Controller, Users},
    consent::Standing,
    db::{Connection, DbError, standings, users},
    reason::SkipReason,
};

use crate::{
    control::Choice,
    milter::Settings,
    policy::{self, Case, Splitting},
    registry,
};

/// What is asked about one message.
pub(crate) struct Inquiry<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) controller: &'a Controller,
    /// In normal form.
    pub(crate) login: &'a str,
    pub(crate) choice: &'a Choice,
    pub(crate) obstacle: Option<SkipReason>,
    /// Each once, without control addresses.
    pub(crate) recipients: &'a [Option<Address>],
    pub(crate) newcomers: Newcomers,
    pub(crate) splitting: Splitting,
}

/// What to do about a login that has no row yet and makes a choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Newcomers {
    Create,
    Imagine,
}

/// What the database says.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) user: Option<users::User>,
    pub(crate) standings: Vec<Standing>,
}

impl<'a> Inquiry<'a> {
    /// Puts question and facts together for the decision.
    pub(crate) fn case(&'a self, facts: &'a Facts) -> Case<'a> {
        Case {
            controller: self.controller,
            users: self.settings.config.milter.users,
            user: facts.user.as_ref(),
            choice: self.choice,
            obstacle: self.obstacle,
            recipients: self.recipients,
            standings: &facts.standings,
            splitting: self.splitting,
        }
    }

    /// Asks the database; for consent only if the answer can change anything.
    pub(crate) async fn gather(&self, connection: &mut Connection) -> Result<Facts, DbError> {
        let mut facts = Facts {
            user: self.user(connection).await?,
            standings: Vec::new(),
        };
        if policy::depends_on_consent(&self.case(&facts)) {
            let addresses: Vec<Address> = self.recipients.iter().flatten().cloned().collect();
            facts.standings = standings::by_address(
                &self.controller.id,
                &addresses,
                &self.settings.keys,
                connection,
            )
            .await?;
        }
        Ok(facts)
    }

    async fn user(&self, connection: &mut Connection) -> Result<Option<users::User>, DbError> {
        let id = &self.controller.id;
        let found = users::find(id, self.login, connection).await?;
        let is_newcomer = found.is_none()
            && policy::is_made(self.choice)
            && self.settings.config.milter.users == Users::All
            && self.newcomers == Newcomers::Create;
        if !is_newcomer {
            return Ok(found);
        }
        registry::save_controllers(self.settings, connection).await?;
        Ok(Some(
            users::find_or_create(id, self.login, connection).await?,
        ))
    }
}
