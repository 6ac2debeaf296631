// SPDX-License-Identifier: GPL-3.0-or-later
//! The pages: what they may do, what they show, what they never do.

use common::ids::MessageId;
use harness::{
    log::PATIENCE,
    web::{Answer, Visitor},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::place::{Place, hidden, text_of};

const ALLOW_ALL: [(&str, &str); 4] = [
    ("act", "choose"),
    ("open", "allow"),
    ("click", "allow"),
    ("scope", "controller"),
];

/// C45, P6, P7, P11: whatever fetches a link changes nothing, whatever the query.
#[tokio::test]
async fn get_and_head_change_nothing_on_any_route() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    place.hit(&sample, "open").await;
    let link = place.link_for(&address).await;
    let before = place.dump();

    let mut visitor = Visitor::new();
    for url in [
        place.choices(sample.message),
        link,
        place.url("/c/mine"),
        place.url("/privacy"),
    ] {
        for query in [
            "",
            "Tracking-Consent=Withdraw",
            "act=stop",
            "confirm=true&act=erase&confirm=yes",
            "act=choose&open=allow&click=allow&scope=controller",
            "address=someone@elsewhere.example",
            "lang=pl&act=refuse-all",
        ] {
            let separator = if url.contains('?') { '&' } else { '?' };
            let url = format!("{url}{separator}{query}");
            let answer = visitor.get(&url).await;
            assert!(answer.status.as_u16() < 500, "{url}: {}", answer.status);
            assert!(answer.header("set-cookie").is_none(), "{url}");
            let head = visitor.head(&url).await;
            assert_eq!(head.status, answer.status, "{url}");
            assert!(head.body.is_empty(), "{url}");
        }
    }

    assert_eq!(place.dump(), before);
    assert!(place.mail.take().is_none());
}

/// C46, C47: a robot that submits the form as it found it says nothing, and uses nothing up.
#[tokio::test]
async fn untouched_form_says_nothing() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let link = place.link_for(&address).await;
    let mut visitor = Visitor::new();
    let notice = hidden(&visitor.get(&link).await, "notice");

    for (url, act) in [
        (place.choices(sample.message), "choose"),
        (link.clone(), "choose"),
        (link.clone(), "erase"),
    ] {
        let answer = visitor
            .post_form(&url, &[("act", act), ("notice", &notice)])
            .await;
        assert_eq!(answer.status, 422, "{act}");
        let empty = visitor.post_form(&url, &[]).await;
        assert_eq!(empty.status, 422);
    }
    for page in [place.choices(sample.message), link.clone()] {
        let text = visitor.get(&page).await.text();
        assert!(
            !text.contains("checked") && !text.contains("<script"),
            "{text}"
        );
    }

    assert_eq!(place.states().await, Vec::<String>::new());
    assert_eq!(
        place
            .count("recipient_links WHERE used_at IS NOT NULL")
            .await,
        0
    );
    assert_eq!(place.count("subjects").await, 1);
}

/// C50, P12: who holds the message may refuse; to allow takes the mailbox.
#[tokio::test]
async fn link_in_a_message_cannot_allow_see_or_erase() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let url = place.choices(sample.message);
    let mut visitor = Visitor::new();

    let allowed = visitor.post_form(&url, &ALLOW_ALL).await;
    for act in ["see", "json", "text", "erase", "freeze", "receipt-json"] {
        let answer = visitor
            .post_form(&url, &[("act", act), ("confirm", "yes")])
            .await;
        assert_eq!(answer.status, 422, "{act}");
    }
    let page = visitor.get(&url).await;
    let sent = visitor.post_form(&url, &[("act", "link")]).await;
    let mailed = place.mail.next().await;

    assert_eq!(allowed.status, 403);
    assert!(allowed.text().contains("value=\"link\""));
    assert_eq!(place.states().await, Vec::<String>::new());
    assert_eq!(place.count("subjects").await, 1);
    assert_eq!(sent.status, 200);
    assert_eq!(mailed.recipients, [address.as_str()]);
    for answer in [allowed, page, sent] {
        assert!(!answer.text().contains(&address), "the address is shown");
    }
}

