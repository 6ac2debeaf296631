// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads published lists of networks as their owners publish them, into labelled prefixes.
//!
//! Known forms: Apple's relay egress (CSV), Google's `goog.json` and `cloud.json`, Amazon's `ip-ranges.json`, Microsoft's
//! endpoints (JSON), tables of autonomous systems by range (`ip2asn`, tab-separated), and plain lists, one prefix a line,
//! whose label is given from outside or by our own second column. Lists are bounded; a prefix far too wide is an error.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr, str};

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use serde::Deserialize;

use super::network::{Network, of_system};

/// Longer files are refused.
const LARGEST: usize = 64 << 20;
/// More prefixes than this are refused.
const MOST: usize = 500_000;

/// A list of networks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NetworkList {
    pub entries: Vec<(IpNet, Network)>,
    /// It covers the whole internet, so that an address that is not on it belongs to no data centre.
    pub is_complete: bool,
}

/// The first line of a list of our own that is complete.
const COMPLETE: &str = "#!complete";

/// Why a list was refused. What was loaded before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFileError {
    #[error("the list is empty")]
    Empty,
    #[error("line {0} is no prefix")]
    Line(usize),
    #[error("unknown label in line {0}")]
    Label(usize),
    #[error("the list has no known form, and no label was given for a plain one")]
    Form,
    #[error("the list is no valid JSON of a known form")]
    Json(#[source] serde_json::Error),
    #[error("\"{0}\" is no prefix")]
    Prefix(String),
    #[error("the list is longer than {LARGEST} bytes or {MOST} prefixes")]
    Size,
    #[error("the list went from {before} prefixes to {after}, more than half of them came or went")]
    Change { before: usize, after: usize },
    #[error("the list is not in UTF-8")]
    Utf8(#[source] str::Utf8Error),
    #[error("prefix \"{0}\" is too wide to be true")]
    Wide(IpNet),
}

/// Reads a list of whatever known form. `label` is for plain lists, which do not say whose they are.
///
/// # Errors
///
/// If the form is unknown, an entry is no prefix, a prefix is too wide, or the list is empty or too long.
pub fn parse_networks(
    bytes: &[u8],
    label: Option<Network>,
) -> Result<NetworkList, NetworkFileError> {
    if bytes.len() > LARGEST {
        return Err(NetworkFileError::Size);
    }
    let text = str::from_utf8(bytes).map_err(NetworkFileError::Utf8)?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let entries = match text.as_bytes().first() {
        None => return Err(NetworkFileError::Empty),
        Some(b'{') => ranges_json(text)?,
        Some(b'[') => endpoints_json(text)?,
        Some(_) => lines(text, label)?,
    };
    check(&entries)?;
    let first = text.lines().next().unwrap_or_default();
    Ok(NetworkList {
        entries,
        is_complete: first == COMPLETE || first.contains('\t'),
    })
}

/// Writes a list in a form of our own, a prefix and a label a line, which [`parse_networks`] reads.
pub fn write_networks(list: &NetworkList) -> String {
    let mut text = String::new();
    if list.is_complete {
        text.push_str(COMPLETE);
        text.push('\n');
    }
    for (prefix, network) in &list.entries {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{prefix} {}", network.code());
    }
    text
}

/// Refuses a new list that is much longer or shorter than the one that it would replace.
///
/// # Errors
///
/// If the number of prefixes changes by more than half.
pub fn check_change(before: usize, after: usize) -> Result<(), NetworkFileError> {
    if before.abs_diff(after) > before / 2 {
        return Err(NetworkFileError::Change { before, after });
    }
    Ok(())
}

fn check(entries: &[(IpNet, Network)]) -> Result<(), NetworkFileError> {
    if entries.is_empty() {
        return Err(NetworkFileError::Empty);
    }
    if entries.len() > MOST {
        return Err(NetworkFileError::Size);
    }
    let is_wide = |prefix: &IpNet| match prefix {
        IpNet::V4(prefix) => prefix.prefix_len() < 7,
        IpNet::V6(prefix) => prefix.prefix_len() < 16,
    };
    match entries.iter().find(|(prefix, _)| is_wide(prefix)) {
        None => Ok(()),
        Some((prefix, _)) => Err(NetworkFileError::Wide(*prefix)),
    }
}

fn prefix(text: &str) -> Result<IpNet, NetworkFileError> {
    let text = text.trim();
    let parsed: Option<IpNet> = if text.contains('/') {
        text.parse().ok()
    } else {
        text.parse::<IpAddr>().ok().map(IpNet::from)
    };
    parsed
        .map(|prefix| prefix.trunc())
        .ok_or_else(|| NetworkFileError::Prefix(text.chars().take(60).collect()))
}

/// Google's and Amazon's form: `{"prefixes":[{"ipv4Prefix":…,"scope":…}]}`, `{"prefixes":[{"ip_prefix":…}],…}`.
fn ranges_json(text: &str) -> Result<Vec<(IpNet, Network)>, NetworkFileError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Google {
        ipv4_prefix: Option<String>,
        ipv6_prefix: Option<String>,
        /// Only what is rented out has a place.
        scope: Option<String>,
        #[serde(rename = "ip_prefix")]
        amazon_v4: Option<String>,
    }
    #[derive(Deserialize)]
    struct AmazonV6 {
        ipv6_prefix: String,
    }
    #[derive(Deserialize)]
    struct File {
        prefixes: Vec<Google>,
        #[serde(default)]
        ipv6_prefixes: Vec<AmazonV6>,
    }

    let file: File = serde_json::from_str(text).map_err(NetworkFileError::Json)?;
    let mut entries = Vec::new();
    for entry in &file.prefixes {
        let network = if entry.amazon_v4.is_some() || entry.scope.is_some() {
            Network::Hosting
        } else {
            Network::Google
        };
        let texts = [&entry.ipv4_prefix, &entry.ipv6_prefix, &entry.amazon_v4];
        for text in texts.into_iter().flatten() {
            entries.push((prefix(text)?, network));
        }
    }
    for entry in &file.ipv6_prefixes {
        entries.push((prefix(&entry.ipv6_prefix)?, Network::Hosting));
    }
    Ok(entries)
}

