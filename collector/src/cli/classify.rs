// SPDX-License-Identifier: GPL-3.0-or-later
//! `fairtrackctl classify`: judges hits that are given one a line, as JSON, and writes one verdict a line.
//!
//! Needs no database and looks nothing up: an autonomous system's number is taken from the line. Memory is bounded by the
//! longest line allowed. A line that cannot be read ends the run with its number; the verdicts before it are written.

mod hit;

use std::io::{BufRead, Read, Write};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use self::hit::{Hit, Other};
use crate::classify::{
    AddressHistory, Class, Context, Features, Kind, Neighbour, Networks, ReasonId, RequestParts,
    Salt, SenderSignals, Thresholds, classify, classify_at_once, extract,
};

/// Which verdict is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// The verdict at the moment of the hit: later hits are hidden.
    AtOnce,
    /// The verdict when later hits are known.
    Settled,
}

/// Longer lines are refused.
const LONGEST_LINE: u64 = 1 << 20;

/// Judges every line of the input.
///
/// # Errors
///
/// If a line is too long or no hit, naming its number, or if reading or writing fails.
pub fn run(moment: Moment, mut input: impl BufRead, mut output: impl Write) -> anyhow::Result<()> {
    let judge = Judge {
        moment,
        networks: Networks::compiled_in(),
        // Nothing is kept, so the tags need no secret.
        salt: Salt::new(&[0; 32], b""),
        thresholds: Thresholds::default(),
    };
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = input
            .by_ref()
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("failed to read line {number}"))?;
        if read == 0 {
            break;
        }
        ensure!(
            line.len() as u64 <= LONGEST_LINE,
            "line {number} is longer than {LONGEST_LINE} bytes"
        );
        if line.trim_ascii().is_empty() {
            continue;
        }
        let hit: Hit =
            serde_json::from_slice(&line).with_context(|| format!("line {number} is no hit"))?;
        serde_json::to_writer(&mut output, &judge.verdict(&hit))?;
        output.write_all(b"\n")?;
    }
    output.flush()?;
    Ok(())
}

/// A line of the output.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    class: Class,
    confidence: u8,
    reasons: Vec<ReasonId>,
}

struct Judge {
    moment: Moment,
    networks: Networks,
    salt: Salt,
    thresholds: Thresholds,
}