/// C48, P6: no cookie, no redirect, idempotent, in each of the forms that programs send.
#[tokio::test]
async fn one_click_withdraws_once() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    let url = place.choices(sample.message);
    let form = "application/x-www-form-urlencoded";
    let multipart = "multipart/form-data; boundary=b";

    for (kind, body) in [
        (form, "Tracking-Consent=Withdraw"),
        (form, "Tracking-Consent=Withdraw"),
        (form, "List-Unsubscribe=One-Click"),
        (
            multipart,
            "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n",
        ),
    ] {
        let answer = Visitor::new()
            .send(hyper::Method::POST, &url, Some(kind), body.into())
            .await;
        assert_eq!(answer.status, 200, "{body}");
        assert!(answer.header("set-cookie").is_none() && answer.location().is_none());
    }

    assert_eq!(
        place.states().await,
        [
            "click granted",
            "open granted",
            "click withdrawn",
            "open withdrawn"
        ]
    );
    assert_eq!(place.verify().0, 0);
}

/// C48, C86: whoever presses the button and is gone before the answer has withdrawn, and the journal knows it.
#[tokio::test]
async fn choice_stands_though_the_browser_went_away() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    let busy = place.database.connect().await;
    let lock = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('consent|example', 0))";
    busy.batch_execute(lock).await.unwrap();
    let url = url::Url::parse(&place.choices(sample.message)).unwrap();
    let body = "Tracking-Consent=Withdraw";
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        url.path(),
        url.authority(),
        body.len(),
    );

    let mut browser = TcpStream::connect(url.authority()).await.unwrap();
    browser.write_all(request.as_bytes()).await.unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%advisory%'";
    until(async || place.database.count(waiting, &[]).await > 0).await;
    // Not the ordinary end of a connection: a reset.
    browser.set_zero_linger().unwrap();
    drop(browser);
    // The collector has noticed once it answers on a new connection.
    assert_eq!(Visitor::new().get(&sample.pixel()).await.status, 200);
    busy.batch_execute("COMMIT").await.unwrap();

    until(async || place.states().await.len() == 4).await;
    let journal = place.installation.configuration().with_file_name("journal");
    let journal = journal.join("journal.jsonl");
    until(async || {
        let written = std::fs::read_to_string(&journal).unwrap();
        written
            .lines()
            .filter(|line| line.contains("\"refusal\""))
            .count()
            == 2
    })
    .await;
}

/// Nobody can fill the log by a program that changes its mind; saying no is never cut off.
#[tokio::test]
async fn session_has_an_end_and_refusing_has_none() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let link = place.link_for(&address).await;
    let mut visitor = Visitor::new();
    let page = visitor.post_form(&link, &[("act", "see")]).await;
    let (session, notice) = (hidden(&page, "session"), hidden(&page, "notice"));
    let mut says = async |answer: &str| {
        let form = [
            ("session", session.as_str()),
            ("act", "choose"),
            ("open", answer),
            ("click", answer),
            ("scope", "controller"),
            ("notice", notice.as_str()),
        ];
        let answer = visitor.post_form(&place.url("/c/mine"), &form).await;
        answer.status.as_u16()
    };

    let mut answers = Vec::new();
    for word in ["allow", "refuse"].into_iter().cycle().take(61) {
        answers.push(says(word).await);
    }
    let withdrawn = Visitor::new()
        .post_form(
            &place.choices(sample.message),
            &[("Tracking-Consent", "Withdraw")],
        )
        .await;

    assert!(
        answers[..50].iter().all(|status| *status == 200),
        "{answers:?}"
    );
    assert!(
        answers[50..].iter().all(|status| *status == 410),
        "{answers:?}"
    );
    assert_eq!(place.count("consent_events").await, 100);
    assert_eq!(withdrawn.status, 200);
    assert_eq!(place.verify().0, 0);
}

