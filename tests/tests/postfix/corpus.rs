// SPDX-License-Identifier: GPL-3.0-or-later
//! Every message of a corpus through a real Postfix, the milter and a DKIM signer: with consent its signature holds,
//! without it leaves as it came.
//!
//! The corpus stands beside the checkout; where it does not, messages of our own take its place.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use common::keys::KeyRing;
use harness::{
    database::Database,
    dkim::Signature,
    messages::{Encoding, Message},
    needs,
    sink::Delivery,
    site::{ALICE, BOB, PASSWORD, Said, Site},
    smtp::Session,
};
use mail_parser::{MessageParser, PartType};

use crate::taken_apart::uninstrumented;

const CAROL: &str = "carol@recipient.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_consent_every_message_is_what_it_was_and_with_it_every_signature_holds() {
    needs!(PostgreSql, Postfix, OpenDkim, Dkimpy);
    let site = verbatim_site().await;
    site.says(BOB, Said::Yes).await;
    let _milter = site.installation.start_milter().await;
    let corpus = corpus();

    // Carol said nothing.
    let untouched = deliver(&site, &corpus, CAROL).await;
    let instrumented = deliver(&site, &corpus, BOB).await;

    assert_untouched(&site, &corpus, &untouched).await;
    let count = assert_signed(&site, &corpus, &untouched, &instrumented);
    let rows = "SELECT count(*) FROM messages WHERE reason IS NULL";
    assert_eq!(site.database.count(rows, &[]).await, count as i64);
}

