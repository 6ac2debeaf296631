// SPDX-License-Identifier: GPL-3.0-or-later
//! Damaged messages through the whole edit: nothing may panic, take long, or leave with a flaw.
//!
//! The damage is drawn from a fixed sequence, so that a failure comes again. `FAIRTRACK_MUTATIONS` sets how many
//! messages are made; cargo-fuzz, for which `milter/fuzz` has targets, searches further.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it must be"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{
    config::Config, ids::MessageId, keys::KeyRing, language::Language, reason::SkipReason,
};
use milter::{
    control::{self, Links},
    eligibility,
    instrument::{Plan, instrument_with_record, unwrap},
    message::{Eml, Message},
};
use uuid::Uuid;

/// A sequence that only looks random (xorshift64).
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap()
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        items.get(self.below(items.len())).unwrap()
    }
}

const SEEDS: [&str; 4] = [
    "Subject: [track] =?utf-8?Q?x?=\r\nTo: a@b.example, track@track.example.com\r\nX-Track: yes; once\r\n\
     MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"=_x\"\r\n\r\n--=_x\r\n\
     Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\nSee <https://a.example/x> and\r\n\
     (https://b.example/y).\r\n-- \r\nAnna\r\n--=_x\r\nContent-Type: text/html; charset=utf-8\r\n\
     Content-Transfer-Encoding: quoted-printable\r\n\r\n<html><body><p>Za=C5=BC <a href=3D\"https://a.=\r\n\
     example/x?a=3D1&amp;b=3D2\">x</a></p><blockquote type=3D\"cite\">q</blockquote></body></html>\r\n--=_x--\r\n",
    "MIME-Version: 1.0\r\nContent-Type: text/html; charset=iso-8859-2\r\nContent-Transfer-Encoding: base64\r\n\r\n\
     PGh0bWw+PGJvZHk+PHA+aGVsbG8gPGEgaHJlZj0iaHR0cHM6Ly9hLmV4YW1wbGUvIj54PC9hPjwv\r\ncD48L2JvZHk+PC9odG1sPg==\r\n",
    "Content-Type: text/html\n\n<!--[if mso]><a href=x><![endif]--><table><tr><td><a data-no-track href='https://a.example'>x\n\
     <a href=https://b.example/>y</a></table><select><option>z</select><svg><a href=\"https://c.example\"/></svg>\n",
    "Content-Type: text/html; charset=utf-8\n\n<p>x <a href=\"https://track.example.com/l/AQGp_not_a_token?u=x\">y</a>\n\
     <div data-tracking=\"disclosure\"><a href=\"https://track.example.com/c/x\">z</a></div>\n",
];

const PIECES: [&str; 34] = [
    "<a href=\"https://a.example/\">",
    "</a>",
    "<",
    ">",
    "\"",
    "'",
    "=",
    "=3D",
    "=\r\n",
    "\r\n",
    "\n",
    "\r",
    "\0",
    "--=_x",
    "--=_x--",
    "\r\n--=_x\r\n",
    "<!--",
    "-->",
    "</body>",
    "<blockquote>",
    "<div class=\"gmail_quote\">",
    "&amp;",
    "&#x",
    "Content-Type: text/html\r\n",
    "; charset=\"",
    "<script>",
    "<style>",
    "<template>",
    "https://",
    "\u{e9}",
    "\u{202e}",
    "<plaintext>",
    " ",
    "[notrack]",
];

fn mutate(sequence: &mut Sequence, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut raw = sequence.pick(seeds).clone();
    for _ in 0..=sequence.below(6) {
        let place = sequence.below(raw.len() + 1);
        let end = (place + sequence.below(40)).min(raw.len());
        match sequence.below(6) {
            0 => drop(raw.drain(place..end)),
            1 => {
                let piece = sequence.pick(&PIECES).bytes();
                drop(raw.splice(place..place, piece));
            }
            2 => {
                let copy = raw.get(place..end).unwrap().to_vec();
                let other = sequence.below(raw.len() + 1);
                drop(raw.splice(other..other, copy));
            }
            3 => raw.truncate(place.max(raw.len() / 2)),
            4 => {
                let other = sequence.pick(seeds);
                let start = sequence.below(other.len());
                let stop = (start + sequence.below(400)).min(other.len());
                drop(raw.splice(place..end, other.get(start..stop).unwrap().iter().copied()));
            }
            _ => {
                if let Some(octet) = raw.get_mut(place) {
                    *octet = u8::try_from(sequence.below(256)).unwrap();
                }
            }
        }
    }
    raw
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/corpus/messages");
    let mut pending: Vec<PathBuf> = vec![corpus];
    while let Some(directory) = pending.pop() {
        let mut entries: Vec<_> = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                pending.push(path);
            } else if fs::metadata(&path).unwrap().len() < 20_000 {
                seeds.push(fs::read(&path).unwrap());
            }
        }
    }
    seeds
}