async fn until(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

/// C84, C6, P4, P5: a withdrawal reaches back, and only as far as it goes.
#[tokio::test]
async fn withdrawal_deletes_what_it_covers_at_commit() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    place.allow(&address).await;
    place.hit(&sample, "open").await;
    place.hit(&sample, "click").await;
    let url = place.choices(sample.message);

    let answer = Visitor::new()
        .post_form(
            &url,
            &[
                ("act", "choose"),
                ("open", "refuse"),
                ("click", "keep"),
                ("scope", "sender"),
            ],
        )
        .await;
    let after_opens = place.count("hits WHERE kind = 'open'").await;
    let after_clicks = place.count("hits WHERE kind = 'click'").await;
    let notified = place.count("notifications").await;
    let counted = place
        .count("messages WHERE open_count = 0 AND first_open_at IS NULL AND click_count = 1")
        .await;
    let pictured = place.count("activity WHERE opens = 0 AND clicks = 1").await;
    Visitor::new().post_form(&url, &[("act", "stop")]).await;
    // Answered as ever, and kept no more.
    let pixel = Visitor::new().get(&sample.pixel()).await;

    assert_eq!(answer.status, 200);
    assert_eq!((after_opens, after_clicks, notified), (0, 1, 1));
    assert_eq!((counted, pictured), (1, 1));
    assert_eq!(pixel.status, 200);
    assert_eq!(place.count("hits").await, 0);
    assert_eq!(place.count("notifications").await, 0);
    assert_eq!(place.count("messages WHERE click_count = 0").await, 1);
    assert_eq!(
        place.count("activity WHERE opens = 0 AND clicks = 0").await,
        1
    );
}

/// C19: a refusal covers every address of the same base.
#[tokio::test]
async fn refusal_reaches_mail_to_tagged_addresses() {
    let place = Place::open().await;
    let (sample, _) = place.message().await;
    place
        .database
        .execute("UPDATE subjects SET address = 'ewa+shop@elsewhere.example', base_address = 'ewa@elsewhere.example'")
        .await;
    place.hit(&sample, "open").await;

    let (status, ..) = place.ctl(&[
        "consent",
        "withdraw",
        "ewa@elsewhere.example",
        "--channel",
        "post",
    ]);

    assert_eq!(status, 0);
    assert_eq!(place.count("hits").await, 0);
}

/// Where a message went to several people, its token stands for the message.
#[tokio::test]
async fn stopping_a_message_to_several_ends_it_for_all_and_accuses_nobody() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let other = place.add_recipient(&sample).await;
    place.hit(&sample, "open").await;
    let url = place.choices(sample.message);
    let mut visitor = Visitor::new();

    let page = visitor.get(&url).await.text();
    let choice = visitor
        .post_form(
            &url,
            &[
                ("act", "choose"),
                ("open", "refuse"),
                ("click", "refuse"),
                ("scope", "controller"),
            ],
        )
        .await;
    let stopped = visitor.post_form(&url, &[("act", "stop-message")]).await;
    let again = visitor
        .post_form(&url, &[("Tracking-Consent", "Withdraw")])
        .await;

    assert!(page.contains("stop-message") && !page.contains(&address) && !page.contains(&other));
    assert_eq!(choice.status, 422);
    assert_eq!((stopped.status.as_u16(), again.status.as_u16()), (200, 200));
    assert_eq!(place.states().await, Vec::<String>::new());
    assert_eq!(place.count("hits").await, 0);
    assert_eq!(
        place
            .count("messages WHERE stopped_at IS NOT NULL AND open_count = 0")
            .await,
        1
    );
}

#[tokio::test]
async fn link_of_a_message_to_several_speaks_for_nobody_after_the_others_were_erased() {
    let place = Place::open().await;
    let (sample, _) = place.message().await;
    let other = place.add_recipient(&sample).await;
    let url = place.choices(sample.message);
    place.ctl(&["consent", "erase", &other]);
    let mut visitor = Visitor::new();

    let page = visitor.get(&url).await.text();
    let stopped = visitor
        .post_form(&url, &[("Tracking-Consent", "Withdraw")])
        .await;

    assert!(
        page.contains("stop-message") && !page.contains("scope"),
        "{page}"
    );
    assert_eq!(stopped.status, 200);
    assert_eq!(place.states().await, Vec::<String>::new());
}

