// SPDX-License-Identifier: GPL-3.0-or-later
//! What processes cost, as the kernel counts it.

use std::{fs, process::Command, time::Duration};

/// A process and all that it started.
pub struct Family {
    root: u32,
}

impl Family {
    /// Names a family by its oldest process.
    pub fn of(root: u32) -> Self {
        Self { root }
    }

    /// Returns the CPU time that the family took so far, ended members included where their parent waited for them.
    pub fn time(&self) -> Duration {
        let ticks: u64 = members(self.root)
            .iter()
            .map(|id| ticks(*id, *id == self.root))
            .sum();
        Duration::from_millis(ticks * 1000 / TICKS)
    }

    /// Returns the memory of the oldest process that is in use, in KiB.
    pub fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Returns the most memory of the oldest process that was ever in use, in KiB.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.root)).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }
}

/// Keeps a process, and what it starts from now on, on one CPU; does nothing where that is not possible.
pub fn pin(process: u32, cpu: usize) {
    let _ = Command::new("taskset")
        .args(["-a", "-c", "-p", &cpu.to_string(), &process.to_string()])
        .output();
}

/// Returns the process that started another.
pub fn parent(process: u32) -> u32 {
    fields(process)
        .get(1)
        .copied()
        .unwrap_or(0)
        .try_into()
        .unwrap()
}

/// `USER_HZ`, which Linux has fixed on all machines that we meet.
const TICKS: u64 = 100;

fn members(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(id) = found.get(next).copied() {
        next += 1;
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        found.extend(
            children
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|child| child.parse::<u32>().ok()),
        );
    }
    found
}

fn ticks(process: u32, with_ended: bool) -> u64 {
    let fields = fields(process);
    let end = if with_ended { 15 } else { 13 };
    fields.get(11..end).unwrap_or_default().iter().sum()
}

/// The numbers after the name in `/proc/ID/stat`: state (0 here), parent, …; 11 to 14 are times.
fn fields(process: u32) -> Vec<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
    rest.split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect()
}
