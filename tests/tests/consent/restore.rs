// SPDX-License-Identifier: GPL-3.0-or-later
//! After a restore: what people took back since the backup stays taken back.

use common::{address::Address, consent::chain::hex, db::standings, keys::KeyRing};
use harness::{installation::Installation, log::PATIENCE, web::Visitor};
use serde_json::Value;

use crate::place::{Place, hidden};

fn shown(place: &Place, address: &str) -> Value {
    let (status, text, complaint) = place.ctl(&["consent", "show", address, "--json"]);
    assert_eq!(status, 0, "{complaint}");
    serde_json::from_str(&text).unwrap()
}

fn allowed(place: &Place, address: &str) -> Vec<bool> {
    shown(place, address)["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|state| state["allowed"].as_bool().unwrap())
        .collect()
}

/// C86: erasures, withdrawals by link and by telephone, refusals of people whom the backup does not know, freezes and
/// stopped messages, with PostgreSQL's own backup and restore.
#[tokio::test]
async fn what_was_taken_back_since_the_backup_is_taken_back_again() {
    let place = Place::open().await;
    let mut people = Vec::new();
    for _ in 0..6 {
        let (sample, address) = place.message().await;
        place.allow(&address).await;
        people.push((sample, address));
    }
    let [erased, linked, called, frozen, faithful, shared] = &people[..] else {
        unreachable!("six were made above")
    };
    place.add_recipient(&shared.0).await;
    let file = place.installation.configuration().with_file_name("backup");
    place.database.back_up(&file);

    place.ctl(&["consent", "erase", &erased.1]);
    place.ctl(&["consent", "erase", "unknown@elsewhere.example"]);
    let mut visitor = Visitor::new();
    let withdraw = [("Tracking-Consent", "Withdraw")];
    visitor
        .post_form(&place.choices(linked.0.message), &withdraw)
        .await;
    place.ctl(&[
        "consent",
        "withdraw",
        &called.1,
        "--channel",
        "telephone",
        "--purpose",
        "open",
    ]);
    let link = place.link_for(&frozen.1).await;
    let page = visitor.post_form(&link, &[("act", "see")]).await;
    let session = hidden(&page, "session");
    visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "freeze")],
        )
        .await;
    visitor
        .post_form(&place.choices(shared.0.message), &[("act", "stop-message")])
        .await;
    let stranger = "stranger@elsewhere.example";
    let link = place.link_for(stranger).await;
    visitor.post_form(&link, &[("act", "refuse-all")]).await;

    place.database.restore(&file).await;
    for (_, address) in [erased, linked, called, frozen] {
        assert_eq!(allowed(&place, address), [true, true], "the backup is old");
    }
    let (status, said, complaint) = place.ctl(&["consent", "replay"]);
    let after = place.states().await;
    let (again, ..) = place.ctl(&["consent", "replay"]);

    assert_eq!((status, again), (0, 0), "{complaint}");
    assert!(said.contains("1 people were there again"), "{said}");
    assert_eq!(
        place.states().await,
        after,
        "a second replay changes nothing"
    );
    assert!(!place.dump().contains(&erased.1));
    assert_eq!(allowed(&place, &linked.1), [false, false]);
    let called = shown(&place, &called.1);
    let states = called["states"].as_array().unwrap();
    for state in states {
        assert_eq!(state["allowed"], state["purpose"] == "click", "{called}");
    }
    assert_eq!(shown(&place, &frozen.1)["restricted"], true);
    assert_eq!(allowed(&place, &faithful.1), [true, true]);
    assert_eq!(
        place.count("messages WHERE stopped_at IS NOT NULL").await,
        1
    );
    // Erased, never known, and known only since: all three are left alone.
    assert_eq!(place.count("suppressions").await, 3);
    let attested = place.ctl(&[
        "consent",
        "record",
        stranger,
        "--purpose",
        "open",
        "--channel",
        "paper",
        "--evidence",
        "7",
        "--given-at",
        &crate::place::last_month(),
    ]);
    assert_eq!(attested.0, 1, "{}", attested.2);
}

