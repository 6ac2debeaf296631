// SPDX-License-Identifier: GPL-3.0-or-later
//! After a restore: what people took back since the backup stays taken back.

use harness::web::Visitor;
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
