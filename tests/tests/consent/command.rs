// SPDX-License-Identifier: GPL-3.0-or-later
//! What administrators do about consent: record, withdraw, import, export, prove.

use serde_json::Value;

use crate::place::{Place, last_month};

fn shown(place: &Place, address: &str) -> Value {
    let (status, text, complaint) = place.ctl(&["consent", "show", address, "--json"]);
    assert_eq!(status, 0, "{complaint}");
    serde_json::from_str(&text).unwrap()
}

fn record(place: &Place, address: &str, more: &[&str]) -> (i32, String, String) {
    let date = last_month();
    let whole = [
        "consent",
        "record",
        address,
        "--purpose",
        "open,click",
        "--given-at",
        &date,
        "--channel",
        "paper",
        "--evidence",
        "ticket 7",
    ];
    place.ctl(&[&whole[..], more].concat())
}

/// C65, C66, T12: an attestation counts at once.
#[tokio::test]
async fn recorded_consent_counts_at_once() {
    let place = Place::open().await;

    let (status, _, complaint) = record(&place, "ewa@elsewhere.example", &[]);

    assert_eq!(status, 0, "{complaint}");
    let shown = shown(&place, "ewa@elsewhere.example");
    assert_eq!(shown["states"][0]["state"], "granted");
    assert_eq!(shown["states"][0]["allowed"], true);
    assert_eq!(shown["events"][0]["author"], "admin");
    assert_eq!(shown["events"][0]["assurance"], 1);
    assert_eq!(
        place
            .count("consent_evidence WHERE evidence ->> 'evidence' = 'ticket 7'")
            .await,
        2
    );
}

/// C66: nothing is recorded without its evidence.
#[tokio::test]
async fn record_without_evidence_is_misuse() {
    let place = Place::open().await;

    for missing in ["--given-at", "--channel", "--evidence", "--purpose"] {
        let date = last_month();
        let whole = [
            ("--purpose", "open"),
            ("--given-at", date.as_str()),
            ("--channel", "paper"),
            ("--evidence", "7"),
        ];
        let mut arguments = vec!["consent", "record", "ewa@elsewhere.example"];
        for (name, value) in whole.into_iter().filter(|(name, _)| *name != missing) {
            arguments.extend([name, value]);
        }
        assert_eq!(place.ctl(&arguments).0, 2, "{missing}");
    }
    for (address, word) in [
        ("info@elsewhere.example", "office"),
        ("bob@example.com", "organisation itself"),
        ("ewa", "no mail address"),
    ] {
        let (status, _, complaint) = record(&place, address, &[]);
        assert_eq!(status, 1);
        assert!(complaint.contains(word), "{complaint}");
    }

    assert_eq!(place.states().await, Vec::<String>::new());
}

/// C70, C67, T13: by telephone, at once, like the person's own; and no attestation undoes it.
#[tokio::test]
async fn withdrawal_by_telephone_counts_like_the_persons_own() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    record(&place, &address, &[]);
    place.hit(&sample, "click").await;

    let (status, ..) = place.ctl(&["consent", "withdraw", &address, "--channel", "telephone"]);
    let (undone, ..) = record(&place, &address, &[]);

    assert_eq!((status, undone), (0, 1));
    assert_eq!(place.count("hits").await, 0);
    let shown = shown(&place, &address);
    assert_eq!(shown["states"][0]["state"], "withdrawn");
    assert_eq!(shown["states"][0]["allowed"], false);
}