/// Microsoft's form: `[{"id":9,"urls":["*.mail.protection.outlook.com","*.mx.microsoft"],"ips":["40.92.0.0/15",…]},…]`.
fn endpoints_json(text: &str) -> Result<Vec<(IpNet, Network)>, NetworkFileError> {
    #[derive(Deserialize)]
    struct Endpoint {
        #[serde(default)]
        urls: Vec<String>,
        #[serde(default)]
        ips: Vec<String>,
    }

    let endpoints: Vec<Endpoint> = serde_json::from_str(text).map_err(NetworkFileError::Json)?;
    // Prefixes occur in several sets; the filtering tier is the more telling label, whatever the order.
    let mut entries = BTreeMap::new();
    for endpoint in &endpoints {
        let is_filter = endpoint
            .urls
            .iter()
            .any(|url| url.ends_with("protection.outlook.com"));
        for ip in &endpoint.ips {
            let network = entries.entry(prefix(ip)?).or_insert(Network::Microsoft);
            if is_filter {
                *network = Network::MicrosoftFilter;
            }
        }
    }
    Ok(entries.into_iter().collect())
}

/// Everything that comes in lines.
fn lines(text: &str, label: Option<Network>) -> Result<Vec<(IpNet, Network)>, NetworkFileError> {
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        if entries.len() > MOST {
            return Err(NetworkFileError::Size);
        }
        let invalid = |_| NetworkFileError::Line(number);
        if line.contains('\t') {
            entries.extend(system_range(line).ok_or(NetworkFileError::Line(number))?);
        } else if let Some((first, _)) = line.split_once(',') {
            // Apple's: prefix, country, region, city.
            let network = label.unwrap_or(Network::AppleRelay);
            entries.push((prefix(first).map_err(invalid)?, network));
        } else if let Some((first, code)) = line.split_once(' ') {
            let network = Network::from_code(code.trim()).ok_or(NetworkFileError::Label(number))?;
            entries.push((prefix(first).map_err(invalid)?, network));
        } else {
            let network = label.ok_or(NetworkFileError::Form)?;
            entries.push((prefix(line).map_err(invalid)?, network));
        }
    }
    Ok(entries)
}

