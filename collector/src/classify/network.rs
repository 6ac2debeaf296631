// SPDX-License-Identifier: GPL-3.0-or-later
//! Whose network an address belongs to: the only thing about an IP address that is kept.
//!
//! An address becomes a label by longest prefix match over compiled-in and operator's lists, and by the number of its
//! autonomous system where that is known. An address that nothing knows is `unlisted`, which is not the same as `other`:
//! with no list of data centres at hand, absence from the lists proves nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use serde::{Deserialize, Serialize};

use super::{
    network_files::NetworkList,
    published::{PREFIXES, SYSTEMS},
};

/// The owner of a network, as far as the rules care.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Egress of Apple's Private Relay; Mail Privacy Protection fetches through it, and people browse through it.
    AppleRelay,
    Barracuda,
    /// Barracuda's Email Gateway Defense: nobody reads mail there.
    BarracudaGateway,
    Cisco,
    FireEye,
    Forcepoint,
    Fortinet,
    Google,
    /// Rented servers: data centres, clouds, most commercial VPNs.
    Hosting,
    Microsoft,
    /// Microsoft's mail filtering tier: nobody reads mail there.
    MicrosoftFilter,
    Mimecast,
    /// No data at all: the lists are missing.
    #[default]
    NoData,
    /// Known to be none of the others.
    Other,
    PaloAlto,
    /// A private address: the real one is hidden from us.
    Private,
    Proofpoint,
    Symantec,
    TrendMicro,
    /// On no list, and nothing tells data centres from homes.
    Unlisted,
    /// A company's way out to the web: carries people.
    WebGateway,
}

impl Network {
    const ALL: [Self; 21] = [
        Self::AppleRelay,
        Self::Barracuda,
        Self::BarracudaGateway,
        Self::Cisco,
        Self::FireEye,
        Self::Forcepoint,
        Self::Fortinet,
        Self::Google,
        Self::Hosting,
        Self::Microsoft,
        Self::MicrosoftFilter,
        Self::Mimecast,
        Self::NoData,
        Self::Other,
        Self::PaloAlto,
        Self::Private,
        Self::Proofpoint,
        Self::Symantec,
        Self::TrendMicro,
        Self::Unlisted,
        Self::WebGateway,
    ];

    /// Returns the label as files and the database show it.
    pub fn code(self) -> &'static str {
        match self {
            Self::AppleRelay => "apple-relay",
            Self::Barracuda => "barracuda",
            Self::BarracudaGateway => "barracuda-gateway",
            Self::Cisco => "cisco",
            Self::FireEye => "fire-eye",
            Self::Forcepoint => "forcepoint",
            Self::Fortinet => "fortinet",
            Self::Google => "google",
            Self::Hosting => "hosting",
            Self::Microsoft => "microsoft",
            Self::MicrosoftFilter => "microsoft-filter",
            Self::Mimecast => "mimecast",
            Self::NoData => "no-data",
            Self::Other => "other",
            Self::PaloAlto => "palo-alto",
            Self::Private => "private",
            Self::Proofpoint => "proofpoint",
            Self::Symantec => "symantec",
            Self::TrendMicro => "trend-micro",
            Self::Unlisted => "unlisted",
            Self::WebGateway => "web-gateway",
        }
    }

    /// Returns the label with that name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.code() == code)
    }

    /// Says whether nobody reads mail there, whatever the request looks like.
    pub fn is_mail_filter(self) -> bool {
        matches!(self, Self::BarracudaGateway | Self::MicrosoftFilter)
    }

    /// Says whether it belongs to a vendor of mail security.
    pub fn is_security(self) -> bool {
        matches!(
            self,
            Self::Barracuda
                | Self::Cisco
                | Self::FireEye
                | Self::Forcepoint
                | Self::Fortinet
                | Self::Mimecast
                | Self::PaloAlto
                | Self::Proofpoint
                | Self::Symantec
                | Self::TrendMicro
        )
    }

    /// Says whether its owner also sells web gateways, behind which people sit.
    pub fn is_also_web_gateway(self) -> bool {
        matches!(self, Self::Forcepoint | Self::Fortinet | Self::PaloAlto)
    }

    /// Says whether it belongs to a named vendor or to a data centre.
    pub fn is_vendor(self) -> bool {
        self.is_security()
            || self.is_mail_filter()
            || matches!(self, Self::Google | Self::Hosting | Self::Microsoft)
    }

    /// Says whether the label tells anything.
    pub fn is_known(self) -> bool {
        !matches!(self, Self::NoData | Self::Private | Self::Unlisted)
    }

    /// Labels that only an exact list can give; they outrank the number of the autonomous system.
    fn is_exact(self) -> bool {
        self.is_mail_filter() || matches!(self, Self::AppleRelay | Self::WebGateway)
    }
}

/// The lists that turn addresses into labels.
pub struct Networks {
    v4: PrefixMap<Ipv4Net, Network>,
    v6: PrefixMap<Ipv6Net, Network>,
    covers_hosting: bool,
}

impl Networks {
    /// Returns networks that know nothing.
    pub fn empty() -> Self {
        Self {
            v4: PrefixMap::new(),
            v6: PrefixMap::new(),
            covers_hosting: false,
        }
    }