/// C94: consent never crosses from one organisation to another.
#[tokio::test]
async fn consent_does_not_cross_controllers() {
    let database = harness::database::Database::start().await;
    let mail = harness::sink::Sink::start();
    let second = toml::toml! {
        id = "second"
        name = "Second GmbH"
        address = "Hauptstr. 1, Berlin"
        contact = "privacy@second.example"
        authority = "BfDI"
        domains = ["second.example"]
        public_url = "http://localhost:1"
    };
    let installation = harness::installation::Installation::on(&database)
        .mail_through(mail.port())
        .controller(second)
        .write();
    installation.ctl(&["migrate"]);
    let date = last_month();
    let arguments = [
        "consent",
        "record",
        "ewa@elsewhere.example",
        "--purpose",
        "open",
        "--given-at",
        &date,
        "--channel",
        "paper",
        "--evidence",
        "7",
    ];

    let unnamed = installation.run("fairtrackctl", &arguments, b"");
    installation.ctl(&[&arguments[..], &["--controller", "second"]].concat());
    let first = installation.ctl(&[
        "consent",
        "show",
        "ewa@elsewhere.example",
        "--json",
        "--controller",
        "example",
    ]);
    let second = installation.ctl(&[
        "consent",
        "show",
        "ewa@elsewhere.example",
        "--json",
        "--controller",
        "second",
    ]);

    assert_eq!(unnamed.status.code(), Some(1));
    let allowed =
        |text: &str| serde_json::from_str::<Value>(text).unwrap()["states"][0]["allowed"].clone();
    assert_eq!(
        (allowed(&first), allowed(&second)),
        (false.into(), true.into())
    );
}

/// C69: rows are checked first, all or none are written, each is answered by a line.
#[tokio::test]
async fn import_is_all_or_nothing() {
    let place = Place::open().await;
    place.ctl(&[
        "consent",
        "withdraw",
        "no@elsewhere.example",
        "--channel",
        "post",
    ]);
    let date = last_month();
    let header = "address,purpose,state,scope,given_at,channel,evidence,notice\n";
    let good = format!(
        "{header}ewa@elsewhere.example,both,granted,controller,{date},paper,7,\nold@elsewhere.example,,withdrawn,,,,,\n"
    );
    let bad = format!(
        "{good}no@elsewhere.example,open,granted,controller,{date},paper,8,\nbroken,open\n,,denied,,,,,\n"
    );
    let folder = place
        .installation
        .configuration()
        .parent()
        .unwrap()
        .to_owned();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (good, bad) = (write("good.csv", &good), write("bad.csv", &bad));

    let refused = place.ctl(&["consent", "import", &bad, "--apply"]);
    let after_refusal = place.states().await.len();
    let dry = place.ctl(&["consent", "import", &good]);
    let after_dry_run = place.states().await.len();
    let applied = place.ctl(&["consent", "import", &good, "--apply", "--json"]);
    let again = place.ctl(&["consent", "import", &good]);

    assert_eq!(refused.0, 1);
    for line in [
        "line 2: good",
        "line 3: good",
        "line 4: bad: the recipient has said no",
        "line 5: bad: 2 fields",
        "line 6: bad: \"address\"",
    ] {
        assert!(refused.1.contains(line), "{line}: {}", refused.1);
    }
    assert_eq!((after_refusal, after_dry_run), (2, 2));
    assert_eq!((dry.0, applied.0), (0, 0), "{}", applied.2);
    assert!(
        applied
            .1
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).unwrap()["outcome"] == "good")
    );
    assert_eq!(place.states().await.len(), 6);
    assert!(again.1.contains("line 3: stands already"), "{}", again.1);
    assert_eq!(
        shown(&place, "ewa@elsewhere.example")["states"][0]["allowed"],
        true
    );
    assert_eq!(place.verify().0, 0);
}

/// A file of any length is read in pieces, and progress is told.
#[tokio::test]
async fn large_import_is_read_in_pieces() {
    let place = Place::open().await;
    let large = large_file(&place, 100_000);
    let smaller = large_file(&place, 10_000);

    let (small, _, little) = import(&place, &smaller);
    let (applied, lines, most) = import(&place, &large);

    assert!(small.contains("10000 rows written"), "{small}");
    for line in [
        "10000 rows checked",
        "100000 rows checked",
        "50000 rows written",
        "100000 rows written",
    ] {
        assert!(applied.contains(line), "{line}: {applied}");
    }
    assert_eq!(lines, 100_000);
    // Ten thousand people agreed twice.
    assert_eq!(place.count("consent_events").await, 110_000);
    // Ten times the rows, and hardly more memory.
    assert!(
        most < little + 16 * 1024,
        "{little} KiB for 10,000 rows, {most} KiB for 100,000"
    );
    assert_eq!(place.verify().0, 0);
}

