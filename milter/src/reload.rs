// SPDX-License-Identifier: GPL-3.0-or-later
//! Reading the configuration again while mail flows.
//!
//! What needs a restart keeps its old value, and a warning names it. A configuration that cannot be read changes nothing.

use std::path::Path;

use anyhow::Context;

use common::{config::Config, keys::KeyRing};

use crate::milter::{Milter, Settings};

/// Reads configuration and keys.
///
/// # Errors
///
/// Fails if either cannot be read or says something that cannot be meant.
pub fn read(path: &Path) -> anyhow::Result<Settings> {
    let config = Config::read(path)?;
    let keys = KeyRing::read(&config.keys.file).context("signing keys are needed")?;
    Ok(Settings::new(config, keys))
}

/// Reads configuration and keys again and puts them in use.
pub fn reload(path: &Path, milter: &Milter) {
    match read(path) {
        Ok(mut new) => {
            for key in keep_what_needs_a_restart(&milter.settings().config, &mut new.config) {
                tracing::warn!("\"{key}\" keeps its old value until a restart");
            }
            milter.replace_settings(new);
            tracing::info!("configuration read again");
        }
        Err(error) => tracing::error!("the old configuration stays in use: {error:#}"),
    }
}

/// Puts back the old values of what is fixed at start, and returns the keys that differed.
fn keep_what_needs_a_restart(old: &Config, new: &mut Config) -> Vec<&'static str> {
    fn keep<T: Clone + PartialEq>(
        key: &'static str,
        old: &T,
        new: &mut T,
        kept: &mut Vec<&'static str>,
    ) {
        if *new != *old {
            new.clone_from(old);
            kept.push(key);
        }
    }
    let mut kept = Vec::new();
    let (from, to) = (&old.database, &mut new.database);
    keep("database.url", &from.url, &mut to.url, &mut kept);
    keep(
        "database.milter_url",
        &from.milter_url,
        &mut to.milter_url,
        &mut kept,
    );
    keep(
        "database.connections",
        &from.connections,
        &mut to.connections,
        &mut kept,
    );
    let (from, to) = (&old.milter, &mut new.milter);
    keep("milter.socket", &from.socket, &mut to.socket, &mut kept);
    keep(
        "milter.socket_mode",
        &from.socket_mode,
        &mut to.socket_mode,
        &mut kept,
    );
    keep(
        "milter.socket_group",
        &from.socket_group,
        &mut to.socket_group,
        &mut kept,
    );
    keep("milter.journal", &from.journal, &mut to.journal, &mut kept);
    keep(
        "milter.max_in_flight",
        &from.max_in_flight,
        &mut to.max_in_flight,
        &mut kept,
    );
    keep(
        "milter.max_sessions",
        &from.max_sessions,
        &mut to.max_sessions,
        &mut kept,
    );
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fixed_at_start_keeps_its_value_and_is_named() {
        let old = Config::for_testing();
        let mut new = Config::for_testing();
        new.milter.max_sessions += 1;
        new.milter.journal = "/elsewhere".into();
        new.milter.deadline = common::config::Period::millis(7);

        let kept = keep_what_needs_a_restart(&old, &mut new);

        assert_eq!(kept, ["milter.journal", "milter.max_sessions"]);
        assert_eq!(new.milter.journal, old.milter.journal);
        assert_eq!(new.milter.max_sessions, old.milter.max_sessions);
        assert_eq!(new.milter.deadline.0.as_millis(), 7);
    }

    #[test]
    fn configuration_that_cannot_be_read_changes_nothing() {
        let milter = Milter::new(Settings::new(Config::for_testing(), KeyRing::for_testing()));
        let before = milter.settings();

        // The pool behind the milter is made without a runtime; nothing connects.
        reload(Path::new("/nonexistent/fairtrack.toml"), &milter);

        assert!(std::sync::Arc::ptr_eq(&before, &milter.settings()));
    }
}
