// SPDX-License-Identifier: GPL-3.0-or-later
//! The disk: what waits in the hit log, and whether there is room for what it may have to hold.

use std::{fs, io, path::Path};

use common::config::Config;
use nix::sys::statvfs::statvfs;

use super::finding::Finding;

pub(super) fn hit_log(config: &Config) -> Finding {
    let folder = &config.collector.hit_log;
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) => {
            return Finding::wrong(
                "hit log",
                format!("\"{}\": {error}", folder.display()),
                "make the folder and give it to the collector's user, mode 0700",
            );
        }
    };
    let octets: u64 = files.iter().map(|(_, octets)| octets).sum();
    let unreadable = files.iter().any(|(name, _)| name.ends_with(".unreadable"));
    if unreadable {
        Finding::wrong(
            "hit log",
            "holds a file that could not be read",
            "look at the disk; the file is kept beside the others as \"….unreadable\"",
        )
    } else if octets > limit(config) / 2 {
        Finding::wrong(
            "hit log",
            format!("{octets} octets wait for the database, more than half of the limit"),
            "bring the database back, or raise \"collector.hit_log_size\"",
        )
    } else {
        Finding::ok("hit log", format!("{octets} octets wait for the database"))
    }
}

/// Checks that the hit log could grow to its limit, and that the journal has a disk with room.
pub(super) fn room(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, needed) in [
        (&config.collector.hit_log, limit(config)),
        (&config.collector.journal, JOURNAL),
    ] {
        match free(folder) {
            Some(free) if free < needed => findings.push(Finding::wrong(
                "disk",
                format!(
                    "\"{}\" has room for {} MB, and {} MB may be needed",
                    folder.display(),
                    free / MEGABYTE,
                    needed / MEGABYTE
                ),
                "make room, move the folder, or lower \"collector.hit_log_size\"",
            )),
            Some(free) => findings.push(Finding::ok(
                "disk",
                format!(
                    "\"{}\" has room for {} MB",
                    folder.display(),
                    free / MEGABYTE
                ),
            )),
            // A folder that is not there yet is made at start; the hit log's finding names one that cannot be read.
            None => {}
        }
    }
    findings
}

const MEGABYTE: u64 = 1_000_000;
/// What people took back, and signed heads, is little.
const JOURNAL: u64 = 10 * MEGABYTE;

fn limit(config: &Config) -> u64 {
    u64::try_from(config.collector.hit_log_size.0).unwrap_or(u64::MAX)
}

fn free(folder: &Path) -> Option<u64> {
    let system = statvfs(folder).ok()?;
    Some(system.blocks_available() * system.fragment_size())
}

fn files(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.push((name, entry.metadata()?.len()));
    }
    Ok(files)
}
