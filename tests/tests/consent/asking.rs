// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking: one at a time, seldom, without a trace of observation, and without telling of refusals.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use collector::{
    exchangers::Exchangers,
    mail::Mailer,
    recipient::{
        attest::{self, AttestError, Attestation},
        request::{self, Outcome, Request, RequestError},
    },
    state::State,
};
use common::{
    address::Address,
    config::{Config, Mail, Part},
    consent::{Purpose, Scope},
    db::{Db, users},
    ids::{ControllerId, UserId},
    keys::KeyRing,
};
use harness::{samples::Sample, web::Visitor};

use crate::place::{Place, hidden, text_of};

/// What handlers are given, as the collector makes it.
fn state(place: &Place) -> State {
    let config = Config::read(&place.installation.configuration()).unwrap();
    State {
        db: Db::new(&config.database, Part::Collector),
        keys: Arc::new(KeyRing::read(&config.keys.file).unwrap()),
        mailer: Mailer::new(&config.mail).unwrap(),
        desk: Default::default(),
        live: Default::default(),
        oidc: None,
        exchangers: Exchangers::new(config.classify.name_server),
        config: Arc::new(config),
    }
}

async fn user(state: &State, sample: &Sample) -> users::User {
    let mut connection = state.db.get().await.unwrap();
    let id = ControllerId("example".into());
    users::get(&id, UserId(sample.user), &mut connection)
        .await
        .unwrap()
        .unwrap()
}

fn ask(address: &str, user: &users::User) -> Request {
    Request {
        address: Address::parse(address).unwrap(),
        purposes: vec![Purpose::Open, Purpose::Click],
        scope: Scope::Sender(user.user_id()),
    }
}

fn now() -> DateTime<Utc> {
    Utc::now()
}

/// C60, C61, C64: the mail that asks observes nothing, and opening it says nothing.
#[tokio::test]
async fn request_is_not_observed_and_asks_once() {
    let place = Place::open().await;
    let state = state(&place);
    let (sample, address) = place.message().await;
    let user = user(&state, &sample).await;

    let outcome = request::send(&state, &user, &ask(&address, &user), now())
        .await
        .unwrap();
    let mail = place.mail.next().await;
    let link = place.link_in(&mail);
    let preview = request::preview(&state, &user, &ask(&address, &user)).unwrap();
    for _ in 0..10 {
        assert_eq!(Visitor::new().get(&link).await.status, 200);
    }

    assert_eq!(outcome, Outcome::Sent);
    let raw = String::from_utf8_lossy(&mail.message);
    assert!(
        !raw.contains("<img") && !raw.contains("/o/") && !raw.contains("/l/"),
        "{raw}"
    );
    assert!(mail.field("Auto-Submitted").is_some());
    assert_eq!(
        preview.text.lines().count(),
        text_of(&mail).trim_end().lines().count()
    );
    assert_eq!(place.states().await, ["open requested", "click requested"]);
    // Not a second time, by nobody, for 180 days.
    for (days, expected) in [(179, Outcome::NotNow), (181, Outcome::Sent)] {
        let later = now() + TimeDelta::days(days);
        let again = request::send(&state, &user, &ask(&address, &user), later).await;
        assert_eq!(again.unwrap(), expected, "after {days} days");
    }
}

/// C50: the link of a request answers the question and nothing else.
#[tokio::test]
async fn request_can_be_answered_from_its_mail() {
    let place = Place::open().await;
    let state = state(&place);
    let (sample, address) = place.message().await;
    let user = user(&state, &sample).await;
    request::send(&state, &user, &ask(&address, &user), now())
        .await
        .unwrap();
    let link = place.link_in(&place.mail.next().await);
    let mut visitor = Visitor::new();
    let page = visitor.get(&link).await;
    let notice = hidden(&page, "notice");

    let seen = visitor.post_form(&link, &[("act", "see")]).await;
    let erased = visitor
        .post_form(&link, &[("act", "erase"), ("confirm", "yes")])
        .await;
    let answered = visitor
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

    assert!(!page.text().contains("value=\"erase\""));
    assert_eq!((seen.status.as_u16(), erased.status.as_u16()), (403, 403));
    assert_eq!(answered.status, 200, "{}", answered.text());
    assert_eq!(
        place.states().await,
        [
            "open requested",
            "click requested",
            "click denied",
            "open granted"
        ]
    );
    assert_eq!(
        place.count("consent_events WHERE scope_user IS NULL").await,
        0
    );
}

