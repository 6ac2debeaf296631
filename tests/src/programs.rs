// SPDX-License-Identifier: GPL-3.0-or-later
//! The distribution's programs that tests need, and what happens where one is missing.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

/// A program of the distribution.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    Chromium,
    Dkimpy,
    Gnupg,
    Nginx,
    OpenDkim,
    PgBouncer,
    Postfix,
    PostgreSql,
    Systemd,
}

/// Ends a test, saying so, where a program that it needs is missing. Where `CI` is `true` that is a failure.
#[macro_export]
macro_rules! needs {
    ($($program:ident),+ $(,)?) => {
        if !$crate::programs::are_here(&[$($crate::programs::Program::$program),+]) {
            return;
        }
    };
}

/// Tells whether all these programs are here; says which is not.
///
/// # Panics
///
/// Panics if one is missing and `CI` is `true`.
pub fn are_here(programs: &[Program]) -> bool {
    let Some(missing) = programs.iter().find(|program| !program.is_here()) else {
        return true;
    };
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let line = format!("skipped {test}: it needs {}\n", missing.description());
    assert!(env::var("CI").as_deref() != Ok("true"), "{line}");
    // Not `eprintln!`: that is shown for failed tests only.
    let _ = std::io::stderr().write_all(line.as_bytes());
    false
}

impl Program {
    fn is_here(self) -> bool {
        match self {
            Self::Chromium => find("chromedriver").is_some(),
            Self::Dkimpy => Path::new("/usr/lib/python3/dist-packages/dkim").exists(),
            Self::Gnupg => find("gpg").is_some() && find("gpg-agent").is_some(),
            Self::Nginx => find("nginx").is_some() && find("curl").is_some(),
            Self::OpenDkim => find("opendkim").is_some() && find("openssl").is_some(),
            Self::PgBouncer => find("pgbouncer").is_some(),
            Self::Postfix => {
                crate::scratch::is_root()
                    && find("postfix").is_some()
                    && find("saslpasswd2").is_some()
            }
            Self::PostgreSql => postgresql("initdb").is_some(),
            Self::Systemd => find("systemd-analyze").is_some(),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium (packages chromium, chromium-driver)",
            Self::Dkimpy => "dkimpy (package python3-dkim)",
            Self::Gnupg => "GnuPG (packages gpg, gpg-agent)",
            Self::Nginx => "nginx and curl (packages nginx-light, curl)",
            Self::OpenDkim => "OpenDKIM (packages opendkim, opendkim-tools)",
            Self::PgBouncer => "PgBouncer (package pgbouncer)",
            Self::Postfix => {
                "Postfix with SASL and root's rights (packages postfix, sasl2-bin, libsasl2-modules, libsasl2-modules-db)"
            }
            Self::PostgreSql => "PostgreSQL (package postgresql)",
            Self::Systemd => "systemd-analyze (package systemd)",
        }
    }
}

/// Finds a program in `PATH` and where the system keeps its servers.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Finds a program of the newest PostgreSQL that is installed.
pub fn postgresql(name: &str) -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let program = entry.path().join("bin").join(name);
            program.is_file().then_some((version, program))
        })
        .collect();
    versions.sort();
    versions
        .pop()
        .map(|(_, program)| program)
        .or_else(|| find(name))
}
