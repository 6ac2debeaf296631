// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the database is: one host or several, of which the one that takes writes is meant.
//!
//! Several hosts are tried in their order. What an operator leaves open is completed so that a replica is passed over,
//! and so that a host that does not answer keeps nobody from the next one. `sslmode` and `sslrootcert` are those of libpq, with
//! two differences: `require` and `verify-ca` also make the server prove its name, and `prefer`, which libpq tries and drops
//! in silence, is in clear.

use std::path::PathBuf;

use url::form_urlencoded;

/// What is added unless the operator says otherwise.
const DEFAULTS: [(&str, &str); 2] = [
    ("connect_timeout", "2"),
    ("target_session_attrs", "read-write"),
];

/// By whom a server's certificate must be issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    System,
    /// By an authority of a PEM file.
    File(PathBuf),
}

/// Returns the address, a URL or words like `host=…`, with what it leaves open; and whom to trust, where the connection
/// is to be encrypted.
///
/// # Errors
///
/// Fails if `sslmode` is none.
pub(super) fn complete(address: &str) -> Result<(String, Option<Trust>), String> {
    let is_url = address.contains("://");
    let (mut complete, trust) = if is_url {
        let (address, trust) = take_encryption(address, '&')?;
        (one_by_one(&address), trust)
    } else {
        take_encryption(address, ' ')?
    };
    for (name, value) in DEFAULTS {
        if says(address, name) {
            continue;
        }
        let separator = match (is_url, complete.contains('?')) {
            (false, _) => ' ',
            (true, false) => '?',
            (true, true) => '&',
        };
        complete.push(separator);
        complete.push_str(name);
        complete.push('=');
        complete.push_str(value);
    }
    Ok((complete, trust))
}

/// Takes out what is said about encryption, of which our driver knows less than libpq.
fn take_encryption(address: &str, separator: char) -> Result<(String, Option<Trust>), String> {
    let (place, words) = match address.split_once('?') {
        Some((place, query)) if separator == '&' => (Some(place), query),
        None if separator == '&' => (Some(address), ""),
        _ => (None, address),
    };
    let (mut mode, mut trust) = (String::new(), Trust::System);
    let mut left: Vec<&str> = Vec::new();
    // A blank may be part of a quoted value.
    let is_word = |word: &&str| !word.is_empty() || place.is_none();
    for word in words.split(separator).filter(is_word) {
        let value = || match place {
            Some(_) => form_urlencoded::parse(word.as_bytes())
                .next()
                .map_or_else(String::new, |(_, value)| value.into_owned()),
            None => word
                .split_once('=')
                .map_or("", |(_, value)| value)
                .to_owned(),
        };
        if says(word, "sslmode") {
            mode = value();
        } else if says(word, "sslrootcert") {
            trust = match value().as_str() {
                "system" => Trust::System,
                path => Trust::File(path.into()),
            };
        } else {
            left.push(word);
        }
    }
    let is_encrypted = match mode.as_str() {
        "" | "disable" | "allow" | "prefer" => false,
        "require" | "verify-ca" | "verify-full" => true,
        other => {
            return Err(format!(
                "\"{other}\" is no sslmode: say verify-full or disable"
            ));
        }
    };
    let driven = if is_encrypted {
        "sslmode=require"
    } else {
        "sslmode=disable"
    };
    left.push(driven);
    let words = left.join(&separator.to_string());
    let address = match place {
        Some(place) => format!("{place}?{words}"),
        None => words,
    };
    Ok((address, is_encrypted.then_some(trust)))
}

/// Tells whether a connection to another host would be in clear.
pub(super) fn is_exposed(address: &str) -> bool {
    let is_local = |host: &str| {
        host.is_empty()
            || host.starts_with('/')
            || host.eq_ignore_ascii_case("localhost")
            || host
                .parse()
                .is_ok_and(|host: std::net::IpAddr| host.is_loopback())
    };
    let Ok((address, None)) = complete(address) else {
        return false;
    };
    let Ok(config) = address.parse::<tokio_postgres::Config>() else {
        return false;
    };
    config.get_hosts().iter().any(|host| match host {
        tokio_postgres::config::Host::Tcp(host) => !is_local(host),
        tokio_postgres::config::Host::Unix(_) => false,
    })
}

