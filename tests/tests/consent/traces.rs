// SPDX-License-Identifier: GPL-3.0-or-later
//! A day of traffic by the real path, and then everything that is left behind is searched: the database as `pg_dump`
//! writes it, the files of the hit log and the journal, and the logs of both programs.

use std::{fs, path::Path};

use harness::{
    messages::Message,
    needs,
    site::{ALICE, BOB, Site},
    web::Visitor,
};
use serde_json::json;

use crate::place::{hidden, link_in, wait_for_hits};

const PLACE: &str = "203.0.113.7";
const AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0 Marker/9.1";

/// Returns everything below a folder, as text.
fn files(folder: &Path) -> String {
    let mut found = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found += &files(&path);
        } else {
            found += &String::from_utf8_lossy(&fs::read(path).unwrap());
        }
    }
    found
}

/// C22, C28, C35, C36, C38, C39, C57, C82, C85, P13: no address of a machine, no user agent, no destination, no token;
/// and once the person is erased, no trace of them.
#[tokio::test]
async fn day_of_traffic_leaves_nothing_that_it_should_not() {
    needs!(PostgreSql, Postfix, OpenDkim);
    let site = Site::start().await;
    site.installation.ctl(&["migrate"]);
    site.user(ALICE).await;
    let milter = site.installation.start_milter().await;
    let collector = site.installation.start_collector().await;
    let base = site.installation.url();
    let token = site.installation.ctl(&["token", "create", ALICE]);
    let mut sender =
        Visitor::with_agent(AGENT).header("Authorization", &format!("Bearer {}", token.trim()));
    let mut recipient = Visitor::with_agent(AGENT).header("X-Forwarded-For", PLACE);

    // Asked by mail, allowed on the page, written to.
    let asked = sender
        .send_json(
            "POST",
            &format!("{base}/api/v1/consent-requests"),
            &json!({"recipient": BOB, "purposes": ["open", "click"]}),
        )
        .await;
    assert!(asked.status.is_success(), "{}", asked.text());
    let request = site.sink.next().await;
    let link = link_in(&request, &format!("{base}/c/"));
    let page = recipient.get(&link).await;
    let notice = hidden(&page, "notice");
    let chosen = recipient
        .post_form(
            &link,
            &[
                ("act", "choose"),
                ("open", "allow"),
                ("click", "allow"),
                ("scope", "sender"),
                ("notice", &notice),
            ],
        )
        .await;
    assert_eq!(chosen.status, 200, "{}", chosen.text());
    let receipt = site.sink.next().await;
    let message = Message::new(ALICE, BOB).build();
    let delivery = site.deliver(ALICE, &[BOB], &message).await;
    let ours = site.artefacts(&delivery);

    // Opened, followed, looked at, and looked at by the sender.
    for url in [&ours.pixels[0], &ours.links[0], &ours.choices[0]] {
        let answer = recipient.get(url).await;
        assert!(answer.status.as_u16() < 400, "{url}");
        recipient.head(url).await;
    }
    for path in ["messages", "contacts", "notifications"] {
        let answer = sender.get(&format!("{base}/api/v1/{path}")).await;
        assert_eq!(answer.status, 200);
    }
    wait_for_hits(&site.database, 2).await;

    let folder = site.installation.configuration();
    let folder = folder.parent().unwrap();
    let beside = |name: &str| files(&folder.join(name));
    let logs = || format!("{}\n{}", milter.log(), collector.log());
    let secret = |url: &str| {
        let rest = url.rsplit_once('/').unwrap().1;
        rest.split(['?', '.']).next().unwrap().to_owned()
    };
    let tokens = [&ours.pixels[0], &ours.links[0], &ours.choices[0], &link].map(|url| secret(url));
    let left = [
        ("the database", site.database.dump()),
        ("the hit log", beside("hits")),
        ("the journal", beside("journal")),
        ("the logs", logs()),
    ];
    for (place, text) in &left {
        for marker in [PLACE, "Marker/9.1", "Gecko/2010", "/offer?id=7", "lang=pl"] {
            assert!(!text.contains(marker), "{marker} is in {place}:\n{text}");
        }
        for token in tokens.iter().map(String::as_str).chain([token.trim()]) {
            assert!(!text.contains(token), "a token is in {place}:\n{text}");
        }
    }
    for (place, text) in &left[1..] {
        assert!(!text.contains(BOB), "an address is in {place}:\n{text}");
    }
    let withdrawal =
        harness::artefacts::urls(&crate::place::text_of(&receipt), &format!("{base}/c/"));
    assert!(!left[0].1.contains(&secret(&withdrawal[0])));
    // What has to be there is there, so that the search can find something.
    assert!(left[0].1.contains(BOB) && left[0].1.contains("shop.example.org"));

    site.installation.ctl(&["consent", "erase", BOB]);
    for (place, text) in [
        ("the database", site.database.dump()),
        ("the hit log", beside("hits")),
        ("the journal", beside("journal")),
        ("the logs", logs()),
    ] {
        assert!(
            !text.contains(BOB),
            "{place} still names the person:\n{text}"
        );
        let (local, _) = BOB.split_once('@').unwrap();
        assert!(!text.contains(&format!("{local}@")), "{place}");
    }
    site.installation.ctl(&["audit", "verify"]);
}