/// Every message ends in what was submitted, octet for octet; servers only put fields before it.
async fn assert_untouched(
    site: &Site,
    corpus: &[(String, Vec<u8>)],
    delivered: &BTreeMap<usize, Delivery>,
) {
    let mut otherwise = Vec::new();
    for (number, delivery) in delivered {
        let (name, raw) = corpus.get(*number).unwrap();
        match delivery.message.strip_suffix(raw.as_slice()) {
            Some(before) => assert_are_trace_fields(before, name),
            None => otherwise.push((*number, (name.clone(), raw.clone()))),
        }
    }
    // What Postfix itself changes it changes without any milter too.
    let bare: Vec<(String, Vec<u8>)> = otherwise.iter().map(|(_, entry)| entry.clone()).collect();
    let baseline = deliver_through(site.postfix.local_port(), site, &bare, CAROL).await;
    for (place, (number, (name, _))) in otherwise.iter().enumerate() {
        assert_eq!(
            String::from_utf8_lossy(&delivered.get(number).unwrap().without_trace_and_signature()),
            String::from_utf8_lossy(&baseline.get(&place).unwrap().without_trace()),
            "{name}"
        );
    }
    println!(
        "{} messages without consent: as submitted, but for {} that Postfix changes by itself: {:?}",
        corpus.len(),
        bare.len(),
        bare.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    assert!(bare.len() * 10 < corpus.len());
}

/// Every message that was instrumented is what was submitted once our own is taken out, and every signature holds that
/// holds without us. Returns how many were instrumented.
fn assert_signed(
    site: &Site,
    corpus: &[(String, Vec<u8>)],
    untouched: &BTreeMap<usize, Delivery>,
    delivered: &BTreeMap<usize, Delivery>,
) -> usize {
    let before = verdicts(site, untouched);
    let after = verdicts(site, delivered);
    let keys = KeyRing::read(&site.installation.keys()).unwrap();
    let base = site.installation.url();
    let (mut instrumented, mut rewritten, mut unsigned) = (0, 0, Vec::new());
    for (number, delivery) in delivered {
        let name = &corpus.get(*number).unwrap().0;
        if after.get(number) != Some(&Signature::Valid) {
            // Without an author, or with a broken header section, there is none without us either.
            assert_eq!(before.get(number), after.get(number), "{name}");
            unsigned.push(name);
        }
        let message = delivery.without_trace_and_signature();
        let original = untouched.get(number).unwrap().without_trace_and_signature();
        if message != original {
            instrumented += 1;
            assert!(site.artefacts(delivery).field.is_some(), "{name}");
            let before = uninstrumented(&message, &keys, &base);
            if before != original {
                // Where something was taken out, what stood there may be written otherwise.
                assert_eq!(as_read(&before), as_read(&original), "{name}");
                rewritten += 1;
            }
        }
    }
    println!(
        "{} messages with consent: {instrumented} instrumented; signatures valid, but for {} that have none without us \
         either: {unsigned:?}",
        corpus.len(),
        unsigned.len()
    );
    assert!(instrumented * 3 > corpus.len());
    assert!(rewritten * 2 < instrumented, "{rewritten}");
    assert!(unsigned.len() * 10 < corpus.len());
    instrumented
}

/// Returns what a reader's program makes of a message: its fields and the decoded content of its parts, soft line breaks,
/// transfer encodings and entities resolved.
fn as_read(message: &[u8]) -> Vec<String> {
    let parsed = MessageParser::new().parse(message).unwrap();
    let fields = parsed
        .headers_raw()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Transfer-Encoding"))
        .map(|(name, value)| format!("{name}:{value}"));
    let parts = parsed.parts.iter().map(|part| match &part.body {
        PartType::Html(html) => htmlize::unescape_attribute(html.as_ref()).into_owned(),
        PartType::Multipart(children) => format!("{} parts", children.len()),
        _ => String::from_utf8_lossy(part.contents()).into_owned(),
    });
    fields.chain(parts).collect()
}

fn assert_are_trace_fields(fields: &[u8], name: &str) {
    let fields = String::from_utf8_lossy(fields).to_lowercase();
    for line in fields.split_terminator("\r\n") {
        let known = [
            "received:",
            "dkim-signature:",
            "authentication-results:",
            " ",
            "\t",
        ];
        let is_known = known.iter().any(|start| line.starts_with(start));
        assert!(is_known, "{name}: \"{line}\" was put before the message");
    }
}

/// A site whose Postfix leaves header sections alone as far as it can.
async fn verbatim_site() -> Site {
    let site = Site::with_postfix(
        Database::start().await,
        // A build for tests is slow; the deadline is another test's subject.
        |builder| builder.set("milter.deadline", "20s"),
        |postfix| {
            postfix
                .setting("local_header_rewrite_clients =")
                .setting("always_add_missing_headers = no")
                .setting("message_drop_headers =")
        },
    )
    .await;
    site.user(ALICE).await;
    site.database
        .execute("UPDATE users SET text_links = true")
        .await;
    site
}

async fn deliver(
    site: &Site,
    corpus: &[(String, Vec<u8>)],
    recipient: &str,
) -> BTreeMap<usize, Delivery> {
    deliver_through(site.postfix.submission_port(), site, corpus, recipient).await
}

/// Sends everything, the number of each message in its envelope sender, and returns what arrives, by that number.
async fn deliver_through(
    port: u16,
    site: &Site,
    corpus: &[(String, Vec<u8>)],
    recipient: &str,
) -> BTreeMap<usize, Delivery> {
    let mut session = if port == site.postfix.submission_port() {
        Session::open_as(port, ALICE, PASSWORD).await
    } else {
        Session::open(port).await
    };
    for (number, (name, raw)) in corpus.iter().enumerate() {
        let sender = format!("n{number}@example.com");
        let reply = session.send(&sender, &[recipient], raw).await;
        assert_eq!(reply.code, 250, "{name}: {}", reply.text);
    }
    session.quit().await;
    site.postfix.wait_until_idle().await;
    let mut delivered = BTreeMap::new();
    while let Some(delivery) = site.sink.take() {
        let number = delivery.sender.trim_start_matches('n');
        let number: usize = number.split('@').next().unwrap().parse().unwrap();
        let twice = delivered.insert(number, delivery);
        assert!(twice.is_none(), "{number} came twice");
    }
    assert_eq!(delivered.len(), corpus.len());
    delivered
}

fn verdicts(site: &Site, deliveries: &BTreeMap<usize, Delivery>) -> BTreeMap<usize, Signature> {
    let messages: Vec<&[u8]> = deliveries
        .values()
        .map(|delivery| delivery.message.as_slice())
        .collect();
    let verdicts = site.signer.verify_all(&messages);
    deliveries.keys().copied().zip(verdicts).collect()
}

/// Returns every message by name, as it travels by SMTP.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/corpus");
    let mut corpus = Vec::new();
    for file in files_below(&folder) {
        let name = file.strip_prefix(&folder).unwrap().display().to_string();
        let raw = fs::read(&file).unwrap();
        let extension = file.extension().unwrap_or_default();
        if extension == "eml" {
            corpus.push((name, for_smtp(&raw)));
        } else if ["html", "htm", "hbs", "twig"]
            .iter()
            .any(|known| extension == *known)
        {
            let html = String::from_utf8_lossy(&for_smtp(&raw)).into_owned();
            corpus.extend(wrapped(&name, &html));
        }
    }
    if corpus.is_empty() {
        println!("skipped: no mail corpus beside the checkout; messages of our own take its place");
        let lists =
            "<ul><li><a href='https://a.example/?b=1&amp;c=[2]#d'>a</a></ul>\r\n".repeat(50);
        corpus.extend(wrapped("ours", harness::messages::HTML));
        corpus.extend(wrapped("lists", &lists));
        corpus.extend(wrapped(
            "broken",
            "<p><b>a</p><td><a href=https://a.example/x>b\r\n",
        ));
        corpus.push((
            "text".into(),
            Message::new(ALICE, BOB).without_html().build(),
        ));
    }
    corpus
}

/// Puts a page into messages of every encoding that can carry it.
fn wrapped(name: &str, html: &str) -> Vec<(String, Vec<u8>)> {
    let is_long = html.lines().any(|line| line.len() > 900);
    [
        Encoding::Base64,
        Encoding::EightBit,
        Encoding::QuotedPrintable,
    ]
    .into_iter()
    .filter(|encoding| *encoding != Encoding::EightBit || !is_long)
    .map(|encoding| {
        let message = Message::new(ALICE, BOB).html(html).encoding(encoding);
        (format!("{name} ({encoding:?})"), message.build())
    })
    .collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Ends every line with CR LF, the last too, and drops the line that mailboxes put before a message.
fn for_smtp(raw: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(raw.len());
    for (number, line) in raw.split_inclusive(|octet| *octet == b'\n').enumerate() {
        if number == 0 && line.starts_with(b"From ") {
            continue;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        message.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        message.extend_from_slice(b"\r\n");
    }
    message
}
