// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the database is: one host or several, of which the one that takes writes is meant.
//!
//! Several hosts are tried in their order. What an operator leaves open is completed so that a replica is passed over,
//! and so that a host that does not answer keeps nobody from the next one.

/// What is added unless the operator says otherwise.
const DEFAULTS: [(&str, &str); 2] = [
    ("connect_timeout", "2"),
    ("target_session_attrs", "read-write"),
];

/// Returns the address, a URL or words like `host=…`, with what it leaves open.
pub(super) fn complete(address: &str) -> String {
    let is_url = address.contains("://");
    let mut complete = if is_url {
        one_by_one(address)
    } else {
        address.to_owned()
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
    complete
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

    #[test]
    fn what_is_left_open_is_completed() {
        for (given, expected) in [
            (
                "postgres:///f",
                "postgres:///f?connect_timeout=2&target_session_attrs=read-write",
            ),
            (
                "postgres://a,b/f?user=x",
                "postgres://a,b/f?user=x&connect_timeout=2&target_session_attrs=read-write",
            ),
            (
                "host=a,b dbname=f",
                "host=a,b dbname=f connect_timeout=2 target_session_attrs=read-write",
            ),
        ] {
            assert_eq!(complete(given), expected);
        }
    }

    #[test]
    fn hosts_in_the_query_are_named_one_by_one() {
        let given = "postgres:///f?host=/run/a,/run/b&user=x&connect_timeout=9";

        let complete = complete(given);

        assert_eq!(
            complete,
            "postgres:///f?host=/run/a&host=/run/b&user=x&connect_timeout=9&target_session_attrs=read-write"
        );
    }

    #[test]
    fn what_the_operator_says_stays() {
        let url = "postgres://a/f?target_session_attrs=any&connect_timeout=9";

        assert_eq!(complete(url), url);
    }
}