#[tokio::test]
async fn forged_tokens_lead_nowhere() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let link = place.link_for(&address).await;
    let real = place.choices(sample.message);
    let pixel = sample.pixel();
    let pixel_token = pixel.rsplit('/').next().unwrap().trim_end_matches(".gif");
    let before = place.dump();

    for url in [
        place.url("/c/x"),
        place.url(&format!("/c/{}", "A".repeat(48))),
        place.url(&format!("/c/{pixel_token}")),
        format!("{}A", real.strip_suffix(|_: char| true).unwrap()),
        place.url(&format!("/c/mine/{}", "A".repeat(43))),
        link.replace("/c/mine/", "/c/mine/A"),
    ] {
        let mut visitor = Visitor::new();
        let shown = visitor.get(&url).await;
        let saved = visitor
            .post_form(
                &url,
                &[("Tracking-Consent", "Withdraw"), ("act", "refuse-all")],
            )
            .await;
        assert_eq!(
            (shown.status.as_u16(), saved.status.as_u16()),
            (404, 404),
            "{url}"
        );
    }
    let session = Visitor::new()
        .post_form(
            &place.url("/c/mine"),
            &[("session", &"A".repeat(86)), ("act", "see")],
        )
        .await;

    assert_eq!(session.status, 404);
    assert_eq!(place.dump(), before);
}

/// C52: the link works for ever, whatever is left.
#[tokio::test]
async fn link_in_a_purged_message_still_answers() {
    let place = Place::open().await;
    let url = place.choices(MessageId::random());

    let shown = Visitor::new().get(&url).await;
    let withdrawn = Visitor::new()
        .post_form(&url, &[("Tracking-Consent", "Withdraw")])
        .await;

    assert_eq!(
        (shown.status.as_u16(), withdrawn.status.as_u16()),
        (200, 200)
    );
    assert!(shown.text().contains("action=\"/privacy"));
}

/// C46, C56: allowing, with everything that belongs to it.
#[tokio::test]
async fn mailed_link_allows_once() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let link = place.link_for(&address).await;
    let mut visitor = Visitor::new();
    let page = visitor.get(&link).await;
    let notice = hidden(&page, "notice");
    let fields = [&ALLOW_ALL[..], &[("notice", notice.as_str())]].concat();

    let first = visitor.post_form(&link, &fields).await;
    let second = visitor.post_form(&link, &fields).await;
    let receipt = text_of(&place.mail.next().await);
    let session = hidden(&first, "session");
    let download = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "receipt-json")],
        )
        .await;

    assert!(
        !page.text().contains(&address),
        "a stranger to the mailbox sees the address"
    );
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 410));
    assert_eq!(place.states().await, ["click granted", "open granted"]);
    assert!(first.text().contains(&address));
    let document = download.json();
    assert_eq!(document["notices"][0]["sha256"], notice.as_str());
    assert_eq!(document["events"].as_array().unwrap().len(), 2);
    assert!(
        download
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    // The link in the receipt withdraws, years later too.
    let withdrawal = document["processing"][0]["withdrawal"]["url"]
        .as_str()
        .unwrap();
    assert!(receipt.contains(withdrawal));
    let withdrawn = visitor
        .post_form(withdrawal, &[("Tracking-Consent", "Withdraw")])
        .await;
    assert_eq!(withdrawn.status, 200);
    assert_eq!(place.states().await.len(), 4);
    assert_eq!(visitor.get(&sample.pixel()).await.status, 200);
}

