// SPDX-License-Identifier: GPL-3.0-or-later
//! The Postfix of this host, as `postconf` tells of it.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What is known about the installed Postfix.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    pub(crate) version: String,
    pub(crate) queue_directory: PathBuf,
    /// Every service that runs smtpd.
    pub(crate) services: Vec<Service>,
    /// `main.cf` as it stands, and with names replaced by values.
    written: BTreeMap<String, String>,
    expanded: BTreeMap<String, String>,
}

/// A service of `master.cf` that runs smtpd.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Service {
    /// The name as `master.cf` has it: `submission`, `127.0.0.1:587`.
    pub(crate) name: String,
    pub(crate) is_chrooted: bool,
    /// The milters of the service, as they are written: its own, or else those of `main.cf`.
    pub(crate) milters: String,
    /// The same with names replaced by values.
    pub(crate) effective: String,
    /// Whether it demands or offers authentication by a setting of its own.
    pub(crate) authenticates: bool,
    pub(crate) has_proxy_filter: bool,
    /// Whether it is the way in of split messages, where the milter is asked by this name.
    pub(crate) takes_copies: bool,
}

impl Installed {
    /// Asks `postconf`; none if there is no Postfix here.
    pub(crate) fn read(folder: Option<&Path>) -> Option<Self> {
        let ask = |options: &[&str]| postconf(folder, options);
        let written = settings(&ask(&[])?);
        let expanded = settings(&ask(&["-x"])?);
        let written_services = settings(&ask(&["-P"])?);
        let expanded_services = settings(&ask(&["-x", "-P"])?);
        let value = |name: &str| expanded.get(name).cloned().unwrap_or_default();
        // With "-" in master.cf, what is the default changed with Postfix 3.0, but not for those who never said so.
        let chroots = value("compatibility_level").starts_with('0');
        let services = ask(&["-M"])?
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace();
                let name = fields.next()?.to_owned();
                let kind = fields.next()?;
                let is_chrooted = match fields.nth(2)? {
                    "-" => chroots,
                    answer => answer == "y",
                };
                if kind != "inet" || fields.nth(2)? != "smtpd" {
                    return None;
                }
                let own = |settings: &BTreeMap<String, String>, setting: &str| {
                    settings.get(&format!("{name}/inet/{setting}")).cloned()
                };
                Some(Service {
                    is_chrooted,
                    milters: own(&written_services, MILTERS)
                        .or_else(|| written.get(MILTERS).cloned())
                        .unwrap_or_default(),
                    effective: own(&expanded_services, MILTERS).unwrap_or_else(|| value(MILTERS)),
                    authenticates: own(&expanded_services, "smtpd_sasl_auth_enable").as_deref()
                        == Some("yes"),
                    has_proxy_filter: own(&expanded_services, "smtpd_proxy_filter")
                        .is_some_and(|filter| !filter.is_empty()),
                    takes_copies: own(&expanded_services, "milter_macro_daemon_name").as_deref()
                        == Some("FAIRTRACK-COPIES"),
                    name,
                })
            })
            .collect();
        Some(Self {
            version: value("mail_version"),
            queue_directory: value("queue_directory").into(),
            services,
            written,
            expanded,
        })
    }

    /// Returns the services that users submit to: those named, or else those whose name or authentication says so.
    pub(crate) fn submission(&self, named: &[String]) -> Vec<Service> {
        self.services
            .iter()
            .filter(|service| {
                if named.is_empty() {
                    service.is_for_submission()
                } else {
                    named.iter().any(|name| service.is_named(name))
                }
            })
            .cloned()
            .collect()
    }

    /// Returns a setting of `main.cf` as it is written there.
    pub(crate) fn written(&self, name: &str) -> &str {
        self.written.get(name).map_or("", String::as_str)
    }

    /// Returns a setting of `main.cf`, names in it replaced by values.
    pub(crate) fn expanded(&self, name: &str) -> &str {
        self.expanded.get(name).map_or("", String::as_str)
    }

    /// Tells whether Postfix tells milters how large a message may be.
    pub(crate) fn tells_limit(&self) -> bool {
        self.written(MACRO_DEFAULTS)
            .split([',', '{', '}'])
            .flat_map(|pair| pair.split_whitespace())
            .any(|word| word.split('=').next() == Some(LIMIT))
    }

    /// Returns version numbers that can be compared.
    pub(crate) fn version_numbers(&self) -> Vec<u32> {
        self.version
            .split(['.', '-'])
            .map_while(|number| number.parse().ok())
            .collect()
    }

    /// Makes one out of nothing, for tests.
    #[cfg(test)]
    pub(crate) fn for_testing(services: Vec<Service>, written: &[(&str, &str)]) -> Self {
        let written: BTreeMap<String, String> = written
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            version: "3.7.11".into(),
            queue_directory: "/var/spool/postfix".into(),
            services,
            expanded: written.clone(),
            written,
        }
    }
}

impl Service {
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name || format!("{}/inet", self.name) == name
    }

    pub(crate) fn is_for_submission(&self) -> bool {
        let port = self.name.rsplit(':').next().unwrap_or_default();
        self.authenticates || matches!(port, "submission" | "submissions" | "smtps" | "587" | "465")
    }
}

/// The setting that lists the milters of smtpd.
pub(crate) const MILTERS: &str = "smtpd_milters";

/// The setting that lists what milters are told besides.
pub(crate) const MACRO_DEFAULTS: &str = "milter_macro_defaults";

/// The setting that says how large a message may be, and the macro by which we are told.
pub(crate) const LIMIT: &str = "message_size_limit";

fn postconf(folder: Option<&Path>, options: &[&str]) -> Option<String> {
    let mut command = Command::new(program()?);
    if let Some(folder) = folder {
        command.arg("-c").arg(folder);
    }
    let output = command.args(options).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Users other than root rarely have the system's programs in their path.
fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join("postconf"))
        .find(|file| file.is_file())
}

fn settings(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}