/// Names each host of a URL's query by itself: `host=a,b` as `host=a&host=b`. To libpq both say the same; our driver
/// takes the first for one odd name.
fn one_by_one(url: &str) -> String {
    let Some((place, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let words: Vec<String> = query
        .split('&')
        .map(|word| match word.strip_prefix("host=") {
            Some(hosts) => format!("host={}", hosts.replace(',', "&host=")),
            None => word.to_owned(),
        })
        .collect();
    format!("{place}?{}", words.join("&"))
}

fn says(address: &str, name: &str) -> bool {
    address.split(['?', '&', ' ']).any(|word| {
        word.trim_start()
            .strip_prefix(name)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a completed address that is not encrypted.
    fn plain(address: &str) -> String {
        let (complete, trust) = complete(address).unwrap();
        assert_eq!(trust, None);
        complete
    }

    #[test]
    fn what_is_left_open_is_completed() {
        for (given, expected) in [
            (
                "postgres:///f",
                "postgres:///f?sslmode=disable&connect_timeout=2&target_session_attrs=read-write",
            ),
            (
                "postgres://a,b/f?user=x",
                "postgres://a,b/f?user=x&sslmode=disable&connect_timeout=2&target_session_attrs=read-write",
            ),
            (
                "host=a,b dbname=f",
                "host=a,b dbname=f sslmode=disable connect_timeout=2 target_session_attrs=read-write",
            ),
        ] {
            assert_eq!(plain(given), expected);
        }
    }

    #[test]
    fn hosts_in_the_query_are_named_one_by_one() {
        let given = "postgres:///f?host=/run/a,/run/b&user=x&connect_timeout=9";

        assert_eq!(
            plain(given),
            "postgres:///f?host=/run/a&host=/run/b&user=x&connect_timeout=9&sslmode=disable&target_session_attrs=read-write"
        );
    }

    #[test]
    fn what_the_operator_says_stays() {
        let url = "postgres://a/f?target_session_attrs=any&connect_timeout=9";

        assert_eq!(plain(url), format!("{url}&sslmode=disable"));
    }

    #[test]
    fn encryption_is_what_libpq_calls_so() {
        let file = |path: &str| Some(Trust::File(path.into()));
        for (given, trust) in [
            ("postgres://a/f?sslmode=verify-full", Some(Trust::System)),
            (
                "postgres://a/f?sslmode=require&sslrootcert=system",
                Some(Trust::System),
            ),
            (
                "postgres://a/f?sslrootcert=/a%20b.pem&sslmode=verify-ca&user=x",
                file("/a b.pem"),
            ),
            (
                "host=a sslmode=verify-full sslrootcert=/a.pem",
                file("/a.pem"),
            ),
            ("postgres://a/f?sslmode=prefer&sslrootcert=/a.pem", None),
        ] {
            let (complete, found) = complete(given).unwrap();

            assert_eq!(found, trust, "{given}");
            assert!(complete.contains(if trust.is_some() {
                "sslmode=require"
            } else {
                "sslmode=disable"
            }));
            assert!(
                complete.parse::<tokio_postgres::Config>().is_ok(),
                "{complete}"
            );
        }
        assert!(complete("postgres://a/f?sslmode=always").is_err());
    }

    #[test]
    fn clear_connection_to_another_host_is_exposed() {
        for (address, expected) in [
            ("postgres:///f", false),
            ("postgres:///f?host=/run/postgresql", false),
            ("postgres://127.0.0.1/f", false),
            ("postgres://localhost,db.example/f", true),
            ("postgres://db.example/f?sslmode=prefer", true),
            ("postgres://db.example/f?sslmode=verify-full", false),
        ] {
            assert_eq!(is_exposed(address), expected, "{address}");
        }
    }
}
