// SPDX-License-Identifier: GPL-3.0-or-later
//! The configuration: one TOML file for all programs, read once into types that cannot hold a contradiction.
//!
//! An unknown key, a value out of range, a contradiction or a missing controller field is an error that names file,
//! line and key. Every field documents its meaning, unit and default.

mod controller;
mod credentials;
mod lines;
mod oidc;
mod quantity;
mod sections;
mod server;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

pub use self::{
    controller::{ConsentRule, Controller, MinAssurance, MultiRecipient},
    oidc::{Oidc, is_safe},
    quantity::{Period, Size},
    sections::{
        Classify, Collector, Database, Keys, Mail, Milter, NameServer, Part, Retention, Secret,
        SignIn, Socket, Users,
    },
    server::SmtpServer,
};
use crate::ids::ControllerId;

/// Where the file lies unless `--config` or `FAIRTRACK_CONFIG` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/fairtrack/fairtrack.toml";

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub database: Database,
    pub keys: Keys,
    pub milter: Milter,
    pub collector: Collector,
    pub oidc: Option<Oidc>,
    pub mail: Mail,
    pub retention: Retention,
    pub classify: Classify,
    /// At least one.
    pub controllers: Vec<Controller>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("\"{}\", line {line}: {message}", path.display())]
    Invalid {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("failed to read configuration file \"{}\"", path.display())]
    Read { path: PathBuf, source: io::Error },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    database: Database,
    #[serde(default)]
    keys: Keys,
    #[serde(default)]
    milter: Milter,
    #[serde(default)]
    collector: Collector,
    oidc: Option<Oidc>,
    mail: Option<Mail>,
    #[serde(default)]
    retention: Retention,
    #[serde(default)]
    classify: Classify,
    #[serde(default)]
    controller: Vec<Spanned<Controller>>,
}

impl Config {
    /// Reads a file; secrets that the service manager hands over win over what it says, and `DATABASE_URL` in the
    /// environment wins over both.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or says something that cannot be meant.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let mut config = Self::parse(path, &text)?;
        if let Some(folder) = std::env::var_os(credentials::VARIABLE) {
            credentials::take(&mut config, Path::new(&folder))?;
        }
        if let Ok(url) = std::env::var("DATABASE_URL") {
            config.database.use_only(url);
        }
        Ok(config)
    }

    /// Reads a configuration from its text; `path` serves for messages only.
    ///
    /// # Errors
    ///
    /// Fails if the text says something that cannot be meant.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |offset: usize, message: String| ConfigError::Invalid {
            path: path.into(),
            line: text
                .bytes()
                .take(offset)
                .filter(|octet| *octet == b'\n')
                .count()
                + 1,
            message,
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let message = error.message().trim_end().replace('`', "\"");
            // A value that cannot be read does not tell whose it is.
            let is_named = |key: &str| message.contains(&format!("\"{key}\""));
            let key = lines::key_at(text, offset).filter(|key| !is_named(key));
            let message =
                key.map_or_else(|| message.clone(), |key| format!("\"{key}\": {message}"));
            invalid(offset, message)
        })?;
        if file.controller.is_empty() {
            return Err(invalid(
                text.len(),
                "at least one [[controller]] is required".into(),
            ));
        }
        let mut controllers: Vec<Controller> = Vec::with_capacity(file.controller.len());
        for spanned in file.controller {
            let start = spanned.span().start;
            let controller = spanned.into_inner();
            controller
                .check()
                .and_then(|()| controller.check_beside(&controllers))
                // The first key in quotation marks is the one to look at.
                .map_err(|message| {
                    let key = message.split('"').nth(1);
                    let place = key.and_then(|key| lines::place_of(text, start, key));
                    invalid(place.unwrap_or(start), message)
                })?;
            controllers.push(controller);
        }
        let mail = file.mail.unwrap_or_default();
        let config = Self {
            database: file.database,
            keys: file.keys,
            milter: file.milter,
            collector: file.collector,
            oidc: file.oidc,
            mail,
            retention: file.retention,
            classify: file.classify,
            controllers,
        };
        config.check().map_err(|(key, message)| {
            let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
            let start = lines::section(text, section).unwrap_or(0);
            let place = lines::place_of(text, start, name).or_else(|| lines::section(text, key));
            invalid(place.unwrap_or(start), format!("\"{key}\": {message}"))
        })?;
        Ok(config)
    }

    /// Returns the controller answerable for a login's mail: by the domain of the login, or the first one for a login
    /// without a domain. The second value is the login in normal form, with a domain.
    pub fn controller_of(&self, login: &str) -> Option<(&Controller, String)> {
        let login = login.trim().to_lowercase();
        match login.rsplit_once('@') {
            Some((_, domain)) => {
                let controller = self
                    .controllers
                    .iter()
                    .find(|controller| controller.owns(domain))?;
                Some((controller, login))
            }
            None if login.is_empty() => None,
            None => {
                let controller = self.controllers.first()?;
                let domain = controller.domains.first()?;
                let login = format!("{login}@{domain}");
                Some((controller, login))
            }
        }
    }

    /// Returns the controller with that name.
    pub fn controller(&self, id: &ControllerId) -> Option<&Controller> {
        self.controllers
            .iter()
            .find(|controller| controller.id == *id)
    }

    /// Returns the effective configuration as TOML-like lines, secrets left out.
    pub fn effective(&self) -> String {
        format!("{self:#?}")
    }

    /// Returns a small valid configuration: one controller, `example`, for `example.com`.
    pub fn for_testing() -> Self {
        Self::parse(Path::new("testing.toml"), TESTING)
            .expect("the text below is valid, as a test checks")
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.retention.recording_window.0 > self.retention.messages.0 {
            return Err((
                "retention.recording_window",
                "longer than \"messages\": hits would outlive what they belong to".into(),
            ));
        }
        if self.retention.recording_window.0 > self.retention.hits.0 {
            return Err((
                "retention.recording_window",
                "longer than \"hits\": a message would lose hits while others are still counted"
                    .into(),
            ));
        }
        if self.mail.digest_hour > 23 {
            return Err(("mail.digest_hour", "must be from 0 to 23".into()));
        }
        match (&self.oidc, &self.collector.sign_in) {
            (Some(oidc), SignIn::Oidc) => oidc.check()?,
            (None, SignIn::Oidc) => {
                return Err((
                    "collector.sign_in",
                    "\"[oidc]\" is required when this is \"oidc\"".into(),
                ));
            }
            (Some(_), _) => {
                return Err((
                    "oidc",
                    "of no use unless \"collector.sign_in\" is \"oidc\"".into(),
                ));
            }
            (None, _) => {}
        }
        if self.milter.deadline.0.is_zero() {
            return Err(("milter.deadline", "must be longer than nothing".into()));
        }
        let splits = |controller: &Controller| controller.multi_recipient == MultiRecipient::Split;
        if self.milter.reinject.is_none() && self.controllers.iter().any(splits) {
            return Err((
                "controller.multi_recipient",
                "\"milter.reinject\" is required when this is \"split\"".into(),
            ));
        }
        Ok(())
    }
}

