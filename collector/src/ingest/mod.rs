// SPDX-License-Identifier: GPL-3.0-or-later
//! From an answered request to a row: hits gather, one transaction takes them, the answer goes out after the commit.
//!
//! Design note: each worker thread of the server gathers its own batch and has its own connection. While one batch
//! commits, the next gathers by itself; nothing lingers. Where the database is slow or away, the batch goes to the
//! local log instead and is replayed later. A hit is named before it is handed over, and stored under that name once,
//! so a batch whose fate is unknown may safely go both ways.

mod alarm;
pub(crate) mod cover;
mod crowd;
mod hit;
mod log;
mod memory;
mod record;
mod replay;
mod segment;
mod writer;

use tokio::sync::oneshot;

pub use self::{
    alarm::Alarm,
    hit::{Hit, Trace},
    log::{HitLog, LogError},
    record::Recorder,
    replay::replay,
    writer::Ingest,
};

/// Where a hit is when its answer goes out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Safety {
    /// In the database, or dropped for a reason.
    Committed,
    /// In the local log, on the disk.
    Logged,
    /// Nowhere: neither the database nor the disk took it.
    Lost,
}

/// A hit whose answer waits.
struct Waiting {
    hit: Hit,
    answer: oneshot::Sender<Safety>,
}

impl Waiting {
    fn done(self, safety: Safety) {
        // The other side may have given up waiting, or gone.
        let _nobody_waits = self.answer.send(safety);
    }
}
