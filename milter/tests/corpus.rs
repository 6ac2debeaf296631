// SPDX-License-Identifier: GPL-3.0-or-later
//! The whole mail corpus through the edit, judged by a checker that shares no code with us.
//!
//! Skipped, with a line that says so, where the corpus or the checker's library is not at hand.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{config::Config, ids::MessageId, keys::KeyRing, language::Language};
use milter::{
    control::Links,
    instrument::{Outcome, Plan, instrument_with_record},
    message::Eml,
};

/// The distribution's, for which html5lib is packaged, whatever else comes first on the path.
const PYTHON: &str = "/usr/bin/python3";

fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared")
}

/// Finds what the test needs, or says what is missing.
fn is_possible() -> bool {
    if !shared().join("data/corpus/messages").is_dir() {
        println!("skipped: no mail corpus beside the checkout");
        return false;
    }
    let probe = Command::new(PYTHON)
        .args(["-c", "import html5lib"])
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: /usr/bin/python3 with html5lib is not installed");
        return false;
    }
    true
}

fn files_below(directory: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path
                .extension()
                .is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// What is switched on.
#[derive(Clone, Copy)]
struct Switches {
    opens: bool,
    links: Links,
}

/// A directory of messages before and after, and one more for parts whose encoding had to change.
struct Bench {
    root: PathBuf,
    instrumented: usize,
    tracked: usize,
}

impl Bench {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("fairtrack-{name}-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&root);
        for kind in ["kept", "recoded"] {
            for side in ["before", "after"] {
                fs::create_dir_all(root.join(kind).join(side)).unwrap();
            }
        }
        Self {
            root,
            instrumented: 0,
            tracked: 0,
        }
    }

    /// Instruments one message; `None` stands for an untouched one.
    fn add(&mut self, name: &str, raw: &[u8], switches: Switches) -> Option<()> {
        let config = Config::for_testing();
        let keys = KeyRing::for_testing();
        let mut eml = Eml::parse(raw);
        if !eml.is_regular() {
            return None;
        }
        let plan = Plan {
            controller: config.controllers.first().unwrap(),
            controllers: &config.controllers,
            keys: &keys,
            language: Language::Pl,
            message: MessageId::random(),
            opens: switches.opens,
            links: switches.links,
        };
        let (result, record) = instrument_with_record(eml.message(), &plan);
        let instrumented = result.ok()?;
        assert!(
            record
                .parts
                .iter()
                .any(|part| part.outcome == Outcome::Edited)
        );
        let is_recoded = record.parts.iter().any(|part| part.recoded);
        self.tracked += usize::from(instrumented.links);
        eml.set_body(instrumented.body);
        eml.apply(&instrumented.header_edits);
        let kind = if is_recoded { "recoded" } else { "kept" };
        let name = name.replace('/', "__");
        fs::write(self.root.join(kind).join("before").join(&name), raw).unwrap();
        fs::write(
            self.root.join(kind).join("after").join(&name),
            eml.to_bytes(),
        )
        .unwrap();
        self.instrumented += 1;
        Some(())
    }

    fn check(&self, expect: &str) {
        for (kind, extra) in [("kept", &[][..]), ("recoded", &["--allow-cte-change"][..])] {
            let directory = self.root.join(kind);
            if fs::read_dir(directory.join("before"))
                .unwrap()
                .next()
                .is_none()
            {
                continue;
            }
            let output = Command::new(PYTHON)
                .arg(shared().join("tools/mimecheck.py"))
                .args([directory.join("before"), directory.join("after")])
                .args([
                    "--base",
                    "https://track.example.com/",
                    "--quiet",
                    "--disclosure",
                ])
                .args(["--unwrap", r"regex:/l/[^?]+\?u=(?P<url>.*)$"])
                .args(["--allow-header", "Tracking-Consent", "--allow-text-plain"])
                .args(["--expect", expect])
                .args(extra)
                .output()
                .unwrap();
            let verdicts = String::from_utf8_lossy(&output.stdout);
            println!("{kind}: {}", verdicts.lines().last().unwrap_or_default());
            assert!(output.status.success(), "{verdicts}");
        }
        fs::remove_dir_all(&self.root).unwrap();
    }
}

fn to_crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 40);
    let mut before = 0;
    for octet in raw {
        if *octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(*octet);
        before = *octet;
    }
    out
}

#[test]
fn every_message_is_instrumented_without_a_flaw_or_left_alone() {
    if !is_possible() {
        return;
    }
    let messages = shared().join("data/corpus/messages");
    let everything = Switches {
        opens: true,
        links: Links::Both,
    };
    let mut bench = Bench::new("corpus");
    for file in files_below(&messages, &["eml"]) {
        let name = file.strip_prefix(&messages).unwrap().display().to_string();
        let raw = fs::read(&file).unwrap();

        bench.add(&name, &raw, everything);
        // As it travels by SMTP.
        bench.add(&format!("crlf-{name}"), &to_crlf(&raw), everything);
    }

    println!(
        "{} instrumented, {} links",
        bench.instrumented, bench.tracked
    );
    assert!(bench.instrumented > 300 && bench.tracked > 150);
    bench.check("auto");
}

