// SPDX-License-Identifier: GPL-3.0-or-later
//! Signing in by OpenID Connect, against a provider that is not ours.

use harness::{
    database::Database,
    installation::{Installation, Program},
    log::Log,
    provider::{CLIENT, Provider},
    web::{Answer, Visitor},
};
use serde_json::{Value, json};
use url::Url;

use crate::account::Account;

struct Door {
    database: Database,
    installation: Installation,
    provider: Provider,
    collector: Program,
}

impl Door {
    /// Starts a provider and a collector that believes it; `None` where there is no provider to be had.
    async fn open(wishes: &Value, users: &str) -> Option<Self> {
        let database = Database::start().await;
        // The address is known before the provider is.
        let builder = Installation::on(&database);
        let provider = Provider::start(&builder.url(), wishes).await?;
        let (id, secret) = CLIENT;
        let installation = builder
            .set("collector.sign_in", "oidc")
            .set("milter.users", users)
            .set("oidc.issuer", provider.issuer())
            .set("oidc.client_id", id)
            .set("oidc.client_secret", secret)
            .write();
        let collector = installation.start_collector().await;
        Some(Self {
            database,
            installation,
            provider,
            collector,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.installation.url())
    }

    /// Goes to the provider, as far as its first answer leads.
    async fn start(&self, browser: &mut Visitor) -> Url {
        let answer = browser
            .get(&self.url("/sign-in/oidc/start?next=/settings"))
            .await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.location().unwrap()
    }

    /// Signs somebody in at the provider and returns where it sends the browser back to.
    async fn pass(&self, browser: &mut Visitor, mut place: Url, login: &str) -> Url {
        for _step in 0..20 {
            if place.path() == "/sign-in/oidc" {
                return place;
            }
            let answer = if place.path().starts_with("/interaction/") {
                let page = browser.get(place.as_str()).await.text();
                let fields: &[(&str, &str)] = if page.contains("value=\"login\"") {
                    &[("prompt", "login"), ("login", login), ("password", "any")]
                } else {
                    &[("prompt", "consent")]
                };
                browser.post_form(place.as_str(), fields).await
            } else {
                browser.get(place.as_str()).await
            };
            place = answer
                .location()
                .unwrap_or_else(|| panic!("{place}: {}", answer.text()));
        }
        panic!("the provider leads in circles");
    }

    /// Goes the whole way and returns the answer at its end.
    async fn sign_in(&self, browser: &mut Visitor, login: &str) -> Answer {
        let place = self.start(browser).await;
        let back = self.pass(browser, place, login).await;
        browser.get(back.as_str()).await
    }

    async fn sessions(&self) -> i64 {
        let sessions = "SELECT count(*) FROM sessions";
        self.database.count(sessions, &[]).await
    }

    fn log(&self) -> &Log {
        self.collector.log()
    }
}

#[tokio::test]
async fn provider_signs_in_and_out() {
    harness::needs!(PostgreSql);
    // Claims come with the ID token, or have to be asked for.
    for wishes in [json!({"inToken": true}), json!({"inToken": false})] {
        let Some(door) = Door::open(&wishes, "all").await else {
            return;
        };
        let mut browser = Visitor::new();

        let page = browser.get(&door.url("/sign-in")).await;
        let entered = door.sign_in(&mut browser, "anna").await;
        let settings = browser.get(&door.url("/settings")).await;
        let signed_in = door.sessions().await;
        let text = settings.text();
        let (_, rest) = text.split_once("name=\"csrf\" value=\"").unwrap();
        let csrf = rest.split('"').next().unwrap();
        let left = browser
            .post_form(&door.url("/sign-out"), &[("csrf", csrf)])
            .await;
        let leave = door.url("/sign-in/oidc/leave");
        let by_image = Visitor::new().get(&leave).await;
        let offered = browser.get(&door.url("/sign-in")).await;
        let away = browser.get(&leave).await;
        let again = browser.get(&leave).await;

        assert!(page.text().contains("href=\"/sign-in/oidc/start?next="));
        assert_eq!(entered.status, 303, "{}\n{}", entered.text(), door.log());
        assert_eq!(entered.location().unwrap().path(), "/settings");
        assert!(text.contains("anna@example.com"));
        assert_eq!((signed_in, door.sessions().await), (1, 0));
        assert_eq!(left.location().unwrap().path(), "/sign-in");
        let away = away.location().unwrap();
        assert!(away.as_str().starts_with(&door.provider.issuer()));
        assert!(away.query().unwrap().contains("post_logout_redirect_uri="));
        // Only who has just signed out here is sent there, and once.
        assert!(offered.text().contains("/sign-in/oidc/leave"));
        assert!(!page.text().contains("/sign-in/oidc/leave"));
        for other in [by_image, again] {
            assert_eq!(other.location().unwrap().as_str(), door.url("/sign-in"));
        }
        // Nobody is mailed a link where the provider decides.
        let asked = [("address", "anna@example.com")];
        let answer = Visitor::new()
            .post_form(&door.url("/sign-in"), &asked)
            .await;
        assert_eq!(answer.status, 404);
    }
}

/// Every way in which it can fail has the same answer, and nobody is signed in.
#[tokio::test]
async fn what_does_not_belong_together_signs_nobody_in() {
    harness::needs!(PostgreSql);
    let Some(door) = Door::open(&json!({"inToken": true}), "all").await else {
        return;
    };
    let mut answers = Vec::new();

    for login in ["unverified", "stranger", "nameless"] {
        answers.push((login, door.sign_in(&mut Visitor::new(), login).await));
    }
    // Another state.
    let mut browser = Visitor::new();
    let place = door.start(&mut browser).await;
    let mut back = door.pass(&mut browser, place, "anna").await;
    let query = back.query().unwrap().replace("state=", "state=x");
    back.set_query(Some(&query));
    answers.push(("wrong state", browser.get(back.as_str()).await));
    // An answer in another browser: somebody else's code must not sign in whoever is lured to it.
    let mut browser = Visitor::new();
    let place = door.start(&mut browser).await;
    let back = door.pass(&mut browser, place, "anna").await;
    answers.push(("no cookie", Visitor::new().get(back.as_str()).await));
    let mut other = Visitor::new();
    door.start(&mut other).await;
    answers.push(("other cookie", other.get(back.as_str()).await));
    // Another nonce: the provider puts into the token what it was asked for.
    let mut browser = Visitor::new();
    let mut place = door.start(&mut browser).await;
    let query = place.query().unwrap().replace("nonce=", "nonce=x");
    place.set_query(Some(&query));
    let back = door.pass(&mut browser, place, "anna").await;
    answers.push(("wrong nonce", browser.get(back.as_str()).await));
    // A code whose challenge was another's.
    let mut browser = Visitor::new();
    let mut place = door.start(&mut browser).await;
    let query = place
        .query()
        .unwrap()
        .replace("code_challenge=", "code_challenge=A");
    place.set_query(Some(&query));
    let place = shortened(&place, "code_challenge");
    let back = door.pass(&mut browser, place, "anna").await;
    answers.push(("wrong verifier", browser.get(back.as_str()).await));
    // Another issuer answers, or the user does not want to.
    for (what, replaced, by) in [
        ("wrong issuer", "iss=", "iss=x"),
        ("no code", "code=", "error=access_denied&no="),
    ] {
        let mut browser = Visitor::new();
        let place = door.start(&mut browser).await;
        let mut back = door.pass(&mut browser, place, "anna").await;
        let query = back.query().unwrap().replacen(replaced, by, 1);
        back.set_query(Some(&query));
        answers.push((what, browser.get(back.as_str()).await));
    }

    let page = answers[0].1.text();
    for (what, answer) in &answers {
        assert_eq!(answer.status, 403, "{what}\n{}", door.log());
        assert_eq!(answer.text(), page, "{what}");
    }
    assert_eq!(door.sessions().await, 0);
    for name in ["anna", "elsewhere", "stranger"] {
        assert!(
            !door.log().to_string().contains(name),
            "the log names {name}"
        );
    }
}

#[tokio::test]
async fn code_works_once() {
    harness::needs!(PostgreSql);
    let Some(door) = Door::open(&json!({"inToken": true}), "all").await else {
        return;
    };
    let mut browser = Visitor::new();
    let place = door.start(&mut browser).await;
    let cookie = browser.cookie("fairtrack-oidc").unwrap();
    let back = door.pass(&mut browser, place, "anna").await;

    let first = browser.get(back.as_str()).await;
    let forgotten = browser.cookie("fairtrack-oidc");
    let again = browser.get(back.as_str()).await;
    // Whoever kept the cookie gets no further: the provider takes each code once.
    let kept = format!("fairtrack-oidc={cookie}");
    let replayed = { Visitor::new().header("Cookie", &kept) }
        .get(back.as_str())
        .await;

    assert_eq!(first.status, 303, "{}", door.log());
    assert_eq!(forgotten, None);
    assert_eq!(
        (again.status.as_u16(), replayed.status.as_u16()),
        (403, 403)
    );
    assert_eq!(door.sessions().await, 1);
}

#[tokio::test]
async fn expired_token_signs_nobody_in() {
    harness::needs!(PostgreSql);
    let wishes = json!({"inToken": true, "lifetime": -7200});
    let Some(door) = Door::open(&wishes, "all").await else {
        return;
    };

    let answer = door.sign_in(&mut Visitor::new(), "anna").await;

    assert_eq!(answer.status, 403);
    door.log().wait_for("too old").await;
    assert_eq!(door.sessions().await, 0);
}

/// Codes cost the provider something, so nobody may have us ask for more of them than people can want.
#[tokio::test]
async fn provider_that_is_away_and_one_client_at_the_door_all_day_harm_nobody() {
    harness::needs!(PostgreSql);
    let database = Database::start().await;
    // A port on which nobody listens.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let installation = Installation::on(&database)
        .set("collector.sign_in", "oidc")
        .set("collector.sign_in_limit", 5)
        .set("oidc.issuer", issuer)
        .set("oidc.client_id", "fairtrack")
        .write();
    let _collector = installation.start_collector().await;
    let anna = Account::create(&database, "anna@example.com").await;
    let base = installation.url();
    let url = format!("{base}/sign-in/oidc/start");

    let mut statuses = Vec::new();
    for _ in 0..12 {
        let answer = Visitor::new().get(&url).await;
        assert!(
            answer
                .header("set-cookie")
                .is_none_or(|cookie| cookie.contains("Max-Age=0"))
        );
        statuses.push(answer.status.as_u16());
    }
    let door = Visitor::new().get(&format!("{base}/sign-in")).await;
    let report = anna.browser().get(&format!("{base}/")).await;

    assert_eq!(statuses[0], 403);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!((door.status.as_u16(), report.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn only_those_who_are_entitled_get_in_and_the_rest_goes_on_without_the_provider() {
    harness::needs!(PostgreSql);
    let Some(mut door) = Door::open(&json!({"inToken": true}), "listed").await else {
        return;
    };

    let unknown = door.sign_in(&mut Visitor::new(), "anna").await;
    let anna = Account::create(&door.database, "anna@example.com").await;
    let mut browser = Visitor::new();
    let known = door.sign_in(&mut browser, "anna").await;
    door.database
        .execute("UPDATE users SET enabled = false")
        .await;
    let disabled = door.sign_in(&mut Visitor::new(), "anna").await;
    door.database
        .execute("UPDATE users SET enabled = true")
        .await;
    door.provider.stop();
    // Who is in stays in; tokens need no provider.
    let still = browser.get(&door.url("/")).await;
    let program = anna.program().get(&door.url("/api/v1/me")).await;
    let late = Visitor::new().get(&door.url("/sign-in/oidc")).await;

    assert_eq!(unknown.status, 403);
    assert_eq!(known.status, 303, "{}", door.log());
    assert_eq!(disabled.status, 403);
    assert_eq!((still.status.as_u16(), program.status.as_u16()), (200, 200));
    assert_eq!(late.status, 403);
}

/// Takes the last character off a parameter's value, so that it keeps its length when one was put before it.
fn shortened(url: &Url, name: &str) -> Url {
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(key, value)| {
            let mut value = value.into_owned();
            if key == name {
                value.pop();
            }
            (key.into_owned(), value)
        })
        .collect();
    let mut shortened = url.clone();
    shortened.query_pairs_mut().clear().extend_pairs(pairs);
    shortened
}
