// SPDX-License-Identifier: GPL-3.0-or-later
//! The local hit log: where hits wait while the database is slow or away.
//!
//! One thread writes; all that came in meanwhile shares one `fsync`, and is acknowledged after it. Files are numbered;
//! the newest is written to, older ones wait to be replayed and are then deleted. Where the disk does not take a hit,
//! or the log has reached its size, the hit is lost: that is counted, and logged once until things are well again.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use tokio::sync::Notify;

use super::{
    Safety, Waiting,
    segment::{self, Segment},
};
use crate::metrics::Metrics;

/// Hands hits to the log; cheap to clone. The writing thread ends, all being written, when the last one is dropped.
#[derive(Clone)]
pub struct HitLog {
    orders: SyncSender<Order>,
    shelf: Arc<Shelf>,
    metrics: Arc<Metrics>,
}

/// The files that wait to be replayed, oldest first.
struct Shelf {
    sealed: Mutex<VecDeque<PathBuf>>,
    /// Told whenever something was written or sealed.
    changed: Notify,
}

/// Why a hit log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("hit log \"{}\" is in use by another collector", .0.display())]
    InUse(PathBuf),
    #[error("failed to open hit log \"{}\"", path.display())]
    Open { path: PathBuf, source: io::Error },
}

enum Order {
    Append(Vec<Waiting>),
    Seal,
}

/// A file is sealed when it has grown to this, so that what is replayed can be deleted piece by piece.
const SEGMENT_OCTETS: u64 = 16_000_000;
/// Batches that may wait for the disk; what is more is lost rather than kept in memory without end.
const WAITING_BATCHES: usize = 256;

impl HitLog {
    /// Opens the log in a folder, making it if need be; what an earlier run left there waits to be replayed.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be used, or another collector uses it.
    pub fn open(folder: &Path, size_limit: usize, metrics: Arc<Metrics>) -> Result<Self, LogError> {
        let open_error = |source| LogError::Open {
            path: folder.into(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(open_error)?;
        let lock = File::create(folder.join("lock")).map_err(open_error)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::Error(source) => open_error(source),
            fs::TryLockError::WouldBlock => LogError::InUse(folder.into()),
        })?;
        let found = sealed_files(folder).map_err(open_error)?;
        let next = found.last().map_or(1, |(number, _)| number + 1);
        let octets = found.iter().filter_map(|(_, path)| octets_of(path)).sum();
        metrics.log_octets.set(octets);

        let shelf = Arc::new(Shelf {
            sealed: Mutex::new(found.into_iter().map(|(_, path)| path).collect()),
            changed: Notify::new(),
        });
        shelf.changed.notify_one();
        let (orders, inbox) = sync_channel(WAITING_BATCHES);
        let writer = Writer {
            folder: folder.into(),
            size_limit: u64::try_from(size_limit).unwrap_or(u64::MAX),
            next,
            segment: None,
            is_failing: false,
            shelf: Arc::clone(&shelf),
            metrics: Arc::clone(&metrics),
            _lock: lock,
        };
        thread::Builder::new()
            .name("hit-log".into())
            .spawn(move || writer.run(&inbox))
            .map_err(open_error)?;
        Ok(Self {
            orders,
            shelf,
            metrics,
        })
    }

    /// Hands hits over; each is acknowledged once it is on the disk, or known to be lost. Never waits.
    pub(super) fn append(&self, hits: Vec<Waiting>) {
        if hits.is_empty() {
            return;
        }
        match self.orders.try_send(Order::Append(hits)) {
            Ok(()) => {}
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => {
                if let Order::Append(hits) = order {
                    lose(hits, &self.metrics);
                }
            }
        }
    }

    /// Returns the oldest file to be replayed. Where only the file being written to holds hits, it is sealed first, so
    /// that a later call finds it.
    pub(super) fn oldest(&self) -> Option<PathBuf> {
        let oldest = self.shelf.lock().front().cloned();
        if oldest.is_none() && self.metrics.log_octets.value() > 0 {
            // A full inbox means that the thread will be asked again.
            let _asked_again = self.orders.try_send(Order::Seal);
        }
        oldest
    }

    /// Deletes a file whose hits are all in the database.
    pub(super) fn finish(&self, path: &Path) -> io::Result<()> {
        let octets = octets_of(path).unwrap_or(0);
        fs::remove_file(path)?;
        self.shelf.lock().retain(|sealed| sealed != path);
        self.metrics.log_octets.subtract(octets);
        Ok(())
    }