/// A line of `ip2asn`: first address, last address, number, country, name. Systems that no rule knows give nothing.
fn system_range(line: &str) -> Option<Vec<(IpNet, Network)>> {
    let mut fields = line.split('\t');
    let first: IpAddr = fields.next()?.parse().ok()?;
    let last: IpAddr = fields.next()?.parse().ok()?;
    let number: u32 = fields.next()?.parse().ok()?;
    let Some(network) = of_system(number) else {
        return Some(Vec::new());
    };
    let prefixes = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => IpSubnets::V4(Ipv4Subnets::new(first, last, 0)),
        (IpAddr::V6(first), IpAddr::V6(last)) => IpSubnets::V6(Ipv6Subnets::new(first, last, 0)),
        _ => return None,
    };
    Some(prefixes.map(|prefix| (prefix, network)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<(String, Network)> {
        parse_networks(text.as_bytes(), None)
            .unwrap()
            .entries
            .into_iter()
            .map(|(prefix, network)| (prefix.to_string(), network))
            .collect()
    }

    fn pair(prefix: &str, network: Network) -> (String, Network) {
        (prefix.to_owned(), network)
    }

    #[test]
    fn apples_list_is_read_by_its_first_column() {
        let text = "172.224.224.0/27,GB,GB-EN,London,\n2a02:26f7:b000:4000::/64,US,US-CA,,\n";

        assert_eq!(
            parse(text),
            [
                pair("172.224.224.0/27", Network::AppleRelay),
                pair("2a02:26f7:b000:4000::/64", Network::AppleRelay),
            ]
        );
    }

    #[test]
    fn googles_own_networks_are_told_from_what_it_rents_out() {
        let goog = r#"{"syncToken":"1","prefixes":[{"ipv4Prefix":"66.249.64.0/19"},{"ipv6Prefix":"2001:4860::/32"}]}"#;
        let cloud = r#"{"prefixes":[{"ipv4Prefix":"34.1.208.0/20","service":"Google Cloud","scope":"africa-south1"}]}"#;

        assert_eq!(
            parse(goog),
            [
                pair("66.249.64.0/19", Network::Google),
                pair("2001:4860::/32", Network::Google),
            ]
        );
        assert_eq!(parse(cloud), [pair("34.1.208.0/20", Network::Hosting)]);
    }

    #[test]
    fn amazons_networks_are_rented_out() {
        let text = r#"{"prefixes":[{"ip_prefix":"3.5.140.0/22","region":"x","service":"S3"}],"ipv6_prefixes":[{"ipv6_prefix":"2600:1f00::/24"}]}"#;

        assert_eq!(
            parse(text),
            [
                pair("3.5.140.0/22", Network::Hosting),
                pair("2600:1f00::/24", Network::Hosting),
            ]
        );
    }

    #[test]
    fn microsofts_filtering_tier_is_told_from_the_rest() {
        let text = r#"[{"id":1,"urls":["outlook.office.com"],"ips":["52.96.0.0/14","40.92.0.0/15"]},
            {"id":9,"urls":["*.mail.protection.outlook.com","*.mx.microsoft"],"ips":["40.92.0.0/15"]},{"id":5,"urls":["x.example"]}]"#;

        assert_eq!(
            parse(text),
            [
                pair("40.92.0.0/15", Network::MicrosoftFilter),
                pair("52.96.0.0/14", Network::Microsoft),
            ]
        );
    }

    #[test]
    fn ranges_of_systems_give_only_what_the_rules_know() {
        let text = "1.0.0.0\t1.0.0.255\t13335\tUS\tCLOUDFLARENET\n3.0.0.0\t3.0.2.255\t16509\tUS\tAMAZON-02\n";

        assert_eq!(
            parse(text),
            [
                pair("3.0.0.0/23", Network::Hosting),
                pair("3.0.2.0/24", Network::Hosting),
            ]
        );
    }

    #[test]
    fn plain_lists_need_a_label() {
        let text = b"# a comment\n192.0.2.0/24\n198.51.100.7\n";

        let list = parse_networks(text, Some(Network::WebGateway)).unwrap();

        assert_eq!(list.entries.len(), 2);
        assert!(!list.is_complete);
        assert!(matches!(
            parse_networks(text, None),
            Err(NetworkFileError::Form)
        ));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let plain = parse_networks(b"192.0.2.0/24", Some(Network::Hosting)).unwrap();
        let complete = parse_networks(b"3.0.0.0\t3.0.2.255\t16509\tUS\tAMAZON-02", None).unwrap();

        assert!(complete.is_complete);
        for list in [plain, complete] {
            let text = write_networks(&list);

            assert_eq!(parse_networks(text.as_bytes(), None).unwrap(), list);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "0.0.0.0/0 hosting",
            "::/0 hosting",
            "192.0.2.0/24 nobody",
            "not a prefix",
            "{\"prefixes\":1}",
            "[1]",
            "1.0.0.0\tx\t1\t\t",
        ] {
            assert!(parse_networks(text.as_bytes(), None).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_that_halves_or_doubles_is_refused() {
        assert!(check_change(100, 150).is_ok());
        assert!(check_change(100, 50).is_ok());
        assert!(check_change(100, 151).is_err());
        assert!(check_change(100, 49).is_err());
    }
}
