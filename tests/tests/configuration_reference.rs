// SPDX-License-Identifier: GPL-3.0-or-later
//! `docs/configuration.md` is generated from the doc comments of the configuration's fields, and this test compares it.
//!
//! `UPDATE=1 cargo test -p tests --test configuration_reference` writes it anew.

use std::{fmt::Write, fs, path::Path};

const HEAD: &str = "# Configuration

One TOML file serves all programs: `/etc/fairtrack/fairtrack.toml`, or what `--config` or `FAIRTRACK_CONFIG` names. It is
read once at start, and again at SIGHUP; what needs a restart keeps its old value then, and a warning names it. An
unknown key, a contradiction or a missing field is an error that names file, line and key. `--check` reads the file,
prints what is in effect, and exits.

Durations are written `150ms 10s 5m 2h 90d 3y`, sizes `512KB 25MB`. A field without a default is required.
";

#[test]
fn every_field_is_described_as_in_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut page = HEAD.to_owned();
    for file in ["sections.rs", "oidc.rs", "controller.rs"] {
        let code = fs::read_to_string(root.join("common/src/config").join(file)).unwrap();
        page.push_str(&describe(&code));
    }
    let path = root.join("docs/configuration.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }

    let written = fs::read_to_string(&path).unwrap_or_default();

    assert!(
        written == page,
        "docs/configuration.md is out of date; UPDATE=1 writes it anew"
    );
    assert!(page.contains("### `max_message_size`") && page.contains("## `[[controller]]`"));
}

/// Renders each struct whose doc comment begins with its section's name, such as `[milter]`, with its fields.
fn describe(code: &str) -> String {
    let mut page = String::new();
    let mut docs: Vec<&str> = Vec::new();
    let mut is_section = false;
    for line in code.lines() {
        let text = line.trim();
        if let Some(doc) = text.strip_prefix("///") {
            docs.push(doc.trim());
        } else if text.starts_with("pub struct ") {
            let heading = docs
                .first()
                .and_then(|doc| doc.split_once('`'))
                .and_then(|(_, rest)| rest.split_once('`'));
            is_section = heading.is_some_and(|(name, _)| name.starts_with('['));
            if let Some((name, rest)) = heading.filter(|_| is_section) {
                let rest = rest.trim_start_matches([':', ' ']);
                let _infallible = write!(page, "\n## `{name}`\n");
                if let Some(first) = rest.chars().next().filter(|_| name != "[[controller]]") {
                    let rest: String = rest.chars().skip(1).collect();
                    let _infallible = write!(page, "\n{}{rest}\n", first.to_uppercase());
                }
            }
            docs.clear();
        } else if let Some((name, _)) = text
            .strip_prefix("pub ")
            .and_then(|field| field.split_once(": "))
        {
            if is_section {
                let _infallible = write!(page, "\n### `{name}`\n\n{}\n", docs.join(" "));
            }
            docs.clear();
        } else if line == "}" {
            is_section = false;
        } else if !text.starts_with("#[") {
            docs.clear();
        }
    }
    page
}