impl Judge {
    fn verdict<'a>(&self, hit: &'a Hit) -> Line<'a> {
        let features = self.features(hit);
        let earlier: Vec<_> = hit
            .history
            .iter()
            .map(|other| self.neighbour(hit, other))
            .collect();
        let later: Vec<_> = match self.moment {
            Moment::AtOnce => Vec::new(),
            Moment::Settled => hit
                .after
                .iter()
                .map(|other| self.neighbour(hit, other))
                .collect(),
        };
        let context = Context {
            earlier: &earlier,
            later: &later,
            links: hit.message.links,
            exchanger: hit.message.mx.unwrap_or_default(),
            address: AddressHistory {
                recipients: hit.ip_recent.recipients_10m,
                touched_honeypot: hit.ip_recent.honeypot_24h,
            },
            sender: SenderSignals {
                has_session: hit.sender.cookie,
                is_same_client: hit.sender.ip_match && hit.sender.ua_match,
                is_same_organisation: hit.sender.same_org,
                viewed_ms_ago: hit.sender.view_signal_secs.map(millis),
            },
            thresholds: &self.thresholds,
        };
        let verdict = match self.moment {
            Moment::AtOnce => classify_at_once(&features, &context),
            Moment::Settled => classify(&features, &context),
        };
        Line {
            id: &hit.id,
            class: verdict.class,
            confidence: verdict.confidence,
            reasons: verdict.reasons,
        }
    }

    fn features(&self, hit: &Hit) -> Features {
        let headers: Vec<_> = hit
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let request = RequestParts {
            kind: hit.kind,
            method: &hit.method,
            headers: &headers,
            ip: hit.ip,
            asn: hit.asn,
            link: hit.message.link,
            age_ms: millis(hit.secs_since_delivered.unwrap_or(hit.secs_since_sent)),
        };
        Features {
            is_honeypot: hit.message.honeypot,
            ..extract(&request, &self.networks, &self.salt)
        }
    }

    fn neighbour(&self, hit: &Hit, other: &Other) -> Neighbour {
        let is_same_ip = other.ip.as_deref() == Some("same");
        let user_agent = match other.ua.as_deref() {
            Some("same") => hit.user_agent(),
            user_agent => user_agent.unwrap_or_default(),
        };
        let offset_secs = match (other.secs_ago, other.secs_after) {
            (_, Some(after)) => after.abs(),
            (Some(ago), None) => -ago.abs(),
            (None, None) => 0.0,
        };
        let request = RequestParts {
            kind: other.kind,
            method: other.method.as_deref().unwrap_or("GET"),
            headers: &[("user-agent", user_agent)],
            ip: if is_same_ip {
                hit.ip
            } else {
                other.ip.as_deref().and_then(|ip| ip.parse().ok())
            },
            asn: is_same_ip.then_some(hit.asn).flatten(),
            link: other.link,
            age_ms: 0,
        };
        Neighbour {
            features: Features {
                // Where hits are listed like this, a click without a link's number is on a link that no reader sees.
                is_honeypot: other.honeypot || (other.kind == Kind::Click && other.link.is_none()),
                ..extract(&request, &self.networks, &self.salt)
            },
            offset_ms: signed_millis(offset_secs),
            class: other.class,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float saturates, and a time before the message was sent is the time of sending"
)]
fn millis(secs: f64) -> u64 {
    (secs * 1000.0).round() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from a float saturates"
)]
fn signed_millis(secs: f64) -> i64 {
    (secs * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::{Value, json};

    use super::*;

    fn verdicts(moment: Moment, input: &str) -> anyhow::Result<Vec<Value>> {
        let mut output = Vec::new();
        run(moment, input.as_bytes(), &mut output)?;
        let text = String::from_utf8(output)?;
        Ok(text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect())
    }

    const HIT: &str = r#"{"id":"a","kind":"click","method":"GET","headers":{"User-Agent":"curl/8"},"ip":"192.0.2.1","asn":null,"secs_since_sent":60,"message":{"links":1,"link":1,"mx":"somebody new"},"unheard-of":1}"#;

    #[test]
    fn a_line_gives_a_line() {
        let verdicts = verdicts(Moment::Settled, &format!("{HIT}\n\n{HIT}")).unwrap();

        assert_eq!(verdicts.len(), 2);
        assert_eq!(
            verdicts[0],
            json!({"id": "a", "class": "security-scanner", "confidence": 92, "reasons": ["R10a"]})
        );
    }

    #[test]
    fn a_malformed_line_is_named_after_the_verdicts_before_it() {
        let mut output = Vec::new();
        let input = format!("{HIT}\n{{\"id\":1}}\n");

        let error = run(Moment::Settled, input.as_bytes(), &mut output).unwrap_err();

        assert_eq!(error.to_string(), "line 2 is no hit");
        assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[test]
    fn an_endless_line_is_refused_without_being_kept() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));

        let error = run(Moment::Settled, endless, Vec::new()).unwrap_err();

        assert_eq!(error.to_string(), "line 1 is longer than 1048576 bytes");
    }

    /// What the gates count a class as.
    fn bucket(class: &str) -> &'static str {
        match class {
            "human" | "image-proxy-on-open" => "person",
            "duplicate" | "self" => "ignored",
            "unknown" => "unknown",
            _ => "machine",
        }
    }

    /// The gates over labelled hits: right classes, false people and machines, lost people and people, in that order.
    struct Gates {
        rows: usize,
        right: usize,
        false_people: usize,
        machines: usize,
        lost_people: usize,
        people: usize,
    }

    fn gates(rows: &[Value], verdicts: &[Value]) -> Gates {
        let mut gates = Gates {
            rows: rows.len(),
            right: 0,
            false_people: 0,
            machines: 0,
            lost_people: 0,
            people: 0,
        };
        for (row, verdict) in rows.iter().zip(verdicts) {
            assert_eq!(row["id"], verdict["id"]);
            let class = verdict["class"].as_str().unwrap();
            let mut accepted = vec![row["expect"]["class"].as_str().unwrap()];
            accepted.extend(
                row["expect"]["accept"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(Value::as_str),
            );
            let is_accepted = |wanted| accepted.iter().any(|class| bucket(class) == wanted);
            gates.right += usize::from(accepted.contains(&class));
            if row["expect"]["bucket"] == "human" && is_accepted("person") {
                gates.people += 1;
                gates.lost_people +=
                    usize::from(bucket(class) == "machine" && !is_accepted("machine"));
            }
            if ["machine", "ignored"].contains(&row["expect"]["bucket"].as_str().unwrap()) {
                gates.machines += 1;
                gates.false_people +=
                    usize::from(bucket(class) == "person" && !is_accepted("person"));
            }
        }
        gates
    }

    #[test]
    fn labelled_hits_pass_the_gates() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hits-dev.jsonl");
        let Ok(text) = fs::read_to_string(&path) else {
            eprintln!("skipped: no labelled hits at \"{}\"", path.display());
            return;
        };
        let rows: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();

        let settled = gates(&rows, &verdicts(Moment::Settled, &text).unwrap());
        let at_once = gates(&rows, &verdicts(Moment::AtOnce, &text).unwrap());

        assert!(settled.right * 100 >= settled.rows * 97);
        assert!(settled.false_people * 100 <= settled.machines);
        assert!(settled.lost_people * 100 <= settled.people);
        assert_eq!(at_once.false_people, 0);
    }

    #[test]
    fn labelled_machines_stay_machines_without_network_data() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hits-dev.jsonl");
        let Ok(text) = fs::read_to_string(&path) else {
            eprintln!("skipped: no labelled hits at \"{}\"", path.display());
            return;
        };
        let rows: Vec<Value> = text
            .lines()
            .map(|line| {
                let mut row: Value = serde_json::from_str(line).unwrap();
                row["asn"] = Value::Null;
                row
            })
            .collect();
        let blind: String = rows.iter().map(|row| format!("{row}\n")).collect();

        let gates = gates(&rows, &verdicts(Moment::Settled, &blind).unwrap());

        assert!(gates.machines > 0);
        assert_eq!(gates.false_people, 0);
    }
}
