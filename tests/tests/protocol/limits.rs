// SPDX-License-Identifier: GPL-3.0-or-later
//! What we do to a message never makes the MTA refuse it, also where nothing is instrumented.

use harness::{database::Database, needs};

use crate::mta::{ANNA, EWA, Folder, Mta, Running, consenting};

const FIELDS: &[(&str, &str)] = &[
    ("From", " anna@example.com"),
    ("Content-Type", " text/html; charset=utf-8"),
];

/// Returns the new body, if there is one, where the MTA takes messages of so many octets.
async fn new_body(mta: &mut Mta, limit: usize, recipient: &str, body: &str) -> Option<String> {
    mta.mail_told(&[
        ("{auth_type}", "PLAIN"),
        ("{auth_authen}", ANNA),
        ("{message_size_limit}", &limit.to_string()),
    ])
    .await;
    mta.recipient(&format!("<{recipient}>")).await;
    mta.content(FIELDS, body.as_bytes()).await;
    let frames = mta.verdict().await;
    let pieces = frames.iter().filter(|(kind, _)| *kind == b'b');
    let body: Vec<u8> = pieces.flat_map(|(_, piece)| piece.clone()).collect();
    (!body.is_empty()).then(|| String::from_utf8(body).unwrap())
}

/// A destination of many ampersands is longer as its author wrote it than in our link.
#[tokio::test]
async fn quotation_that_would_grow_too_large_stays_as_it_is() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let milter = Running::start(consenting(&folder, &database).await).await;
    let mut mta = Mta::open(&milter).await;
    let link = format!(
        "<p><a href=\"https://shop.example.org/?{}\">look</a></p>\r\n",
        "a&amp;".repeat(400)
    );
    let sent = new_body(&mut mta, 0, EWA, &link.repeat(20)).await;
    let sent = sent.expect("it is instrumented");
    let reply = format!("<p>Thanks.</p><blockquote>{sent}</blockquote>\r\n");

    // Jan was never asked: nothing of this message is instrumented.
    let jan = "jan@customer.example";
    let unwrapped = new_body(&mut mta, 0, jan, &reply).await;
    let unwrapped = unwrapped.expect("old artefacts are taken out");
    assert!(
        unwrapped.len() > reply.len() + 1_000,
        "{} {}",
        unwrapped.len(),
        reply.len()
    );
    // Room for the trace fields and the like that are kept free for Postfix, and for the reply.
    let limit = 17_000 + reply.len() * 129 / 128;

    assert_eq!(new_body(&mut mta, limit, jan, &reply).await, None);
    assert_eq!(
        new_body(&mut mta, limit + unwrapped.len(), jan, &reply).await,
        Some(unwrapped)
    );
}

/// What shrinks is no larger than what the MTA took already.
#[tokio::test]
async fn quotation_that_shrinks_is_cleaned_just_below_the_limit() {
    needs!(PostgreSql);
    let folder = Folder::new();
    let database = Database::start().await;
    let milter = Running::start(consenting(&folder, &database).await).await;
    let mut mta = Mta::open(&milter).await;
    let link = "<p><a href=\"https://shop.example.org/\">look</a></p>\r\n";
    let sent = new_body(&mut mta, 0, EWA, link).await;
    let reply = format!(
        "<p>Thanks.</p><blockquote>{}</blockquote>\r\n",
        sent.unwrap()
    );

    let limit = reply.len() + 1_000;
    let left = new_body(&mut mta, limit, "jan@customer.example", &reply).await;

    let left = left.expect("old artefacts are taken out");
    assert!(!left.contains("/o/") && !left.contains("/l/"), "{left}");
}
