// SPDX-License-Identifier: GPL-3.0-or-later
//! The sections of the configuration file other than controllers: one struct each, with defaults.

use std::{fmt, net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use super::{
    quantity::{Period, Size},
    server::SmtpServer,
};

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// The PostgreSQL URL; several hosts may be listed. To a database on another host add `sslmode=verify-full`, and
    /// `sslrootcert=FILE` where an authority of your own vouches for it, not one that the system trusts. Without `sslmode`, and with `disable`,
    /// `allow` or `prefer`, the connection is in clear, whatever the server offers. Default: `postgres:///fairtrack?host=/run/postgresql`.
    pub url: Secret,
    /// The URL with which the milter connects, as a role of its own. Default: `url`.
    pub milter_url: Option<Secret>,
    /// The URL with which the collector connects, as a role of its own. Default: `url`.
    pub collector_url: Option<Secret>,
    /// The URL with which `fairtrackctl` connects, but for `migrate`, which needs the owner of the tables. Default: `url`.
    pub admin_url: Option<Secret>,
    /// The role that `fairtrackctl migrate --roles` makes for the milter. Default: `fairtrack_milter`.
    pub milter_role: String,
    /// The role that it makes for the collector. Default: `fairtrack_collector`.
    pub collector_role: String,
    /// The role that it makes for `fairtrackctl`. Default: `fairtrack_admin`.
    pub admin_role: String,
    /// The most connections that one program keeps. Default: 8.
    pub connections: usize,
}

/// In which part a program speaks to the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    Admin,
    Collector,
    Milter,
    /// Who owns the tables.
    Owner,
}

impl Database {
    /// Takes one URL for every part: what the environment or the service manager gives a program wins over the file.
    pub(super) fn use_only(&mut self, url: String) {
        self.url = url.into();
        self.milter_url = None;
        self.collector_url = None;
        self.admin_url = None;
    }

    /// Returns the URL with which a program in this part connects.
    pub fn url_of(&self, part: Part) -> &str {
        let own = match part {
            Part::Admin => self.admin_url.as_ref(),
            Part::Collector => self.collector_url.as_ref(),
            Part::Milter => self.milter_url.as_ref(),
            Part::Owner => None,
        };
        own.unwrap_or(&self.url).expose()
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "postgres:///fairtrack?host=/run/postgresql"
                .to_owned()
                .into(),
            milter_url: None,
            collector_url: None,
            admin_url: None,
            milter_role: "fairtrack_milter".into(),
            collector_role: "fairtrack_collector".into(),
            admin_role: "fairtrack_admin".into(),
            connections: 8,
        }
    }
}

/// A value that may hold a password: `Debug` does not show it.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(from = "String")]
pub struct Secret(String);

impl Secret {
    /// Returns the value.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// `[keys]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The key file. Default: `/etc/fairtrack/keys`.
    pub file: PathBuf,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            file: "/etc/fairtrack/keys".into(),
        }
    }
}

/// Where the milter listens, spelled as in Postfix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Socket {
    /// `inet:HOST:PORT`
    Inet(String),
    /// `unix:PATH`
    Unix(PathBuf),
}

impl Socket {
    /// Parses `unix:PATH` or `inet:HOST:PORT`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| Self::Unix(path.into()));
        }
        let place = text.strip_prefix("inet:")?;
        let (host, port) = place.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        (!host.is_empty()).then(|| Self::Inet(place.to_owned()))
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(place) => write!(f, "inet:{place}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Socket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "invalid socket \"{text}\" (unix:PATH or inet:HOST:PORT)"
            ))
        })
    }
}

/// Who may use Fairtrack.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Users {
    /// Every login of a controller's domains.
    #[default]
    All,
    /// The users that `fairtrackctl user add` entitled.
    Listed,
}

