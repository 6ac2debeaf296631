// SPDX-License-Identifier: GPL-3.0-or-later
//! The log: appended and never changed, and whoever changes it all the same is found out.

use crate::place::Place;

/// Four entries: two grants, two withdrawals.
async fn four_entries() -> (Place, String) {
    let place = Place::open().await;
    let (_, address) = place.message().await;
    place.allow(&address).await;
    place.ctl(&["consent", "withdraw", &address, "--channel", "telephone"]);
    assert_eq!(place.states().await.len(), 4);
    assert_eq!(place.verify().0, 0);
    (place, address)
}

/// C75, P6, P7: history cannot be overwritten.
#[tokio::test]
async fn log_cannot_be_changed() {
    let (place, _) = four_entries().await;
    let client = place.database.connect().await;

    for statement in [
        "UPDATE consent_events SET state = 'granted'",
        "DELETE FROM consent_events",
        "TRUNCATE consent_events",
        "UPDATE notices SET body = ''",
        "DELETE FROM notices",
        "UPDATE consent_evidence SET evidence = '{}'",
        "DELETE FROM consent_evidence",
        "TRUNCATE consent_evidence",
        "UPDATE acts SET actor = 'nobody'",
        "DELETE FROM acts",
        "TRUNCATE acts",
    ] {
        let error = client.execute(statement, &[]).await.unwrap_err();
        assert!(
            error
                .as_db_error()
                .unwrap()
                .message()
                .contains("append-only"),
            "{statement}: {error:?}"
        );
    }

    assert_eq!(place.states().await.len(), 4);
}

/// C78: a byte, a row, an order; each is found and named.
#[tokio::test]
async fn first_entry_that_was_changed_is_named() {
    for (change, word) in [
        ("UPDATE consent_events SET state = 'granted' WHERE seq = 3", "entry 3 was altered"),
        ("UPDATE consent_events SET at = at + interval '1 microsecond' WHERE seq = 2", "entry 2 was altered"),
        ("UPDATE consent_events SET profile = 'p2' WHERE seq = 2", "entry 2 was altered"),
        ("UPDATE consent_events SET expires_at = NULL WHERE seq = 1", "entry 1 was altered"),
        (
            "UPDATE consent_events SET entry_hash = set_byte(entry_hash, 5, get_byte(entry_hash, 5) # 1) WHERE seq = 2",
            "entry 2 was altered",
        ),
        ("DELETE FROM consent_events WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM consent_events WHERE seq = 1", "entry 1 is missing"),
        ("DELETE FROM consent_events WHERE seq = 4", "entry 4 is missing"),
        (
            "UPDATE consent_events SET seq = 99 WHERE seq = 2; UPDATE consent_events SET seq = 2 WHERE seq = 3;
             UPDATE consent_events SET seq = 3 WHERE seq = 99",
            "entry 2 was altered",
        ),
        (
            "UPDATE consent_evidence SET evidence = evidence || '{\"channel\": \"post\"}' WHERE seq = 3",
            "the evidence of entry 3 was altered",
        ),
        ("DELETE FROM consent_evidence WHERE seq = 3", "the evidence of entry 3 is missing"),
        ("UPDATE acts SET actor = 'nobody' WHERE seq = 1", "entry 1 was altered"),
    ] {
        let (place, _) = four_entries().await;
        place
            .database
            .execute(&format!("SET session_replication_role = replica; {change}"))
            .await;

        let (status, complaint) = place.verify();

        assert_eq!(status, 1, "{change}");
        assert!(complaint.contains(word), "{change}: {complaint}");
    }
}

/// C79: whoever rewrites a whole log cannot rewrite the heads that were written out.
#[tokio::test]
async fn rewritten_log_does_not_agree_with_its_signed_heads() {
    let (place, address) = four_entries().await;
    place.ctl(&["audit", "head"]);
    assert_eq!(place.verify().0, 0);
    // A log that begins anew is whole in itself.
    place
        .database
        .execute(
            "SET session_replication_role = replica; DELETE FROM consent_events; DELETE FROM consent_evidence",
        )
        .await;
    place.ctl(&["consent", "withdraw", &address, "--channel", "post"]);

    let (status, complaint) = place.verify();

    assert_eq!(status, 1);
    assert!(
        complaint.contains("entry 4 of the consent log"),
        "{complaint}"
    );
}

/// C96: looking is an act, and acts name nobody by address.
#[tokio::test]
async fn looking_closer_is_written_down() {
    let (place, address) = four_entries().await;

    place.ctl(&["consent", "show", &address, "--reason", "a letter of today"]);
    let (_, acts, _) = place.ctl(&["audit", "acts"]);

    assert!(
        acts.contains("consent-shown") && acts.contains("a letter of today"),
        "{acts}"
    );
    assert!(acts.contains("withdrawal"));
    assert!(!acts.contains(&address));
}
