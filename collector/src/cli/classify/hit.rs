// SPDX-License-Identifier: GPL-3.0-or-later
//! A hit as a line of the input has it.

use std::{collections::HashMap, net::IpAddr};

use serde::{Deserialize, Deserializer};

use crate::classify::{Class, Kind, MailExchanger};

/// A line of the input. What is not named here is not read.
#[derive(Deserialize)]
pub(super) struct Hit {
    pub(super) id: String,
    pub(super) kind: Kind,
    #[serde(default = "get")]
    pub(super) method: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) headers: HashMap<String, String>,
    pub(super) ip: Option<IpAddr>,
    pub(super) asn: Option<u32>,
    pub(super) secs_since_sent: f64,
    pub(super) secs_since_delivered: Option<f64>,
    pub(super) message: Message,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) history: Vec<Other>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) after: Vec<Other>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ip_recent: IpRecent,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) sender: Sender,
}

impl Hit {
    pub(super) fn user_agent(&self) -> &str {
        self.headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("user-agent"))
            .map_or("", |(_, value)| value)
    }
}

fn get() -> String {
    "GET".to_owned()
}

#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) links: u32,
    pub(super) link: Option<u16>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) honeypot: bool,
    pub(super) mx: Option<MailExchanger>,
}

/// Another hit of the message. An address or user agent of `same` is the judged hit's.
#[derive(Deserialize)]
pub(super) struct Other {
    pub(super) kind: Kind,
    pub(super) secs_ago: Option<f64>,
    pub(super) secs_after: Option<f64>,
    pub(super) class: Option<Class>,
    pub(super) link: Option<u16>,
    pub(super) ip: Option<String>,
    pub(super) ua: Option<String>,
    pub(super) method: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) honeypot: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct IpRecent {
    #[serde(deserialize_with = "or_default")]
    pub(super) recipients_10m: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) honeypot_24h: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Sender {
    #[serde(deserialize_with = "or_default")]
    pub(super) cookie: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) ip_match: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) ua_match: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) same_org: bool,
    pub(super) view_signal_secs: Option<f64>,
}

/// Takes `null` for nothing said.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