/// Imports a file, and returns what was said of progress, how many rows were answered, and the most memory that it took,
/// in KiB.
fn import(place: &Place, file: &str) -> (String, usize, u64) {
    use std::process::{Command, Stdio};
    let said = place.installation.configuration().with_file_name("said");
    let answers = said.with_extension("answers");
    let mut child = Command::new(harness::installation::program_path("fairtrackctl"))
        .args(["consent", "import", file, "--apply"])
        .env_remove("DATABASE_URL")
        .env("FAIRTRACK_CONFIG", place.installation.configuration())
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&answers).unwrap())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let mut most = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        // The kernel keeps the greatest value; it only has to be read before the end.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let peak = status.unwrap_or_default();
        let peak = peak.lines().find_map(|line| {
            let rest = line.strip_prefix("VmHWM:")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        most = peak.unwrap_or(most);
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let said = std::fs::read_to_string(said).unwrap();
    assert!(status.success(), "{said}");
    let answers = std::fs::read_to_string(answers).unwrap();
    (said, answers.lines().count(), most)
}

/// C69: whatever is wrong with a file, nothing is changed, and the row is named.
#[tokio::test]
async fn malformed_file_changes_nothing_and_each_bad_row_is_named() {
    let place = Place::open().await;
    let date = last_month();
    let header = "address,purpose,state,scope,given_at,channel,evidence,notice\n";
    let good = format!("ewa@elsewhere.example,both,granted,controller,{date},paper,7,\n");
    let path = place.installation.configuration().with_file_name("bad.csv");
    let mut rows = Vec::new();
    for (row, word) in [
        (
            "x,both,granted,controller,2026-01-01,paper,7,\n",
            "no mail address",
        ),
        (
            "a@elsewhere.example,read,granted,controller,2026-01-01,paper,7,\n",
            "\"purpose\"",
        ),
        (
            "a@elsewhere.example,both,maybe,controller,2026-01-01,paper,7,\n",
            "\"state\"",
        ),
        (
            "a@elsewhere.example,both,granted,nobody,2026-01-01,paper,7,\n",
            "line",
        ),
        (
            "a@elsewhere.example,both,granted,controller,yesterday,paper,7,\n",
            "line",
        ),
        (
            "a@elsewhere.example,both,granted,controller,2999-01-01,paper,7,\n",
            "future",
        ),
        (
            "a@elsewhere.example,both,granted,controller,2001-01-01,paper,7,\n",
            "too long ago",
        ),
        (
            "a@elsewhere.example,both,granted,controller,2026-11-01,,7,\n",
            "\"channel\"",
        ),
        (
            "a@elsewhere.example,both,granted,controller,2026-11-01,paper,,\n",
            "\"evidence\"",
        ),
        (
            "info@elsewhere.example,both,granted,controller,2026-11-01,paper,7,\n",
            "office",
        ),
        ("a@elsewhere.example,both,granted\n", "3 fields"),
    ] {
        rows.push((row.as_bytes().to_vec(), word));
    }
    rows.push((
        b"a@elsewhere.example,both,granted,controller,2026-11-01,\xff,7,\n".to_vec(),
        "UTF-8",
    ));

    for (row, word) in &rows {
        let file = [header.as_bytes(), good.as_bytes(), row, good.as_bytes()].concat();
        std::fs::write(&path, file).unwrap();
        let (status, lines, complaint) =
            place.ctl(&["consent", "import", &path.display().to_string(), "--apply"]);

        let named = String::from_utf8_lossy(row);
        assert_eq!(status, 1, "{named}");
        assert!(complaint.contains("nothing was changed"), "{complaint}");
        let bad: Vec<&str> = lines
            .lines()
            .filter(|line| line.contains(": bad: "))
            .collect();
        assert_eq!(bad.len(), 1, "{named}: {lines}");
        assert!(
            bad[0].starts_with("line 3: bad: ") && bad[0].contains(word),
            "{}",
            bad[0]
        );
    }
    for file in [
        "",
        "\n",
        "mail,state\na@elsewhere.example,denied\n",
        "address,state,address\na@elsewhere.example,denied,b\n",
        "address,state\n\"a@elsewhere.example,denied\n",
    ] {
        std::fs::write(&path, file).unwrap();
        let (status, ..) =
            place.ctl(&["consent", "import", &path.display().to_string(), "--apply"]);
        assert_eq!(status, 1, "{file:?}");
    }

    for table in [
        "subjects",
        "consent_events",
        "consent_evidence",
        "suppressions",
    ] {
        assert_eq!(place.count(table).await, 0, "{table}");
    }
    assert_eq!(place.count("acts WHERE act = 'import'").await, 0);
}

fn large_file(place: &Place, rows: u32) -> String {
    use std::fmt::Write;
    let date = last_month();
    let mut text = String::from("address,purpose,state,scope,given_at,channel,evidence,notice\n");
    for row in 0..rows {
        writeln!(
            text,
            "p{row}@elsewhere.example,open,granted,controller,{date},web form,row {row},"
        )
        .unwrap();
    }
    let name = format!("large-{rows}.csv");
    let path = place.installation.configuration().with_file_name(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// What was exported can be imported elsewhere.
#[tokio::test]
async fn export_can_be_imported() {
    let place = Place::open().await;
    record(&place, "ewa@elsewhere.example", &[]);
    place.ctl(&[
        "consent",
        "withdraw",
        "no@elsewhere.example",
        "--channel",
        "post",
    ]);
    let (status, csv, _) = place.ctl(&["consent", "export"]);
    let other = Place::open().await;
    let path = other
        .installation
        .configuration()
        .with_file_name("export.csv");
    std::fs::write(&path, csv).unwrap();

    let (imported, _, complaint) =
        other.ctl(&["consent", "import", &path.display().to_string(), "--apply"]);

    assert_eq!((status, imported), (0, 0), "{complaint}");
    assert_eq!(
        shown(&other, "ewa@elsewhere.example")["states"][0]["allowed"],
        true
    );
    assert_eq!(
        shown(&other, "no@elsewhere.example")["states"][0]["allowed"],
        false
    );
}

/// C81, P8, P10: one bundle with events, exact text, evidence and chain.
#[tokio::test]
async fn proof_holds_everything_that_was_agreed() {
    let place = Place::open().await;
    let (_, address) = place.message().await;
    place.allow(&address).await;

    let (status, json, _) = place.ctl(&["consent", "proof", &address, "--json"]);
    let (printed, html, _) = place.ctl(&["consent", "proof", &address]);

    assert_eq!((status, printed), (0, 0));
    let proof: Value = serde_json::from_str(&json).unwrap();
    let text = proof["notices"][0]["text"].as_str().unwrap();
    assert_eq!(
        proof["events"][0]["notice_sha256"],
        common::consent::chain::hex(&common::consent::chain::sha256(text)).as_str()
    );
    assert_eq!(proof["events"][0]["entry_hash_holds"], true);
    assert_eq!(
        proof["events"][0]["evidence"]["by"],
        "a link mailed to the address"
    );
    assert_eq!(
        proof["events"][1]["prev_hash"],
        proof["events"][0]["entry_hash"]
    );
    assert_eq!(proof["chain"]["intact"], true);
    assert!(
        html.starts_with("<!doctype html>")
            && html.contains(&address)
            && html.contains("What is not recorded")
    );
}

/// C76: a text is kept once, under its hash, and can be referred to.
#[tokio::test]
async fn text_that_was_agreed_to_elsewhere_is_kept() {
    let place = Place::open().await;
    let path = place
        .installation
        .configuration()
        .with_file_name("form.txt");
    std::fs::write(&path, "I agree.\n").unwrap();
    let path = path.display().to_string();

    let (_, added, _) = place.ctl(&["notice", "add", &path, "--language", "en", "--json"]);
    let hash = serde_json::from_str::<Value>(&added).unwrap()["hash"]
        .as_str()
        .unwrap()
        .to_owned();
    place.ctl(&["notice", "add", &path, "--language", "en"]);
    let (status, _, complaint) = record(&place, "ewa@elsewhere.example", &["--notice", &hash]);
    let (_, proof, _) = place.ctl(&["consent", "proof", "ewa@elsewhere.example", "--json"]);

    assert_eq!(status, 0, "{complaint}");
    assert_eq!(place.count("notices").await, 1);
    assert_eq!(
        serde_json::from_str::<Value>(&proof).unwrap()["notices"][0]["text"],
        "I agree.\n"
    );
}