const TESTING: &str = r#"
[[controller]]
id = "example"
name = "Example Sp. z o.o."
address = "ul. Prosta 1, 00-001 Warszawa"
contact = "privacy@example.com"
authority = "UODO"
domains = ["example.com"]
public_url = "https://track.example.com"
language = "en"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Config::parse(Path::new("f.toml"), text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn example_of_the_contract_is_read() {
        let text = r#"
[database]
url = "postgres:///fairtrack?host=/run/postgresql"
[keys]
file = "/etc/fairtrack/keys"
[milter]
socket = "unix:/run/fairtrack/milter.sock"
max_message_size = "25MB"
deadline = "1500ms"
max_sessions = 1000
users = "all"
[collector]
listen = "127.0.0.1:8080"
admin_listen = "127.0.0.1:8081"
trusted_proxies = ["127.0.0.1/32", "::1/128"]
hit_log = "/var/lib/fairtrack/hits"
sign_in = "mail"
[mail]
smtp = "smtp://127.0.0.1:25"
from = "Fairtrack <noreply@example.com>"
[retention]
hits = "90d"
messages = "90d"
recording_window = "30d"
consent_proof = "3y"
[[controller]]
id = "example"
name = "Example Sp. z o.o."
address = "ul. Prosta 1, 00-001 Warszawa"
contact = "privacy@example.com"
authority = "UODO"
domains = ["example.com"]
public_url = "https://track.example.com"
language = "pl"
consent = "required"
min_assurance = "attested"
multi_recipient = "all"
internal = false
opens = true
links = true
text_links = true
exclude_recipients = []
exclude_links = []
"#;
        let config = Config::parse(Path::new("f.toml"), text).unwrap();

        assert_eq!(config.milter.max_message_size.0, 25_000_000);
        assert_eq!(config.milter.deadline.0.as_millis(), 1500);
        assert_eq!(config.controllers[0].multi_recipient, MultiRecipient::All);
    }

    #[test]
    fn unknown_key_is_named_with_its_line() {
        let text = TESTING.replace("language", "langauge");

        let message = message(&text);

        assert!(
            message.starts_with("\"f.toml\", line 10: ") && message.contains("langauge"),
            "{message}"
        );
    }

    #[test]
    fn value_that_cannot_be_read_is_named_with_its_key_and_line() {
        for (section, line) in [
            ("milter", "deadline = \"15\""),
            ("milter", "max_message_size = \"25 XB\""),
            ("milter", "socket = \"foo\""),
            ("retention", "hits = \"1000y\""),
            ("keys", "file = 3"),
            ("collector", "admin_listen = \"foo\""),
            ("collector", "trusted_proxies = [\"127.0.0.1\",\n\"x\"]"),
        ] {
            let comment = line.replace('\n', "\n# ");
            let message = message(&format!("# {comment}\n[{section}]\n{line}\n{TESTING}"));

            let key = line.split(' ').next().unwrap();
            let place = line.lines().count() + 2;
            assert!(
                message.starts_with(&format!("\"f.toml\", line {place}: \"{key}\": ")),
                "{message}"
            );
        }
        let message = message(&TESTING.replace("language = \"en\"", "language = \"xx\""));
        assert!(
            message.starts_with("\"f.toml\", line 10: \"language\": "),
            "{message}"
        );
    }

    #[test]
    fn rule_that_is_broken_names_the_line_of_its_key() {
        for (text, start) in [
            (
                TESTING.replace("https://track.example.com", "http://a.example/x"),
                "line 9: ",
            ),
            (TESTING.replace("[\"example.com\"]", "[]"), "line 8: "),
            (
                format!(
                    "# hits, messages\n[retention]\nmessages = \"60d\"\nrecording_window = \"70d\"\n{TESTING}"
                ),
                "line 4: ",
            ),
        ] {
            let message = message(&text);

            assert!(
                message.starts_with(&format!("\"f.toml\", {start}")),
                "{message}"
            );
        }
    }

    #[test]
    fn missing_controller_field_is_named_with_its_line() {
        let message = message(&TESTING.replace("contact = \"privacy@example.com\"\n", ""));

        assert!(
            message.starts_with("\"f.toml\", line 2: ") && message.contains("contact"),
            "{message}"
        );
    }

    #[test]
    fn consent_not_required_needs_a_basis() {
        let message = message(&format!("{TESTING}consent = \"not-required\"\n"));

        assert!(message.contains("basis"), "{message}");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        assert!(message(&TESTING.replace("https://track", "http://track")).contains("public_url"));
        assert!(
            Config::parse(
                Path::new("f"),
                &TESTING.replace("https://track.example.com", "http://127.0.0.1:8080")
            )
            .is_ok()
        );
    }

    #[test]
    fn splitting_needs_a_listener_that_takes_copies() {
        let text = format!("{TESTING}multi_recipient = \"split\"\n");
        let listener = "[milter]\nreinject = \"smtp://127.0.0.1:10026\"\n";

        let message = message(&text);

        assert!(
            message.starts_with("\"f.toml\", line 11: ") && message.contains("milter.reinject"),
            "{message}"
        );
        assert!(Config::parse(Path::new("f"), &format!("{text}{listener}")).is_ok());
    }

    #[test]
    fn provider_and_the_word_for_it_go_together() {
        let word = "[collector]\nsign_in = \"oidc\"\n";
        let section = "[oidc]\nissuer = \"https://id.example.com\"\nclient_id = \"x\"\n";

        assert!(message(&format!("{word}{TESTING}")).contains("\"[oidc]\" is required"));
        assert!(message(&format!("{section}{TESTING}")).contains("of no use"));
        assert!(message(&format!("{word}{section}secret = \"x\"\n{TESTING}")).contains("secret"));
        let both = format!("{word}{section}client_secret = \"hidden-one\"\n{TESTING}");
        let config = Config::parse(Path::new("f"), &both).unwrap();
        assert_eq!(config.collector.sign_in, SignIn::Oidc);
        assert!(!config.effective().contains("hidden-one"));
    }

    #[test]
    fn two_controllers_cannot_own_one_domain() {
        let second = TESTING.replace("id = \"example\"", "id = \"second\"");

        assert!(message(&format!("{TESTING}{second}")).contains("example.com"));
    }

    #[test]
    fn login_is_mapped_by_its_domain() {
        let config = Config::for_testing();

        assert_eq!(config.controller_of("Anna").unwrap().1, "anna@example.com");
        assert_eq!(
            config.controller_of("Anna@Example.COM").unwrap().1,
            "anna@example.com"
        );
        assert!(config.controller_of("anna@elsewhere.example").is_none());
        assert!(config.controller_of("").is_none());
    }
}