/// C62, C88, P16: whoever refused is not asked, and the sender hears no more than of anyone else.
#[tokio::test]
async fn refusal_is_not_told_to_whoever_asks_or_attests() {
    let place = Place::open().await;
    let state = state(&place);
    let (sample, address) = place.message().await;
    let user = user(&state, &sample).await;
    place.ctl(&["consent", "withdraw", &address, "--channel", "post"]);
    let attested = |address: &str| Attestation {
        address: Address::parse(address).unwrap(),
        purposes: vec![Purpose::Open],
        scope: Scope::Controller,
        given_at: now() - TimeDelta::days(9),
        channel: "paper".into(),
        evidence: "7".into(),
        notice: None,
        role_reason: None,
    };

    let asked = request::send(&state, &user, &ask(&address, &user), now())
        .await
        .unwrap();
    attest::record(&state, &user, &attested(&address), now())
        .await
        .unwrap();
    attest::record(&state, &user, &attested("ewa@elsewhere.example"), now())
        .await
        .unwrap();
    let unfit = attest::record(&state, &user, &attested("info@elsewhere.example"), now()).await;

    assert_eq!(asked, Outcome::NotNow);
    assert!(place.mail.take().is_none());
    assert!(matches!(unfit, Err(AttestError::Unfit(_))));
    assert_eq!(
        place.states().await,
        ["click denied", "open denied", "open granted"]
    );
    assert_eq!(
        place.count("acts WHERE act = 'attestation-refused'").await,
        1
    );
}

/// C62: twenty a day and no more; C14, C15, C16: some are never asked.
#[tokio::test]
async fn nobody_asks_the_whole_world() {
    let place = Place::open().await;
    let state = state(&place);
    let (sample, _) = place.message().await;
    let user = user(&state, &sample).await;

    for number in 0..20 {
        let request = ask(&format!("p{number}@elsewhere.example"), &user);
        assert_eq!(
            request::send(&state, &user, &request, now()).await.unwrap(),
            Outcome::Sent
        );
    }
    let one_more = request::send(&state, &user, &ask("more@elsewhere.example", &user), now())
        .await
        .unwrap();

    assert_eq!(one_more, Outcome::DailyLimit);
    for address in [
        "bob@example.com",
        "info@elsewhere.example",
        "dev@lists.elsewhere.example",
    ] {
        let refused = request::send(&state, &user, &ask(address, &user), now()).await;
        assert!(matches!(refused, Err(RequestError::Unfit(_))), "{address}");
    }
}

/// While the mail server is down nobody is asked, and nobody learns by that who has refused.
#[tokio::test]
async fn mail_server_that_is_down_does_not_tell_of_refusals() {
    let place = Place::open().await;
    let (sample, address) = place.message().await;
    let (_, refused) = place.message().await;
    place.ctl(&["consent", "withdraw", &refused, "--channel", "telephone"]);
    let mut state = state(&place);
    let nowhere = Mail {
        // A port that nothing listens on.
        smtp: "smtp://127.0.0.1:1".into(),
        ..state.config.mail.clone()
    };
    state.mailer = Mailer::new(&nowhere).unwrap();
    let user = user(&state, &sample).await;

    for address in [&address, &refused] {
        let asked = request::send(&state, &user, &ask(address, &user), now()).await;

        assert!(matches!(asked, Err(RequestError::Mail(_))), "{asked:?}");
    }
    assert_eq!(place.count("consent_requests").await, 0);
}

/// Where the mail server does not take the request, nobody was asked, and one may try again.
#[tokio::test]
async fn request_that_was_not_sent_may_be_sent_again() {
    let place = Place::open().await;
    let state = state(&place);
    let (sample, address) = place.message().await;
    let user = user(&state, &sample).await;
    place.mail.refuse(&address);

    let failed = request::send(&state, &user, &ask(&address, &user), now()).await;

    let error = failed.unwrap_err();
    assert!(matches!(error, RequestError::Mail(_)));
    // The server's answer names the address; what we log of it does not.
    let chain = format!("{:?}", anyhow::Error::new(error));
    assert!(
        chain.contains("550") && !chain.contains(&address),
        "{chain}"
    );
    assert_eq!(place.count("consent_requests").await, 0);
}

/// Where the mail server took the request without saying so, the person may have been asked, and is not asked again.
#[tokio::test]
async fn request_that_may_have_been_sent_is_not_sent_again() {
    let place = Place::open().await;
    let state = state(&place);
    let (sample, address) = place.message().await;
    let user = user(&state, &sample).await;
    place.mail.leave_unanswered(&address);

    let failed = request::send(&state, &user, &ask(&address, &user), now()).await;
    let again = request::send(&state, &user, &ask(&address, &user), now()).await;

    assert!(matches!(failed, Err(RequestError::Mail(_))));
    assert_eq!(again.unwrap(), Outcome::NotNow);
}
