// SPDX-License-Identifier: GPL-3.0-or-later
//! Wakes the settling job when a hit comes in that is due before it means to look.

use std::{
    sync::atomic::{AtomicI64, Ordering::SeqCst},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

/// An alarm clock that others may set earlier.
#[derive(Default)]
pub struct Alarm {
    /// Until when the sleeper means to sleep, in milliseconds; 0 when it is awake, and may have looked too early.
    until: AtomicI64,
    ring: Notify,
}

impl Alarm {
    /// Sleeps for a time, or until what is due earlier is announced.
    pub async fn sleep(&self, time: Duration) {
        let until = Utc::now() + TimeDelta::from_std(time).unwrap_or_default();
        self.until.store(until.timestamp_millis(), SeqCst);
        // What rang before it lay down is remembered by the bell.
        let _either = tokio::time::timeout(time, self.ring.notified()).await;
        self.until.store(0, SeqCst);
    }

    /// Announces that something is due at a time.
    pub fn set(&self, due: DateTime<Utc>) {
        let until = self.until.load(SeqCst);
        if until == 0 || due.timestamp_millis() < until {
            self.ring.notify_one();
        }
    }
}