/// C53, C55, C56, C77, P7, P10: the mandatory fields of ISO/IEC TS 27560, the page's two scopes, its language and its text.
#[tokio::test]
async fn receipt_says_everything_that_the_standard_asks() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    // From the message's page, so that its sender is offered as the narrower scope.
    Visitor::new()
        .post_form(&place.choices(sample.message), &[("act", "link")])
        .await;
    let link = place.link_in(&place.mail.next().await);
    let link = format!("{}?lang=de", link.split('?').next().unwrap());
    let mut visitor = Visitor::new();
    let page = visitor.get(&link).await;
    let text = page.text();
    let notice = hidden(&page, "notice");
    let chosen = visitor
        .post_form(
            &link,
            &[
                ("act", "choose"),
                ("open", "allow"),
                ("click", "refuse"),
                ("scope", "sender"),
                ("notice", &notice),
            ],
        )
        .await;
    let session = hidden(&chosen, "session");
    let receipt = visitor
        .post_form(
            &place.url("/c/mine"),
            &[("session", &session), ("act", "receipt-json")],
        )
        .await
        .json();

    for scope in ["sender", "controller"] {
        assert!(text.contains(&format!("name=\"scope\" value=\"{scope}\"")));
    }
    for field in [
        "/schema_version",
        "/record_id",
        "/document_id",
        "/subject_ref",
        "/address",
        "/controller/name",
        "/controller/address",
        "/controller/contact",
        "/controller/role",
        "/controller/authority",
        "/processing/0/purpose",
        "/processing/0/description",
        "/processing/0/data/0",
        "/processing/0/sensitive",
        "/processing/0/lawful_basis",
        "/processing/0/collection",
        "/processing/0/recipients/0",
        "/processing/0/storage",
        "/processing/0/jurisdiction",
        "/processing/0/retention",
        "/processing/0/withdrawal/url",
        "/processing/0/withdrawal/method",
        "/rights",
        "/notices/0/sha256",
        "/events/0/event_id",
        "/events/0/purpose",
        "/events/0/scope/kind",
        "/events/0/state",
        "/events/0/event_type",
        "/events/0/entity",
        "/events/0/method",
        "/events/0/at",
        "/events/0/language",
        "/events/0/profile",
        "/events/1/valid_until",
    ] {
        let found = receipt.pointer(field);
        assert!(
            found.is_some_and(|found| !found.is_null()),
            "{field}: {receipt:#}"
        );
    }
    assert_eq!(receipt["events"][1]["state"], "granted");
    assert_eq!(receipt["events"][1]["scope"]["kind"], "sender");
    assert_eq!(receipt["events"][1]["language"], "de");
    assert_eq!(receipt["events"][1]["notice_sha256"], notice.as_str());
    // The text itself, word for word as it stood on the page.
    let kept = receipt["notices"][0].to_string();
    assert!(kept.contains("Ihre Einwilligung: Artikel 6"), "{kept}");
    assert!(!text.contains(&address));
}

/// C66, C76: what was agreed to is the text that was shown.
#[tokio::test]
async fn text_that_changed_meanwhile_is_not_agreed_to() {
    let place = Place::open().await;
    let (_, address) = place.message().await;
    let link = place.link_for(&address).await;
    let stale = [&ALLOW_ALL[..], &[("notice", "0000")]].concat();

    let answer = Visitor::new().post_form(&link, &stale).await;

    assert_eq!(answer.status, 409);
    assert_eq!(place.states().await, Vec::<String>::new());
}

/// C16: one person cannot agree for the readers of a list, but may refuse.
#[tokio::test]
async fn list_cannot_be_allowed() {
    let place = Place::open().await;
    let link = place.link_for("dev@lists.elsewhere.example").await;
    let mut visitor = Visitor::new();
    let notice = hidden(&visitor.get(&link).await, "notice");

    let allowed = visitor
        .post_form(
            &link,
            &[&ALLOW_ALL[..], &[("notice", notice.as_str())]].concat(),
        )
        .await;
    let refused = visitor.post_form(&link, &[("act", "refuse-all")]).await;

    assert_eq!(
        (allowed.status.as_u16(), refused.status.as_u16()),
        (403, 200)
    );
    assert_eq!(place.states().await, ["click denied", "open denied"]);
}

