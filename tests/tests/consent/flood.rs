// SPDX-License-Identifier: GPL-3.0-or-later
//! Ten thousand requests for links: no flood of mail, no growth, and the same answer for all.

use std::{collections::HashSet, time::Duration};

use harness::web::Visitor;

use crate::place::Place;

const AT_ONCE: u32 = 8;

/// Asks for links, each for another address, and returns the answers that differ from each other.
async fn ask(place: &Place, requests: u32, from: fn(u32) -> String) -> HashSet<(u16, Vec<u8>)> {
    let url = place.url("/privacy");
    let mut asking = tokio::task::JoinSet::new();
    for worker in 0..AT_ONCE {
        let url = url.clone();
        asking.spawn(async move {
            let mut answers = HashSet::new();
            for number in (worker..requests).step_by(AT_ONCE as usize) {
                let mut visitor = Visitor::new().header("X-Forwarded-For", &from(number));
                let address = format!("p{number}@elsewhere.example");
                let answer = visitor.post_form(&url, &[("address", &address)]).await;
                answers.insert((answer.status.as_u16(), answer.body.to_vec()));
            }
            answers
        });
    }
    asking.join_all().await.into_iter().flatten().collect()
}

/// Counts the mails that came, once no more come.
async fn mails(place: &Place) -> usize {
    let mut count = 0;
    while place
        .mail
        .next_within(Duration::from_millis(700))
        .await
        .is_some()
    {
        count += 1;
    }
    count
}

/// From everywhere: what one process and one hour let through, and no more; memory stays.
#[tokio::test]
async fn ten_thousand_requests_from_everywhere_send_few_mails() {
    let place = Place::open().await;
    ask(&place, 100, |_| "192.0.2.1".into()).await;
    let before = place.memory();
    let started = std::time::Instant::now();

    let answers = ask(&place, 10_000, |number| {
        format!("2001:db8:{:x}:{:x}::1", number / 100, number % 100)
    })
    .await;
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap();
    let mails = mails(&place).await;
    let grown = place.memory().saturating_sub(before);

    assert_eq!(answers.len(), 1, "an answer tells something");
    assert!(
        mails <= (20 + 60 + seconds + 2).min(300),
        "{mails} mails within {seconds} s"
    );
    assert!(mails > 0);
    assert!(grown < 32 * 1024, "the collector grew by {grown} KiB");
    assert!(place.count("recipient_links").await <= 300);
}

/// From one network: its own small share, and the others are served all the same.
#[tokio::test]
async fn one_network_takes_nothing_from_the_others() {
    let place = Place::open().await;
    let started = std::time::Instant::now();

    ask(&place, 1_000, |number| format!("2001:db8:0:1::{number:x}")).await;
    let flooded = mails(&place).await;
    let minutes = usize::try_from(started.elapsed().as_secs() / 60).unwrap();
    let mut neighbour = Visitor::new().header("X-Forwarded-For", "2001:db8:0:2::1");
    neighbour
        .post_form(
            &place.url("/privacy"),
            &[("address", "ewa@elsewhere.example")],
        )
        .await;
    let served = place.mail.next().await;

    assert!(flooded <= 20 + minutes + 1, "{flooded} mails");
    assert_eq!(served.recipients, ["ewa@elsewhere.example"]);
}