/// A replay on a database that needs none takes nothing back: what was allowed later stays allowed.
#[tokio::test]
async fn replay_without_a_restore_changes_nothing() {
    let place = Place::open().await;
    let (_, address) = place.message().await;
    place.allow(&address).await;
    place.ctl(&["consent", "withdraw", &address, "--channel", "post"]);
    place.allow(&address).await;
    let before = place.states().await;

    let (status, _, complaint) = place.ctl(&["consent", "replay"]);

    assert_eq!(status, 0, "{complaint}");
    assert_eq!(place.states().await, before);
    assert_eq!(allowed(&place, &address), [true, true]);
    assert_eq!(place.verify().0, 0);
}

/// C85: whoever wants not even a fingerprint has none in the journal and in the list of erasures.
#[tokio::test]
async fn journal_keeps_no_fingerprint_that_was_refused() {
    let place = Place::open().await;
    let address = "ewa@elsewhere.example";
    place.ctl(&["consent", "withdraw", address, "--channel", "post"]);
    place.ctl(&["consent", "erase", address]);
    let journal = place
        .installation
        .configuration()
        .with_file_name("journal")
        .join("journal.jsonl");
    let kept = std::fs::read_to_string(&journal).unwrap();
    let client = place.database.connect().await;
    let hash: String = client
        .query_one("SELECT encode(address_hash, 'hex') FROM suppressions", &[])
        .await
        .unwrap()
        .get(0);

    place.ctl(&["consent", "withdraw", address, "--channel", "post"]);
    place.ctl(&["consent", "erase", address, "--forget"]);

    let left = std::fs::read_to_string(&journal).unwrap();
    assert!(kept.contains(&hash) && !kept.contains(address), "{kept}");
    assert!(!left.contains(&hash), "{left}");
    assert!(!place.dump().contains(&hash));
    assert_eq!(place.ctl(&["consent", "replay"]).0, 0);
    assert_eq!(place.count("suppressions").await, 0);
}