/// Feature: to refuse before ever being asked, at an organisation that does not know the address.
#[tokio::test]
async fn stranger_may_refuse_before_being_asked() {
    let place = Place::open().await;
    let link = place.link_for("stranger@elsewhere.example").await;

    let answer = Visitor::new()
        .post_form(&link, &[("act", "refuse-all")])
        .await;
    let arguments = [
        "consent",
        "record",
        "stranger@elsewhere.example",
        "--purpose",
        "open",
        "--channel",
        "paper",
        "--evidence",
        "7",
        "--given-at",
        &crate::place::last_month(),
    ];
    let (status, _, complaint) = place.ctl(&arguments);

    assert_eq!(answer.status, 200);
    assert_eq!(status, 1);
    assert!(
        complaint.contains("the recipient has said no"),
        "{complaint}"
    );
}

/// C51: nothing tells whether an address is known, and nobody is flooded.
#[tokio::test]
async fn asking_for_a_link_tells_nothing_and_floods_nobody() {
    let place = Place::open().await;
    let (_, known) = place.message().await;
    place.ctl(&["consent", "erase", "gone@elsewhere.example"]);
    let ask = async |address: &str| -> Answer {
        Visitor::new()
            .post_form(&place.url("/privacy"), &[("address", address)])
            .await
    };

    let mut bodies = Vec::new();
    for address in [
        known.as_str(),
        "unknown@elsewhere.example",
        "gone@elsewhere.example",
    ] {
        let answer = ask(address).await;
        assert_eq!(answer.status, 200);
        bodies.push(answer.body);
        place.mail.next().await;
    }
    for _ in 0..100 {
        assert_eq!(ask(&known).await.body, bodies[0]);
    }
    // A last one for somebody else: when it arrives, or was dropped, the others were dealt with.
    let nonsense = ask("not an address").await;

    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0], bodies[2]);
    assert_eq!(nonsense.status, 422);
    let mut more = 0;
    while place
        .mail
        .next_within(std::time::Duration::from_millis(700))
        .await
        .is_some()
    {
        more += 1;
    }
    assert!(
        more <= 2,
        "{more} further mails to one address within an hour"
    );
}

/// C34, C54, C55, C58: header fields, size, languages; no cookie, no script, nothing from elsewhere.
#[tokio::test]
async fn pages_are_private_small_and_translated() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let link = place.link_for(&address).await;
    let elsewhere = urls_elsewhere;

    for url in [place.choices(sample.message), link, place.url("/privacy")] {
        for (language, word) in [
            ("en", "What you should know"),
            ("pl", "Co warto wiedzieć"),
            ("de", "Was Sie wissen sollten"),
            ("fr", "Ce qu’il faut savoir"),
        ] {
            let plain = url.split('?').next().unwrap();
            let asked = Visitor::new()
                .get(&format!("{plain}?lang={language}"))
                .await;
            let accepted = Visitor::new()
                .header("Accept-Language", &format!("{language}, xx;q=0.5"))
                .get(plain)
                .await;

            for answer in [asked, accepted] {
                let text = answer.text();
                assert_eq!(answer.status, 200);
                assert!(text.contains(word), "{language}: {text}");
                assert!(text.contains(&format!("<html lang=\"{language}\"")));
                assert!(answer.body.len() < 100_000);
                assert!(elsewhere(&text).is_empty(), "{:?}", elsewhere(&text));
                assert!(!text.contains("<script") && !text.contains("style="));
                assert!(answer.header("set-cookie").is_none());
                assert!(answer.header("etag").is_none());
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
                assert!(answer.header("x-robots-tag").unwrap().contains("noindex"));
                let policy = answer.header("content-security-policy").unwrap();
                assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"));
            }
        }
    }
}

/// C58: a browser that asks not to be tracked is told that it is not.
#[tokio::test]
async fn privacy_control_is_acknowledged() {
    let place = Place::open().await;

    let page = Visitor::new()
        .header("Sec-GPC", "1")
        .get(&place.url("/privacy"))
        .await;

    assert!(page.text().contains("Your browser asks not to be tracked"));
}

/// Returns what a page would load or send elsewhere.
fn urls_elsewhere(text: &str) -> Vec<String> {
    ["src=\"", "href=\"", "action=\""]
        .into_iter()
        .flat_map(|attribute| text.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|url| url.contains("://") || url.starts_with("//"))
        .map(str::to_owned)
        .collect()
}