    /// Returns the compiled-in networks.
    pub fn compiled_in() -> Self {
        let mut networks = Self::empty();
        for (network, prefixes) in PREFIXES {
            // A test proves that every one of them parses.
            networks.add(
                prefixes.iter().filter_map(|prefix| prefix.parse().ok()),
                *network,
            );
        }
        networks
    }

    /// Returns the compiled-in networks and, over them, the operator's.
    pub fn with_files(lists: impl IntoIterator<Item = NetworkList>) -> Self {
        let mut networks = Self::compiled_in();
        for list in lists {
            networks.covers_hosting |= list.is_complete;
            for (prefix, network) in list.entries {
                networks.add([prefix], network);
            }
        }
        networks
    }

    fn add(&mut self, prefixes: impl IntoIterator<Item = IpNet>, network: Network) {
        for prefix in prefixes {
            match prefix {
                IpNet::V4(prefix) => {
                    self.v4.insert(prefix, network);
                }
                IpNet::V6(prefix) => {
                    self.v6.insert(prefix, network);
                }
            }
        }
    }

    /// Returns the label of an address, given the number of its autonomous system where that is known.
    pub fn label(&self, ip: Option<IpAddr>, asn: Option<u32>) -> Network {
        let ip = ip.map(|ip| ip.to_canonical());
        let listed = ip.and_then(|ip| self.listed(ip));
        if let Some(network) = listed.filter(|network| network.is_exact()) {
            return network;
        }
        if let Some(network) = asn.and_then(of_system) {
            return network;
        }
        if let Some(network) = listed {
            return network;
        }
        if asn.is_some() {
            Network::Other
        } else if self.v4.is_empty() && self.v6.is_empty() {
            Network::NoData
        } else if ip.is_none_or(is_private) {
            Network::Private
        } else if self.covers_hosting {
            Network::Other
        } else {
            Network::Unlisted
        }
    }

    fn listed(&self, ip: IpAddr) -> Option<Network> {
        match ip {
            IpAddr::V4(ip) => self.v4.get_lpm(&Ipv4Net::from(ip)).map(|(_, found)| *found),
            IpAddr::V6(ip) => self.v6.get_lpm(&Ipv6Net::from(ip)).map(|(_, found)| *found),
        }
    }
}

/// Returns the label of an autonomous system, if its owner matters to the rules.
pub(super) fn of_system(asn: u32) -> Option<Network> {
    SYSTEMS
        .iter()
        .find(|(_, numbers)| numbers.contains(&asn))
        .map(|(network, _)| *network)
}

/// Says whether an address cannot come from the internet. Addresses kept for documentation are no such case.
fn is_private(ip: IpAddr) -> bool {
    const CARRIER_GRADE_NAT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
    const UNIQUE_LOCAL: Ipv6Net =
        Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);
    const LINK_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || CARRIER_GRADE_NAT.contains(&ip)
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || UNIQUE_LOCAL.contains(&ip)
                || LINK_LOCAL.contains(&ip)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(ip: &str, asn: Option<u32>) -> Network {
        Networks::compiled_in().label(Some(ip.parse().unwrap()), asn)
    }

    #[test]
    fn codes_are_those_that_serde_writes() {
        for network in Network::ALL {
            assert_eq!(serde_json::to_value(network).unwrap(), network.code());
            assert_eq!(Network::from_code(network.code()), Some(network));
        }
    }

    #[test]
    fn every_compiled_in_prefix_parses_and_is_a_network_address() {
        for prefix in PREFIXES.iter().flat_map(|(_, prefixes)| *prefixes) {
            let parsed: IpNet = prefix.parse().unwrap();
            assert_eq!(parsed, parsed.trunc(), "{prefix}");
        }
    }

    #[test]
    fn no_system_belongs_to_two_owners() {
        let mut numbers: Vec<u32> = SYSTEMS
            .iter()
            .flat_map(|(_, n)| n.iter().copied())
            .collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();

        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn longest_prefix_wins() {
        assert_eq!(label("52.100.1.1", None), Network::MicrosoftFilter);
        assert_eq!(label("52.97.1.1", None), Network::Microsoft);
    }

    #[test]
    fn exact_lists_outrank_the_system_and_the_system_outranks_coarse_lists() {
        assert_eq!(label("40.107.1.1", Some(8075)), Network::MicrosoftFilter);
        assert_eq!(label("104.28.1.1", Some(13335)), Network::AppleRelay);
        assert_eq!(
            label("18.185.115.200", Some(16509)),
            Network::BarracudaGateway
        );
        assert_eq!(label("66.249.84.1", Some(396982)), Network::Hosting);
    }

    #[test]
    fn mapped_addresses_are_those_they_map() {
        assert_eq!(label("::ffff:66.249.84.1", None), Network::Google);
    }

    #[test]
    fn what_nothing_knows_is_told_from_what_is_known_to_be_ordinary() {
        assert_eq!(label("192.0.2.1", Some(64496)), Network::Other);
        assert_eq!(label("192.0.2.1", None), Network::Unlisted);
        assert_eq!(label("10.0.0.1", None), Network::Private);
        assert_eq!(
            Networks::empty().label(Some("192.0.2.1".parse().unwrap()), None),
            Network::NoData
        );
        let complete = NetworkList {
            entries: Vec::new(),
            is_complete: true,
        };
        assert_eq!(
            Networks::with_files([complete]).label(Some("192.0.2.1".parse().unwrap()), None),
            Network::Other
        );
    }
}
