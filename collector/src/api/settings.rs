// SPDX-License-Identifier: GPL-3.0-or-later
//! `/api/v1/settings`: what the user has chosen, within what the organisation allows.

use actix_web::{HttpRequest, HttpResponse, http::header::IF_MATCH, web::Data};
use chrono_tz::Tz;
use common::{
    config::Controller,
    db::{
        Transactions,
        users::{self, Changes, User},
    },
    language::Language,
};
use serde::{Deserialize, Deserializer, Serialize};

use super::etag;
use crate::{
    auth::{CheckedJson, CurrentUser},
    failure::Failure,
    state::State,
};

/// Settings as the API shows them: what holds, so within the ceilings.
#[derive(Serialize)]
struct SettingsJson<'a> {
    opens: bool,
    links: bool,
    text_links: bool,
    notifications: &'a str,
    digest: &'a str,
    remember_choice: bool,
    language: &'static str,
    time_zone: &'a str,
    ceilings: Ceilings,
}

/// What the organisation allows.
#[derive(Serialize)]
struct Ceilings {
    opens: bool,
    links: bool,
    text_links: bool,
}

/// A change of settings; what is left out stays as it is.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[serde(default, deserialize_with = "given")]
    pub opens: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    pub links: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    pub text_links: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    pub notifications: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub digest: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub remember_choice: Option<bool>,
    /// `null` is for the language of the organisation.
    #[serde(default, deserialize_with = "given")]
    pub language: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub time_zone: Option<String>,
}

/// `GET /api/v1/settings`
pub async fn show(current: CurrentUser) -> HttpResponse {
    answer(&current.user, &current.controller)
}

/// `PATCH /api/v1/settings`
///
/// # Errors
///
/// Fails if a value cannot be meant or is not allowed, or the database does not answer.
pub async fn change(
    request: HttpRequest,
    change: CheckedJson<Change>,
    state: Data<State>,
) -> Result<HttpResponse, Failure> {
    let current = change.current;
    let changes = changes(change.body, &current.controller)?;
    let (controller, id) = (current.controller_id(), current.id());
    let expected = etag::Named::read(request.headers(), IF_MATCH);
    let mut connection = state.db.get().await?;
    // Locked, so that what was compared is still so when it is changed.
    let user = connection
        .transaction(async |connection| -> Result<User, Failure> {
            let user = users::lock(controller, id, connection)
                .await?
                .ok_or(Failure::NotFound)?;
            let tag = serde_json::to_vec(&shown(&user, &current.controller))
                .map(|body| etag::of(&body))
                .unwrap_or_default();
            if expected
                .as_ref()
                .is_some_and(|expected| !expected.has(&tag))
            {
                return Err(Failure::Changed);
            }
            users::change(controller, id, &changes, connection)
                .await?
                .ok_or(Failure::NotFound)
        })
        .await?;
    Ok(answer(&user, &current.controller))
}

/// Checks a change against what is known and allowed.
///
/// # Errors
///
/// Names the value that cannot be meant or is not allowed.
pub fn changes(change: Change, controller: &Controller) -> Result<Changes, Failure> {
    let refuse = |text: &str| Err(Failure::Unprocessable(text.to_owned()));
    for (name, wanted, is_allowed) in [
        ("opens", change.opens, controller.opens),
        ("links", change.links, controller.links),
        ("text_links", change.text_links, controller.text_links),
    ] {
        if wanted == Some(true) && !is_allowed {
            return refuse(&format!("\"{name}\" is not allowed by your organisation"));
        }
    }
    if !is_one_of(change.notifications.as_deref(), &["none", "clicks", "all"]) {
        return refuse("\"notifications\" must be none, clicks or all");
    }
    if !is_one_of(change.digest.as_deref(), &["off", "daily"]) {
        return refuse("\"digest\" must be off or daily");
    }
    let language = change.language.clone().flatten();
    let is_ours = |code: &String| Language::ALL.iter().any(|language| language.code() == code);
    if language.as_ref().is_some_and(|code| !is_ours(code)) {
        return refuse("\"language\" must be en, pl, de or fr");
    }
    if let Some(zone) = &change.time_zone
        && zone.parse::<Tz>().is_err()
    {
        return refuse("\"time_zone\" must be a name such as Europe/Warsaw");
    }
    Ok(Changes {
        display_name: None,
        opens: change.opens,
        links: change.links,
        text_links: change.text_links,
        notifications: change.notifications,
        digest: change.digest,
        remember_choice: change.remember_choice,
        language: change.language,
        time_zone: change.time_zone,
    })
}

fn answer(user: &User, controller: &Controller) -> HttpResponse {
    HttpResponse::Ok().json(shown(user, controller))
}

fn shown<'a>(user: &'a User, controller: &Controller) -> SettingsJson<'a> {
    SettingsJson {
        opens: user.opens && controller.opens,
        links: user.links && controller.links,
        text_links: user.text_links && controller.text_links,
        notifications: &user.notifications,
        digest: &user.digest,
        remember_choice: user.remember_choice,
        language: user.language().unwrap_or(controller.language).code(),
        time_zone: &user.time_zone,
        ceilings: Ceilings {
            opens: controller.opens,
            links: controller.links,
            text_links: controller.text_links,
        },
    }
}

fn is_one_of(value: Option<&str>, known: &[&str]) -> bool {
    value.is_none_or(|value| known.contains(&value))
}

/// Tells `null` from what was left out: most things cannot be `null`.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use common::config::Config;

    use super::*;

    fn checked(json: &str, edit: impl FnOnce(&mut Controller)) -> Result<Changes, Failure> {
        let mut controller = Config::for_testing().controllers.remove(0);
        edit(&mut controller);
        changes(serde_json::from_str(json).unwrap(), &controller)
    }

    #[test]
    fn ceiling_binds_when_switching_on_only() {
        let low = |controller: &mut Controller| controller.opens = false;

        assert!(checked(r#"{"opens": true}"#, low).is_err());
        assert!(checked(r#"{"opens": false}"#, low).is_ok());
        assert!(checked(r#"{"links": true}"#, low).is_ok());
    }

    #[test]
    fn unknown_values_are_refused() {
        for json in [
            r#"{"notifications": "some"}"#,
            r#"{"digest": "weekly"}"#,
            r#"{"language": "xx"}"#,
            r#"{"time_zone": "Mars/Olympus"}"#,
        ] {
            assert!(checked(json, |_| {}).is_err(), "{json}");
        }
    }

    #[test]
    fn null_is_told_from_nothing() {
        let null = checked(r#"{"language": null}"#, |_| {}).unwrap();
        let nothing = checked("{}", |_| {}).unwrap();

        assert_eq!((null.language, nothing.language), (Some(None), None));
        assert!(serde_json::from_str::<Change>(r#"{"opens": null}"#).is_err());
    }
}