#[test]
fn links_alone_need_no_pixel() {
    if !is_possible() {
        return;
    }
    let messages = shared().join("data/corpus/messages");
    let mut bench = Bench::new("corpus-links");
    for file in files_below(&messages, &["eml"]) {
        let name = file.strip_prefix(&messages).unwrap().display().to_string();
        let links = Switches {
            opens: false,
            links: Links::Html,
        };

        bench.add(&name, &fs::read(&file).unwrap(), links);
    }

    assert!(bench.instrumented > 25);
    bench.check("none");
}

#[test]
fn every_template_is_instrumented_in_every_encoding() {
    if !is_possible() {
        return;
    }
    let templates = shared().join("data/corpus/templates");
    let everything = Switches {
        opens: true,
        links: Links::Both,
    };
    let mut bench = Bench::new("templates");
    let mut count = 0;
    for file in files_below(&templates, &["html", "htm", "hbs", "twig"]) {
        let name = file.strip_prefix(&templates).unwrap().display().to_string();
        let html = fs::read(&file).unwrap();
        for transfer in ["8bit", "quoted-printable", "base64"] {
            for line_end in ["\r\n", "\n"] {
                for is_alternative in [true, false] {
                    let raw = wrap(&html, transfer, line_end, is_alternative);
                    let name = format!("{name}-{transfer}-{}-{is_alternative}.eml", line_end.len());
                    count += 1;
                    if bench.add(&name, &raw, everything).is_none() {
                        println!("untouched: {name}");
                    }
                }
            }
        }
    }

    println!(
        "{} of {count} instrumented, {} links",
        bench.instrumented, bench.tracked
    );
    assert!(bench.instrumented * 100 > count * 95);
    bench.check("auto");
}

/// Puts a template into a message.
fn wrap(html: &[u8], transfer: &str, line_end: &str, is_alternative: bool) -> Vec<u8> {
    let charset = if std::str::from_utf8(html).is_ok() {
        "utf-8"
    } else {
        "iso-8859-1"
    };
    let html = if line_end == "\n" {
        html.iter()
            .copied()
            .filter(|octet| *octet != b'\r')
            .collect()
    } else {
        to_crlf(html)
    };
    let body = match transfer {
        "base64" => {
            let encoded = STANDARD.encode(&html);
            let lines: Vec<&str> = encoded
                .as_bytes()
                .chunks(76)
                .map(|line| std::str::from_utf8(line).unwrap())
                .collect();
            lines.join(line_end).into_bytes()
        }
        "quoted-printable" => quoted_printable(&html, line_end),
        _ => html,
    };
    let part = format!(
        "Content-Type: text/html; charset={charset}{line_end}Content-Transfer-Encoding: {transfer}{line_end}{line_end}"
    );
    let top =
        format!("From: a@example.com{line_end}Subject: x{line_end}MIME-Version: 1.0{line_end}");
    let mut raw = top.into_bytes();
    if is_alternative {
        let text = format!(
            "Content-Type: multipart/alternative; boundary=\"=_b\"{line_end}{line_end}--=_b{line_end}\
             Content-Type: text/plain; charset=utf-8{line_end}{line_end}\
             Hello, see https://shop.example/offer?id=1.{line_end}{line_end}--=_b{line_end}"
        );
        raw.extend_from_slice(text.as_bytes());
    }
    raw.extend_from_slice(part.as_bytes());
    raw.extend_from_slice(&body);
    if is_alternative {
        raw.extend_from_slice(format!("{line_end}--=_b--{line_end}").as_bytes());
    }
    raw
}

fn quoted_printable(text: &[u8], line_end: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, line) in text.split(|octet| *octet == b'\n').enumerate() {
        if number > 0 {
            out.extend_from_slice(line_end.as_bytes());
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut column = 0;
        for (place, octet) in line.iter().enumerate() {
            let is_last = place + 1 == line.len();
            let is_literal =
                matches!(octet, 33..=60 | 62..=126) || (matches!(octet, b' ' | b'\t') && !is_last);
            let unit = if is_literal {
                vec![*octet]
            } else {
                format!("={octet:02X}").into_bytes()
            };
            if column + unit.len() > 75 {
                out.extend_from_slice(format!("={line_end}").as_bytes());
                column = 0;
            }
            column += unit.len();
            out.extend_from_slice(&unit);
        }
    }
    out
}