/// `[milter]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Milter {
    /// Where the milter listens. Default: `unix:/run/fairtrack/milter.sock`.
    pub socket: Socket,
    /// The mode of a UNIX socket, in octal digits. Default: `660`.
    pub socket_mode: String,
    /// The group that owns a UNIX socket, usually Postfix's. Default: the group that the program runs as.
    pub socket_group: Option<String>,
    /// Larger messages are left untouched. Default: `25MB`.
    pub max_message_size: Size,
    /// The time for everything done at end of message, the database included. Default: `1500ms`.
    pub deadline: Period,
    /// The memory that all messages in work may take together; more are left untouched. Default: `512MB`.
    pub max_in_flight: Size,
    /// More sessions than this are closed at once, so that Postfix goes on without us. Default: 1000.
    pub max_sessions: usize,
    /// Who may use Fairtrack: `all` or `listed`. Default: `all`.
    pub users: Users,
    /// Whether nothing is instrumented while the collector has not answered for a minute. Default: true.
    pub health_gate: bool,
    /// A small file of the messages that are being answered: after a kill, the next milter corrects what the database
    /// says of them. It need not outlive the machine. Default: `/run/fairtrack/milter.journal`.
    pub journal: PathBuf,
    /// The listener where Postfix takes a split message in again, one recipient at a time: `smtp://HOST:PORT`. Required
    /// where a controller's `multi_recipient` is `split`; `deploy/postfix-split.cf` shows it. While it does not answer, takes
    /// no mail from here, or does not ask us as it should, nothing is split. Default: none.
    pub reinject: Option<SmtpServer>,
    /// A message to more recipients than this is not split, and left untouched. Default: 100.
    pub max_copies: usize,
}

impl Default for Milter {
    fn default() -> Self {
        Self {
            socket: Socket::Unix("/run/fairtrack/milter.sock".into()),
            socket_mode: "660".into(),
            socket_group: None,
            max_message_size: Size(25_000_000),
            deadline: Period::millis(1500),
            max_in_flight: Size(512_000_000),
            max_sessions: 1000,
            users: Users::All,
            health_gate: true,
            journal: "/run/fairtrack/milter.journal".into(),
            reinject: None,
            max_copies: 100,
        }
    }
}

/// How users sign in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignIn {
    /// A trusted header field, set by one of `trusted_proxies`.
    Header(String),
    /// A mailed link.
    Mail,
    /// An OpenID Connect provider, the one that `[oidc]` names.
    Oidc,
}

impl<'de> Deserialize<'de> for SignIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once(':') {
            None if text == "mail" => Ok(Self::Mail),
            None if text == "oidc" => Ok(Self::Oidc),
            Some(("header", name)) if !name.trim().is_empty() => {
                Ok(Self::Header(name.trim().to_lowercase()))
            }
            _ => Err(de::Error::custom(format!(
                "invalid sign-in \"{text}\" (mail, oidc or header:NAME)"
            ))),
        }
    }
}

/// `[collector]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Collector {
    /// Where the collector listens: `HOST:PORT` behind a TLS proxy, or `unix:PATH`. The packages have systemd listen: there
    /// change `ListenStream` of `fairtrack-collector.socket` too (`systemctl edit`). Default: `127.0.0.1:8080`.
    pub listen: String,
    /// Where metrics and health are served. Default: `127.0.0.1:8081`.
    pub admin_listen: SocketAddr,
    /// The proxies whose `X-Forwarded-For` and sign-in header are believed. Default: loopback.
    pub trusted_proxies: Vec<IpNet>,
    /// The folder of the local hit log. Default: `/var/lib/fairtrack/hits`.
    pub hit_log: PathBuf,
    /// The folder of what must outlive the database: erasures, refusals, withdrawals and freezes, to be done again after a
    /// restore, and signed heads of the consent log. Default: `/var/lib/fairtrack/journal`.
    pub journal: PathBuf,
    /// The most room that the local hit log takes; what does not fit is answered and lost, and counted. Default: `1GB`.
    pub hit_log_size: Size,
    /// More hits than this on one message within a minute are answered, not recorded. Default: 100000.
    pub flood_limit: u32,
    /// The folder of the lists of networks that `fairtrackctl networks update` keeps. Default:
    /// `/var/lib/fairtrack/networks`.
    pub networks: PathBuf,
    /// The longest that an answer waits for the batch that carries its hit. Default: `150ms`.
    pub answer_within: Period,
    /// How users sign in: `mail` (a mailed link), `oidc` (then `[oidc]`), or `header:NAME` (what one of `trusted_proxies` says).
    /// Default: `mail`.
    pub sign_in: SignIn,
    /// How many requests a minute one user, with all sessions and tokens, may make to the API of one collector; and how many
    /// all those of one network together who show nothing that is any good. Default: 600.
    pub api_limit: u32,
    /// How often one client may begin to sign in at one collector in a minute. Default: 20.
    pub sign_in_limit: u32,
    /// Logins that may see the administrators' page of their organisation, beside those that `fairtrackctl user add
    /// --admin` made. Default: none.
    pub administrators: Vec<String>,
    /// Networks that webhooks may call although they are not public, such as the one in which the CRM stands; plain http
    /// is allowed there. Default: none.
    pub webhook_networks: Vec<IpNet>,
    /// Worker threads. Default: one for each core.
    pub workers: Option<usize>,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            trusted_proxies: ["127.0.0.1/32", "::1/128"]
                .iter()
                .filter_map(|net| net.parse().ok())
                .collect(),
            hit_log: "/var/lib/fairtrack/hits".into(),
            journal: "/var/lib/fairtrack/journal".into(),
            hit_log_size: Size(1_000_000_000),
            flood_limit: 100_000,
            networks: "/var/lib/fairtrack/networks".into(),
            answer_within: Period::millis(150),
            sign_in: SignIn::Mail,
            api_limit: 600,
            sign_in_limit: 20,
            administrators: Vec::new(),
            webhook_networks: Vec::new(),
            workers: None,
        }
    }
}