fn check(raw: &[u8]) {
    let config = Config::for_testing();
    let keys = KeyRing::for_testing();
    let mut eml = Eml::parse(raw);
    assert_eq!(eml.to_bytes(), raw);
    let recipients = [
        "a@b.example".to_owned(),
        "track@track.example.com".to_owned(),
    ];
    let control = control::read(&eml.message().fields, &recipients, "track.example.com");
    eml.apply(&control.edits);
    let again = control::read(&eml.message().fields, &[], "track.example.com");
    assert_eq!(again.edits, [], "what was said once is not said again");
    let message = eml.message();
    let plan = Plan {
        controller: config.controllers.first().unwrap(),
        controllers: &config.controllers,
        keys: &keys,
        language: Language::De,
        message: MessageId(Uuid::from_u128(9)),
        opens: true,
        links: Links::Both,
    };

    let (result, record) = instrument_with_record(message, &plan);
    let unwrapped = unwrap(message, &keys, &["https://track.example.com"]).unwrap();

    match result {
        Err(reason) => assert_ne!(reason, SkipReason::CheckFailed, "{:?}", record.flaw),
        Ok(instrumented) => {
            assert_eq!(
                eligibility::check(message, eligibility::EnvelopeSender::Address),
                Ok(())
            );
            let mut new = Message {
                fields: message.fields.clone(),
                body: instrumented.body,
            };
            new.apply(&instrumented.header_edits);
            let restored = unwrap(&new, &keys, &["https://track.example.com"]).unwrap();
            let restored = restored.expect("what was put in can be taken out");
            let text = String::from_utf8_lossy(&restored);
            assert!(unwrapped.is_some() || !text.contains("track.example.com/o/"));
        }
    }
}

#[test]
fn damaged_messages_do_no_harm() {
    let seeds = seeds();
    let rounds = std::env::var("FAIRTRACK_MUTATIONS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(3000);
    let mut sequence = Sequence(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let raw = mutate(&mut sequence, &seeds);
        let outcome = std::panic::catch_unwind(|| check(&raw));
        if outcome.is_err() {
            let path = std::env::temp_dir().join(format!("fairtrack-mutation-{round}.eml"));
            fs::write(&path, &raw).unwrap();
            panic!("round {round}: the message is in {}", path.display());
        }
    }
}

#[test]
fn hostile_messages_take_no_longer_than_their_size_allows() {
    let size = 300_000;
    let top = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n";
    for piece in [
        "<div>",
        "</div>",
        "<",
        "<a href=\"https://a.example/\">",
        "<blockquote>",
        "<a ",
        "&",
        "<!--",
        "\"",
        "=",
        "<template>",
        "<p></b>",
        "<a href=https://a.example/ data-no-track rel=notrack>",
        "<img src=x>",
        "\r\n--",
    ] {
        for transfer in ["8bit", "quoted-printable"] {
            let mut raw = format!("{top}Content-Transfer-Encoding: {transfer}\r\n\r\n<p>x");
            let mut column = 0;
            while raw.len() < size {
                if transfer == "quoted-printable" && column > 60 {
                    raw.push_str("=\r\n");
                    column = 0;
                }
                raw.push_str(piece);
                column += piece.len();
            }
            let begin = Instant::now();

            check(raw.as_bytes());

            // Far more than needed, and far less than a quadratic search would take.
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "{piece} {transfer}"
            );
        }
    }
    for piece in [
        "https://a.example/ ",
        "https://a.example/",
        "(",
        "a://",
        "<https://",
        "> ",
        "\r\n-- \r\n",
    ] {
        let mut raw = String::from("Content-Type: text/plain; format=flowed\r\n\r\n");
        while raw.len() < size {
            raw.push_str(piece);
        }
        let begin = Instant::now();

        check(raw.as_bytes());

        assert!(begin.elapsed() < Duration::from_secs(20), "{piece}");
    }
}