/// C85: whoever refuses the fingerprint elsewhere has none in the journals of the other collectors either, once they have
/// looked; what the person said later stays.
#[tokio::test]
async fn fingerprint_refused_elsewhere_leaves_every_journal() {
    let place = Place::open().await;
    let (_, address) = place.message().await;
    let (_, other) = place.message().await;
    for address in [&address, &other] {
        place.ctl(&["consent", "withdraw", address, "--channel", "post"]);
    }
    let keys = place.installation.keys();
    let another = || Installation::on(&place.database).set("keys.file", keys.to_str().unwrap());
    let elsewhere = another().write();
    let hashes = [&address, &other].map(|address| fingerprint(&place, address).1);
    let kept = || {
        let written = std::fs::read_to_string(journal(&place)).unwrap();
        hashes.each_ref().map(|hash| written.matches(hash).count())
    };
    let before = kept();

    elsewhere.ctl(&["consent", "erase", &address, "--forget"]);
    place.ctl(&["consent", "withdraw", &address, "--channel", "telephone"]);
    let still = kept();
    let folder = journal(&place);
    let here = another().set(
        "collector.journal",
        folder.parent().unwrap().to_str().unwrap(),
    );
    let here = here.write();
    let _collector = here.start_collector().await;
    let tidied = async {
        while kept() == still {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, tidied).await.unwrap();

    assert_eq!((before, still), ([2, 2], [4, 2]));
    assert_eq!(kept(), [2, 2]);
}

/// Returns the keyed hash of an address, as it stands in the database and in the journal.
fn fingerprint(place: &Place, address: &str) -> (Vec<u8>, String) {
    let keys = KeyRing::read(&place.installation.keys()).unwrap();
    let hash = standings::suppression_hash(&keys, &Address::parse(address).unwrap());
    let text = hex(&hash);
    (hash, text)
}

fn journal(place: &Place) -> std::path::PathBuf {
    let folder = place.installation.configuration();
    folder.with_file_name("journal").join("journal.jsonl")
}

fn replay(place: &Place, files: &[&str]) -> (Value, String) {
    let arguments = [&["consent", "replay", "--json"], files].concat();
    let (status, said, complaint) = place.ctl(&arguments);
    assert_eq!(status, 0, "{complaint}");
    (serde_json::from_str(&said).unwrap(), complaint)
}

/// C85, C86: whoever wants not even a fingerprint has none after a restore either, whatever the backup still had: the
/// person, an earlier erasure, a wish of somebody who was never stored, a request to somebody who never answered.
#[tokio::test]
async fn restored_fingerprints_are_forgotten_again() {
    let place = Place::open().await;
    let (_, stored) = place.message().await;
    let (_, erased) = place.message().await;
    let (unknown, asked) = ("unknown@elsewhere.example", "asked@elsewhere.example");
    let client = place.database.connect().await;
    let request = "INSERT INTO consent_requests VALUES ('example', gen_random_uuid(), gen_random_uuid(), $1, now())";
    let (hash, _) = fingerprint(&place, asked);
    client.execute(request, &[&hash]).await.unwrap();
    place.ctl(&["consent", "erase", &erased]);
    place.ctl(&["consent", "erase", unknown]);
    drop(client);
    let file = place.installation.configuration().with_file_name("backup");
    place.database.back_up(&file);
    let everybody =
        [&stored, &erased, unknown, asked].map(|address| fingerprint(&place, address).1);
    let left = |text: &str| everybody.iter().filter(|hash| text.contains(*hash)).count();
    let saved = left(&place.dump());

    for address in [&stored, &erased, unknown, asked] {
        let (status, _, complaint) = place.ctl(&["consent", "erase", address, "--forget"]);
        assert_eq!(status, 0, "{complaint}");
    }
    let afterwards = left(&place.dump());
    let journalled = left(&std::fs::read_to_string(journal(&place)).unwrap());
    place.database.restore(&file).await;
    let restored = left(&place.dump());
    let (first, _) = replay(&place, &[]);
    let (second, _) = replay(&place, &[]);

    assert_eq!((saved, afterwards, journalled, restored), (3, 0, 0, 3));
    assert_eq!(
        (&first["erased"], &first["forgotten"]),
        (&1.into(), &3.into())
    );
    assert_eq!(
        (&second["erased"], &second["forgotten"]),
        (&0.into(), &0.into())
    );
    assert_eq!(left(&place.dump()), 0);
    assert!(!place.dump().contains(&stored));
    assert_eq!(place.verify().0, 0);
}

/// C86: a yes that came after an erasure or a refusal ends the suppression that a replay would bring back, if it ended all
/// of it; what was allowed is gone all the same.
#[tokio::test]
async fn whoever_allowed_later_is_not_suppressed_by_a_replay() {
    let place = Place::open().await;
    let (_, known) = place.message().await;
    let file = place.installation.configuration().with_file_name("backup");
    let stranger = "stranger@elsewhere.example";
    let half = "half@elsewhere.example";
    let refuse = async |address: &str| {
        let link = place.link_for(address).await;
        let answer = Visitor::new()
            .post_form(&link, &[("act", "refuse-all")])
            .await;
        assert_eq!(answer.status, 200);
    };
    place.database.back_up(&file);
    place.ctl(&["consent", "erase", &known]);
    place.allow(&known).await;
    refuse(stranger).await;
    place.allow(stranger).await;
    refuse(half).await;
    let link = place.link_for(half).await;
    let page = Visitor::new().get(&link).await;
    let opens_only = [
        ("act", "choose"),
        ("open", "allow"),
        ("click", "refuse"),
        ("scope", "controller"),
        ("notice", &hidden(&page, "notice")),
    ];
    Visitor::new().post_form(&link, &opens_only).await;
    place.mail.next().await;
    let before = (place.states().await, place.count("suppressions").await);

    let (live, _) = replay(&place, &[]);
    let after = (place.states().await, place.count("suppressions").await);
    place.database.restore(&file).await;
    replay(&place, &[]);
    let once = suppressed(&place).await;
    replay(&place, &[]);
    let twice = suppressed(&place).await;

    assert_eq!(before, after, "a database that needs no replay");
    assert_eq!((&live["erased"], &live["lifted"]), (&0.into(), &0.into()));
    assert_eq!(once, [fingerprint(&place, half).1]);
    assert_eq!(twice, once);
    assert!(!place.dump().contains(&known));
}

async fn suppressed(place: &Place) -> Vec<String> {
    let client = place.database.connect().await;
    let query = "SELECT encode(address_hash, 'hex') FROM suppressions";
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// C86: journals of several collectors are one story, told in the order of time; what cannot be read, and whose books
/// nobody knows, is named and passed over.
#[tokio::test]
async fn several_journals_are_replayed_as_one() {
    let place = Place::open().await;
    let (_, erased) = place.message().await;
    let (_, last) = place.message().await;
    let file = place.installation.configuration().with_file_name("backup");
    place.database.back_up(&file);
    place.ctl(&["consent", "erase", &erased]);
    place.allow(&erased).await;
    place.ctl(&["consent", "erase", &last]);
    let written = std::fs::read_to_string(journal(&place)).unwrap();
    let (erasures, lifts): (Vec<&str>, Vec<&str>) = written
        .lines()
        .partition(|line| line.contains("\"erasure\""));
    assert_eq!((erasures.len(), lifts.len()), (2, 2));
    let foreign = erasures[0].replace("\"example\"", "\"elsewhere\"");
    let (torn, _) = erasures[0].split_at(erasures[0].len() / 2);
    let [one, other] = ["one", "other"].map(|name| file.with_file_name(name));
    std::fs::write(&one, format!("{}\n{foreign}\n{torn}", lifts.join("\n"))).unwrap();
    std::fs::write(
        &other,
        format!("{}\n{torn}\n{}\n", erasures[0], erasures[1]),
    )
    .unwrap();
    let [one, other] = [&one, &other].map(|path| path.to_str().unwrap());

    place.database.restore(&file).await;
    let (said, complaint) = replay(&place, &[one, other]);

    assert_eq!((&said["erased"], &said["lifted"]), (&2.into(), &1.into()));
    assert_eq!(said["unknown_controllers"]["elsewhere"], 1);
    assert_eq!(said["unreadable"].as_array().unwrap().len(), 2);
    assert!(complaint.contains("\"elsewhere\""), "{complaint}");
    for place in [format!("\"{one}\", line 4"), format!("\"{other}\", line 2")] {
        assert!(complaint.contains(&place), "{complaint}");
    }
    assert_eq!(suppressed(&place).await, [fingerprint(&place, &last).1]);
}

/// C86, C87: users who were erased go again; whoever froze their data and is not in the backup is left alone.
#[tokio::test]
async fn erased_users_and_frozen_strangers_are_replayed() {
    let place = Place::open().await;
    let (sample, _) = place.message().await;
    place
        .database
        .back_up(&place.installation.configuration().with_file_name("backup"));
    let login = format!("{}@example.com", sample.user);
    assert_eq!(place.ctl(&["user", "erase", &login]).0, 0);
    let (_, frozen) = place.message().await;
    let (_, freed) = place.message().await;
    for arguments in [
        &["consent", "restrict", &frozen][..],
        &["consent", "restrict", &freed],
        &["consent", "restrict", &freed, "--lift"],
    ] {
        place.ctl(arguments);
    }

    place
        .database
        .restore(&place.installation.configuration().with_file_name("backup"))
        .await;
    let there = place.count("users").await;
    let (said, _) = replay(&place, &[]);

    assert_eq!(there, 1);
    assert_eq!(said["accounts"], 1);
    assert_eq!(place.count("users").await, 0);
    assert_eq!(place.count("messages").await, 0);
    assert_eq!(suppressed(&place).await, [fingerprint(&place, &frozen).1]);
}

/// Doing again what is done adds nothing to the journal: nobody can fill the disk by pressing a button.
#[tokio::test]
async fn stopping_and_freezing_twice_is_journalled_once() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.add_recipient(&sample).await;
    let withdraw = [("Tracking-Consent", "Withdraw")];

    for _ in 0..3 {
        let url = place.choices(sample.message);
        let answer = Visitor::new().post_form(&url, &withdraw).await;
        assert_eq!(answer.status, 200);
        place.ctl(&["consent", "restrict", &address]);
        place.ctl(&["consent", "withdraw", &address, "--channel", "post"]);
    }

    let written = std::fs::read_to_string(journal(&place)).unwrap();
    let count = |word: &str| written.lines().filter(|line| line.contains(word)).count();
    let found = ["\"stop\"", "\"restriction\"", "\"refusal\""].map(count);
    assert_eq!(found, [1, 1, 2], "{written}");
}
