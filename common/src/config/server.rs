// SPDX-License-Identifier: GPL-3.0-or-later
//! A mail server of this host, spelled `smtp://HOST:PORT`.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use url::Url;

/// Where a mail server listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SmtpServer {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
}

impl SmtpServer {
    /// Parses `smtp://HOST:PORT`; nothing may follow.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty();
        let host = url.host_str().filter(|host| !host.is_empty())?;
        (url.scheme() == "smtp" && is_bare).then_some(Self {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: url.port()?,
        })
    }
}

impl fmt::Display for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "smtp://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "smtp://{}:{}", self.host, self.port)
        }
    }
}

impl<'de> Deserialize<'de> for SmtpServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("invalid server \"{text}\" (smtp://HOST:PORT)"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_a_host_and_a_port_and_nothing_else() {
        for text in [
            "smtp://127.0.0.1:10026",
            "smtp://[::1]:25",
            "smtp://mx.example:26",
        ] {
            assert_eq!(SmtpServer::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "127.0.0.1:25",
            "smtp://127.0.0.1",
            "smtps://127.0.0.1:465",
            "smtp://a@127.0.0.1:25",
            "smtp://127.0.0.1:25/x",
            "smtp://:25",
        ] {
            assert_eq!(SmtpServer::parse(text), None, "{text}");
        }
    }
}