/// `[mail]`: mail of our own. Never instrumented.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// The server that takes it: `smtp://HOST:PORT`. Default: `smtp://127.0.0.1:25`.
    pub smtp: String,
    /// The author: `NAME <ADDRESS>`. Default: `Fairtrack <fairtrack@localhost>`.
    pub from: String,
    /// The hour, 0 to 23 in each user's time zone, from which the daily summary is mailed. Default: 7.
    pub digest_hour: u32,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            smtp: "smtp://127.0.0.1:25".into(),
            from: "Fairtrack <fairtrack@localhost>".into(),
            digest_hour: 7,
        }
    }
}

/// `[retention]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// How long hits are kept. Default: `90d`.
    pub hits: Period,
    /// How long messages are kept. Default: `90d`.
    pub messages: Period,
    /// How long after sending hits are recorded; later ones are answered only. Default: `30d`.
    pub recording_window: Period,
    /// How long the proof of a consent is kept after it ended. Default: `3y`.
    pub consent_proof: Period,
    /// How long a grant holds. Default: `365d`.
    pub grant: Period,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            hits: Period::days(90),
            messages: Period::days(90),
            recording_window: Period::days(30),
            consent_proof: Period::days(3 * 365),
            grant: Period::days(365),
        }
    }
}

/// Which name server is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameServer {
    At(SocketAddr),
    None,
    /// The first of the host.
    System,
}

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "none" => Ok(Self::None),
            "system" => Ok(Self::System),
            address => address.parse().map(Self::At).map_err(|_invalid| {
                de::Error::custom(format!(
                    "invalid name server \"{text}\" (system, none or ADDRESS:PORT)"
                ))
            }),
        }
    }
}

/// `[classify]`: the thresholds of the hit classifier.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Classify {
    /// How long a verdict waits for later hits of its message before it is settled. Default: `60s`.
    pub settle: Period,
    /// For how long a verdict may still change when further hits of its message come. Default: `15m`.
    pub late_recheck: Period,
    /// A hit sooner after sending than this is a machine's. Default: `2s`.
    pub instant: Period,
    /// An image proxy's hit sooner than this is a machine's. Default: `5s`.
    pub proxy_instant: Period,
    /// The name server that is asked who takes a recipient's mail, when a message is hit within two minutes after it was
    /// sent: a filter in between looks into it first. `system` for that of the host, `none` to ask nobody, or
    /// `ADDRESS:PORT`. Default: `system`.
    pub name_server: NameServer,
}

impl Default for Classify {
    fn default() -> Self {
        Self {
            settle: Period::secs(60),
            late_recheck: Period::secs(15 * 60),
            instant: Period::secs(2),
            proxy_instant: Period::secs(5),
            name_server: NameServer::System,
        }
    }
}
