// SPDX-License-Identifier: GPL-3.0-or-later
//! `docs/requirements.md` stays true: every requirement has its line, and every test that a line names exists. Beside it,
//! requirements that are shown by reading what is shipped.

use std::{collections::HashSet, fs, path::Path};

use harness::{database::Database, installation::Installation};

/// What the design demands of consent, by number; the others are wishes.
const DEMANDED: [(u32, u32); 13] = [
    (1, 11),
    (13, 24),
    (26, 28),
    (30, 41),
    (45, 57),
    (60, 64),
    (65, 71),
    (75, 78),
    (80, 82),
    (83, 89),
    (90, 94),
    (95, 96),
    (98, 98),
];

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the names of all functions that are tests, and of properties.
fn tests() -> HashSet<String> {
    let mut names = HashSet::new();
    let mut folders: Vec<_> = ["common", "milter", "collector", "tests"]
        .map(|folder| root().join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == "rs") {
                let source = fs::read_to_string(path).unwrap();
                for (place, _) in source.match_indices("fn ") {
                    let (before, after) = source.split_at(place);
                    let attributes = before.trim_end().trim_end_matches("async").trim_end();
                    // Below `#[test]`, `#[tokio::test]`, or either with `#[expect(…)]` after it.
                    if attributes.ends_with(']') {
                        let name = after.trim_start_matches("fn ").split('(').next().unwrap();
                        names.insert(name.to_owned());
                    }
                }
            }
        }
    }
    names
}

#[test]
fn every_requirement_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/requirements.md")).unwrap();
    let known = tests();
    let mut seen = HashSet::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, _, shown_by, reason, _] = cells[..] else {
            panic!("{line}")
        };
        if !number.starts_with(['C', 'P']) {
            continue;
        }
        seen.insert(number.to_owned());
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(
            !named.is_empty() || !reason.is_empty(),
            "{number} names nothing"
        );
        for name in named {
            assert!(
                known.contains(name),
                "{number}: there is no test \"{name}\""
            );
        }
    }
    let demanded = DEMANDED
        .iter()
        .flat_map(|(first, last)| (*first..=*last).map(|number| format!("C{number}")));
    for number in demanded.chain((1..=18).map(|number| format!("P{number}"))) {
        assert!(seen.contains(&number), "{number} has no line");
    }
}

/// C4, P1, P2: not by any key of the configuration.
#[test]
fn no_setting_observes_people_who_did_not_agree() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let keys: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### `"))
        .map(|rest| rest.trim_end_matches('`'))
        .collect();

    assert!(keys.len() > 30);
    for key in &keys {
        for word in ["unknown", "force", "always", "exempt", "override", "ignore"] {
            assert!(!key.contains(word), "{key}");
        }
    }
    for line in [
        "track_unknown = true",
        "force = true",
        "default_consent = \"granted\"",
    ] {
        let text = format!("{CONTROLLER}\n{line}");
        let refused = common::config::Config::parse(Path::new("x.toml"), &text);
        assert!(refused.is_err(), "{line}");
    }
    assert!(common::config::Config::parse(Path::new("x.toml"), CONTROLLER).is_ok());
}

const CONTROLLER: &str = "[[controller]]
id = \"example\"
name = \"Example\"
address = \"-\"
contact = \"privacy@example.com\"
authority = \"UODO\"
domains = [\"example.com\"]
public_url = \"https://track.example.com\"";

/// C39, P13: each example of a proxy keeps tokens and addresses out of its log.
#[test]
fn proxy_examples_keep_no_access_log() {
    let read = |name: &str| fs::read_to_string(root().join("deploy/proxy").join(name)).unwrap();

    assert!(read("nginx.conf").contains("access_log off;"));
    for (name, logging) in [("Caddyfile", "log"), ("apache.conf", "CustomLog")] {
        let active = read(name);
        let mut active = active
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'));
        assert!(
            !active.any(|line| line == logging
                || line.starts_with(&format!("{logging} ")) && !line.contains("/dev/null")),
            "{name} keeps a log"
        );
    }
}

/// C96: what is asked of consent is in the log of acts, from the first start on, and once for each change.
#[tokio::test]
async fn changed_settings_are_written_down() {
    let database = Database::start().await;
    let settings = "SELECT count(*) FROM acts WHERE act = 'settings'";
    let start = async |assurance: &str, expected: i64| {
        let installation = Installation::on(&database)
            .set("controller.min_assurance", assurance)
            .write();
        let collector = installation.start_collector().await;
        // The head is written after the settings are, each by a job of its own.
        while database.count(settings, &[]).await < expected {
            tokio::task::yield_now().await;
        }
        drop(collector);
        installation
    };

    start("attested", 1).await;
    start("attested", 1).await;
    let installation = start("recipient", 2).await;

    assert_eq!(database.count(settings, &[]).await, 2);
    let acts = installation.ctl(&["audit", "acts"]);
    assert!(acts.contains("\"min_assurance\":\"recipient\""), "{acts}");
    installation.ctl(&["audit", "verify"]);
}