    /// Sets a file aside that cannot be read, or not all of it, for somebody to look at.
    pub(super) fn set_aside(&self, path: &Path) {
        let octets = octets_of(path).unwrap_or(0);
        // Numbers are given again after a restart: what was set aside before is not written over.
        let aside = (0..u32::MAX)
            .map(|again| match again {
                0 => path.with_extension("unreadable"),
                _ => path.with_extension(format!("{again}.unreadable")),
            })
            .find(|aside| !aside.exists());
        // Where not even that works, it is found again at the next start.
        let _kept = aside.map(|aside| fs::rename(path, aside));
        self.shelf.lock().retain(|sealed| sealed != path);
        self.metrics.log_octets.subtract(octets);
    }

    /// Waits until something was written or sealed.
    pub(super) async fn changed(&self) {
        self.shelf.changed.notified().await;
    }

    /// Tells whether nothing waits to be replayed.
    pub fn is_empty(&self) -> bool {
        self.metrics.log_octets.value() == 0
    }
}

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<PathBuf>> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    folder: PathBuf,
    size_limit: u64,
    next: u64,
    segment: Option<Segment>,
    /// Whether the last attempt failed, and was logged.
    is_failing: bool,
    shelf: Arc<Shelf>,
    metrics: Arc<Metrics>,
    /// Held as long as the thread lives.
    _lock: File,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Order>) {
        while let Ok(first) = inbox.recv() {
            let mut hits = Vec::new();
            let mut must_seal = false;
            // What came in during the last write shares the next one.
            for order in std::iter::once(first).chain(inbox.try_iter().take(WAITING_BATCHES)) {
                match order {
                    Order::Append(batch) => hits.extend(batch),
                    Order::Seal => must_seal = true,
                }
            }
            if !hits.is_empty() {
                self.write(hits);
            }
            if must_seal {
                self.seal();
            }
        }
        self.seal();
    }

    fn write(&mut self, hits: Vec<Waiting>) {
        let mut records = Vec::with_capacity(hits.len() * 512);
        let encoded = hits
            .iter()
            .try_for_each(|waiting| segment::encode(&waiting.hit, &mut records));
        match encoded.and_then(|()| self.append(&records)) {
            Ok(()) => {
                self.is_failing = false;
                self.metrics.log_failing.set(0);
                self.metrics.logged.add(widen(hits.len()));
                for waiting in hits {
                    waiting.done(Safety::Logged);
                }
            }
            Err(error) => {
                if !self.is_failing {
                    tracing::error!(
                        "hits are lost: the hit log \"{}\" takes none: {error}",
                        self.folder.display()
                    );
                }
                self.is_failing = true;
                self.metrics.log_failing.set(1);
                lose(hits, &self.metrics);
            }
        }
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let added = widen(records.len());
        if self.metrics.log_octets.value().saturating_add(added) > self.size_limit {
            return Err(io::Error::other("it has reached its size limit"));
        }
        if self
            .segment
            .as_ref()
            .is_some_and(|segment| segment.length() > SEGMENT_OCTETS)
        {
            self.seal();
        }
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => {
                let path = self.folder.join(format!("{:016x}.hits", self.next));
                self.next += 1;
                let segment = none.insert(Segment::create(path)?);
                self.metrics.log_octets.add(segment.length());
                segment
            }
        };
        let result = segment.append(records);
        match result {
            Ok(()) => self.metrics.log_octets.add(added),
            // Nothing more goes into a file whose end is in doubt.
            Err(_) => self.seal(),
        }
        self.shelf.changed.notify_one();
        result
    }

    fn seal(&mut self) {
        if let Some(segment) = self.segment.take() {
            self.shelf.lock().push_back(segment.path().to_owned());
            self.shelf.changed.notify_one();
        }
    }
}

fn lose(hits: Vec<Waiting>, metrics: &Metrics) {
    metrics.lost.add(widen(hits.len()));
    for waiting in hits {
        waiting.done(Safety::Lost);
    }
}

fn sealed_files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "hits") {
            continue;
        }
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| u64::from_str_radix(stem, 16).ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort();
    Ok(found)
}

fn octets_of(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|file| file.len())
}

fn widen(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
