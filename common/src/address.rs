// SPDX-License-Identifier: GPL-3.0-or-later
//! Mail addresses: parsed once, compared by one rule.
//!
//! Local parts are compared without regard to case, which RFC 5321 (section 2.4) leaves to the receiving host and which
//! every host met in practice does; domains are compared in lower case.

use std::fmt;

/// The longest address taken: the path limit of RFC 5321, section 4.5.3.1.3, with room for UTF-8.
const LONGEST: usize = 320;

/// A mailbox address in normal form: lower case, one `@`, no angle brackets.
///
/// `Debug` does not show it, so that no address reaches a log by accident.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    whole: String,
    at: usize,
}

impl Address {
    /// Parses an address as it stands in an envelope, a form or a file: angle brackets and white space around it are
    /// taken off. Returns `None` for what is no mailbox address, the null reverse-path included.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'))
            .unwrap_or(text);
        if text.len() > LONGEST
            || text
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | ','))
        {
            return None;
        }
        let (local, domain) = text.rsplit_once('@')?;
        if local.is_empty() || !is_domain(domain) {
            return None;
        }
        let local = local.to_lowercase();
        let at = local.len();
        Some(Self {
            whole: format!("{local}@{}", domain.to_lowercase()),
            at,
        })
    }

    /// Returns the whole address in normal form.
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    /// Returns what stands before the `@`.
    pub fn local(&self) -> &str {
        self.whole.get(..self.at).unwrap_or_default()
    }

    /// Returns what stands after the `@`.
    pub fn domain(&self) -> &str {
        self.whole.get(self.at + 1..).unwrap_or_default()
    }

    /// Returns the address without a `+tag`: what a refusal covers beside the exact address.
    pub fn base(&self) -> Self {
        match self.local().split_once('+') {
            Some((base, _)) if !base.is_empty() => Self {
                whole: format!("{base}@{}", self.domain()),
                at: base.len(),
            },
            _ => self.clone(),
        }
    }

    /// Tells whether an exclusion entry, an address or a domain, covers this address. An address covers `name+tag` too, a
    /// domain its subdomains.
    pub fn matches(&self, entry: &str) -> bool {
        let entry = entry.trim().to_lowercase();
        if entry.contains('@') && !entry.starts_with('@') {
            return self.whole == entry || self.base().whole == entry;
        }
        let domain = entry.trim_start_matches('@');
        is_within(self.domain(), domain)
    }

    /// Returns the address with most of its local part hidden, for pages that a stranger may see.
    pub fn masked(&self) -> String {
        let first: String = self.local().chars().take(1).collect();
        format!("{first}•••@{}", self.domain())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Tells whether `host` is `domain` or lies below it; both in lower case.
pub fn is_within(host: &str, domain: &str) -> bool {
    !domain.is_empty()
        && (host == domain
            || host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.')))
}

fn is_domain(domain: &str) -> bool {
    let literal = domain.starts_with('[') && domain.ends_with(']');
    !domain.is_empty()
        && (literal
            || domain.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && label
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
            }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_without_regard_to_case() {
        assert_eq!(
            Address::parse("<Anna.Kowalska@Example.COM>"),
            Address::parse("anna.kowalska@example.com")
        );
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        for text in [
            "",
            "<>",
            "anna",
            "@example.com",
            "anna@",
            "a b@example.com",
            "a@b..c",
            "a@b\r\nRCPT",
            "a,b@c",
        ] {
            assert!(Address::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn base_drops_the_tag_only() {
        let address = Address::parse("anna+news@example.com").unwrap();

        assert_eq!(address.base().as_str(), "anna@example.com");
        assert_eq!(
            Address::parse("+news@example.com").unwrap().base().as_str(),
            "+news@example.com"
        );
    }

    #[test]
    fn exclusions_cover_addresses_and_domains() {
        let address = Address::parse("anna@mail.example.com").unwrap();

        assert!(address.matches("Anna@mail.example.com"));
        assert!(address.matches("example.com"));
        assert!(address.matches("@mail.example.com"));
        assert!(
            Address::parse("anna+news@mail.example.com")
                .unwrap()
                .matches("anna@mail.example.com")
        );
        assert!(!address.matches("anna+news@mail.example.com"));
        assert!(!address.matches("ample.com"));
        assert!(!address.matches("ann@mail.example.com"));
    }

    #[test]
    fn debug_shows_no_address() {
        assert!(!format!("{:?}", Address::parse("anna@example.com")).contains("anna"));
    }
}
