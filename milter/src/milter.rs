// SPDX-License-Identifier: GPL-3.0-or-later
//! What all conversations share: settings that can be exchanged while mail flows, and bounds on memory and work.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use common::{
    config::{Config, Controller, Part},
    db::Db,
    keys::KeyRing,
    reason::SkipReason,
};

use crate::{
    budget::Budget,
    database::Database,
    health::{Health, Silence},
    return_path::ReturnPath,
    session::Limits,
    unanswered::Unanswered,
    workshop::Workshop,
};

/// The milter of one process.
pub struct Milter {
    settings: RwLock<Arc<Settings>>,
    pub(crate) database: Database,
    pub(crate) unanswered: Unanswered,
    pub(crate) workshop: Workshop,
    pub(crate) health: Health,
    pub(crate) return_path: ReturnPath,
    budget: Arc<Budget>,
}

/// Configuration and keys, as they stand at one time.
pub struct Settings {
    pub config: Config,
    pub keys: KeyRing,
    /// Whether the database has the controllers of this configuration.
    are_controllers_saved: AtomicBool,
}

impl Milter {
    /// Makes a milter. Nothing is connected yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let database = Database::new(Db::new(&settings.config.database, Part::Milter));
        Arc::new(Self {
            unanswered: Unanswered::new(database.clone()),
            database,
            workshop: Workshop::new(cores),
            health: Health::default(),
            return_path: ReturnPath::default(),
            budget: Budget::new(settings.config.milter.max_in_flight.0),
            settings: RwLock::new(Arc::new(settings)),
        })
    }

    /// Returns the settings of now.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Exchanges the settings; messages in work keep those with which they began.
    pub fn replace_settings(&self, settings: Settings) {
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Returns a reason while the links that we would write for a controller led nowhere.
    pub(crate) fn silence(
        &self,
        settings: &Settings,
        controller: &Controller,
    ) -> Option<SkipReason> {
        let is_up = !settings.config.milter.health_gate
            || self.health.is_up(controller.base_url(), Instant::now());
        (!is_up).then_some(SkipReason::CollectorDown)
    }

    /// Notes that the collector at a base URL did not answer at that time, as the watch does.
    pub fn note_silence(&self, base: &str, at: Instant) {
        self.health.take(base, Err(Silence::Late), at);
    }

    /// Returns what a session may keep in memory.
    pub fn limits(&self) -> Limits {
        Limits {
            message_size: self.settings().config.milter.max_message_size.0,
            budget: Arc::clone(&self.budget),
            mta_size: None,
        }
    }
}

impl Settings {
    /// Puts configuration and keys together.
    pub fn new(config: Config, keys: KeyRing) -> Self {
        Self {
            config,
            keys,
            are_controllers_saved: AtomicBool::new(false),
        }
    }

    pub(crate) fn are_controllers_saved(&self) -> bool {
        self.are_controllers_saved.load(Ordering::Acquire)
    }

    pub(crate) fn set_controllers_saved(&self) {
        self.are_controllers_saved.store(true, Ordering::Release);
    }
}
