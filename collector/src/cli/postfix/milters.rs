// SPDX-License-Identifier: GPL-3.0-or-later
//! Postfix's lists of milters: `inet:HOST:PORT, { unix:PATH, default_action=accept }`, separated by commas or blanks.

/// One milter of a list, as it is written there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry(String);

/// Takes a list apart. What stands in braces stays together.
pub(crate) fn parse(list: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut entry = String::new();
    let mut depth = 0_usize;
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let separates = depth == 0 && (character == ',' || character.is_whitespace());
        if !separates {
            entry.push(character);
        } else if !entry.is_empty() {
            entries.push(Entry(std::mem::take(&mut entry)));
        }
    }
    if !entry.trim().is_empty() {
        entries.push(Entry(entry));
    }
    entries
}

impl Entry {
    /// Returns it as it is written.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Returns the socket alone.
    pub(crate) fn socket(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// Returns the value of a setting within the braces.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.words()
            .skip(1)
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Tells whether it is known to sign: what changes the message must come before it.
    pub(crate) fn signs(&self) -> bool {
        let socket = self.socket().to_lowercase();
        ["dkim", "rspamd", "openarc", "amavis"]
            .iter()
            .any(|name| socket.contains(name))
            || [":8891", ":11332", ":12301"]
                .iter()
                .any(|port| socket.ends_with(port))
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.0
            .trim()
            .trim_start_matches('{')
            .trim_end_matches('}')
            .split(|character: char| character == ',' || character.is_whitespace())
            .filter(|word| !word.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stay_together() {
        let list = "{ unix:a/b.sock, connect_timeout=3s,default_action=accept }, inet:localhost:8891 $more";

        let entries = parse(list);

        let sockets: Vec<&str> = entries.iter().map(Entry::socket).collect();
        assert_eq!(sockets, ["unix:a/b.sock", "inet:localhost:8891", "$more"]);
        assert_eq!(entries[0].setting("default_action"), Some("accept"));
        assert_eq!(entries[1].setting("default_action"), None);
        assert!(parse("").is_empty());
        assert!(parse(" , ").is_empty());
    }

    #[test]
    fn unclosed_brace_is_survived() {
        assert_eq!(parse("{ unix:a").len(), 1);
        assert_eq!(parse("}} unix:a").len(), 2);
    }

    #[test]
    fn usual_signers_are_known() {
        for signer in [
            "unix:opendkim/opendkim.sock",
            "inet:localhost:8891",
            "{ inet:127.0.0.1:11332, default_action=accept }",
            "unix:/run/rspamd/milter.sock",
        ] {
            assert!(parse(signer)[0].signs(), "{signer}");
        }
        assert!(!parse("unix:clamav/clamav-milter.ctl")[0].signs());
    }
}
