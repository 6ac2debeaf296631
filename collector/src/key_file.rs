// SPDX-License-Identifier: GPL-3.0-or-later
//! The key file, watched: a new key must verify here before a milter signs with it, or links of new mail lead nowhere.

use std::{fs::Metadata, os::unix::fs::MetadataExt, path::Path, time::Duration};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// By what one state of the file is told from another: who rotates a key replaces the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp(Option<(u64, i64, i64, u64)>);

impl Stamp {
    /// Returns that of the file as it is.
    pub(crate) async fn of(path: &Path) -> Self {
        let stamp = |file: Metadata| (file.ino(), file.mtime(), file.mtime_nsec(), file.size());
        Self(tokio::fs::metadata(path).await.ok().map(stamp))
    }

    /// Waits until the file is another, and returns its stamp.
    pub(crate) async fn next(self, path: &Path) -> Self {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = Self::of(path).await;
            if now != self {
                return now;
            }
        }
    }
}
