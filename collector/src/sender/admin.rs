// SPDX-License-Identifier: GPL-3.0-or-later
//! `/admin`: counts, health, consent statistics, the log of acts and who may use Fairtrack, for administrators.
//!
//! An administrator sees how much, never what. Looking at a user's list of messages takes a reason; the look is written
//! into the log of acts, and the user is told of it with the reason, in the same transaction and before anything is shown.

use actix_web::{HttpResponse, web::Data};
use askama::Template;
use chrono::{TimeDelta, Utc};
use common::{
    config::Users,
    consent::Purpose,
    db::{
        Connection, Transactions, acts,
        overview::{self, ConsentCount, UserCount},
        report::{self as rows, Wanted},
        users, warnings,
    },
};
use serde::Deserialize;
use serde_json::json;

use super::{
    frame::{Place, frame, locale},
    locale::Locale,
    marks::{Row, row},
    texts::admin::Admin as Words,
};
use crate::{
    auth::{CheckedForm, CurrentUser},
    failure::Failure,
    layout::Layout,
    page::{html, see},
    state::State,
};

/// The warning that a user gets when an administrator looked; the reason follows.
pub const LOOKED: &str = "administrator-looked ";

const DAYS: i64 = 30;
const MOST_USERS: i64 = 500;
const MOST_ACTS: i64 = 50;
const MOST_MESSAGES: i64 = 50;
/// What is due so long ago and was not done shows that something does not work.
const OVERDUE: TimeDelta = TimeDelta::minutes(5);
const LONGEST_REASON: usize = 200;
/// Fewer people than this are not counted, and more in steps of it.
const FEW: i64 = 10;
const STATES: [&str; 3] = ["granted", "denied", "withdrawn"];

#[derive(Template)]
#[template(path = "admin.html")]
struct Page {
    layout: Layout,
    w: &'static Words,
    csrf: String,
    organisation: String,
    counts: [(&'static str, String); 6],
    health: &'static str,
    is_well: bool,
    consents: Vec<[String; 3]>,
    users: Vec<UserCount>,
    is_listed: bool,
    acts: Vec<[String; 3]>,
}

#[derive(Template)]
#[template(path = "admin_look.html")]
struct Look {
    layout: Layout,
    w: &'static Words,
    login: String,
    rows: Vec<Row>,
}

/// A user who shall be entitled, or no longer.
#[derive(Deserialize)]
pub struct Entitlement {
    login: String,
    enabled: bool,
}

/// Whose messages shall be looked at, and why.
#[derive(Deserialize)]
pub struct Wish {
    login: String,
    reason: String,
}

/// `GET /admin`
///
/// # Errors
///
/// Fails for whoever is no administrator, as if there were nothing here; or if the database does not answer.
pub async fn show(current: CurrentUser, state: Data<State>) -> Result<HttpResponse, Failure> {
    admit(&current, &state)?;
    let language = current.language();
    let w = Words::of(language);
    let (locale, now) = (locale(&current), Utc::now());
    let controller = current.controller_id();
    let since = now - TimeDelta::days(DAYS);
    let mut connection = state.db.get().await?;
    let layout = frame(&current, Place::Settings, w.title, &mut connection).await?;
    let counts = overview::counts(controller, since, now - OVERDUE, &mut connection).await?;
    let consents = overview::consents(controller, &mut connection).await?;
    let users = overview::users(controller, since, MOST_USERS, &mut connection).await?;
    let newest = acts::newest(controller, MOST_ACTS, &mut connection).await?;
    drop(connection);
    let number = |n: i64| locale.number(u32::try_from(n).unwrap_or(u32::MAX));
    let is_well = counts.overdue == 0;
    html(&Page {
        layout,
        w,
        csrf: current.csrf().into(),
        organisation: current.controller.name.clone(),
        counts: [
            (w.users, number(counts.users)),
            (w.messages, number(counts.messages)),
            (w.instrumented, number(counts.instrumented)),
            (w.opens, number(counts.opens)),
            (w.clicks, number(counts.clicks)),
            (w.automatic, number(counts.automatic)),
        ],
        health: if is_well { w.well } else { w.unwell },
        is_well,
        consents: statistics(&consents, w, &locale),
        users,
        is_listed: state.config.milter.users == Users::Listed,
        acts: newest
            .into_iter()
            .map(|act| [locale.time(act.at, now), act.actor, act.act])
            .collect(),
    })
}

/// Shows how many said what.
///
/// Every line is there, whether anybody said it or not, and no number tells of one person: a refusal is nobody's
/// business, and an administrator may know who was asked today.
fn statistics(counts: &[ConsentCount], w: &Words, locale: &Locale) -> Vec<[String; 3]> {
    let count = |purpose: &str, state: &str| {
        counts
            .iter()
            .find(|row| row.purpose == purpose && row.state == state)
            .map_or(0, |row| row.count)
    };
    Purpose::ALL
        .into_iter()
        .flat_map(|purpose| STATES.map(|state| (purpose.code(), state)))
        .map(|(purpose, state)| {
            let count = count(purpose, state);
            let number = if count < FEW {
                w.few.replace("{n}", &locale.number(FEW))
            } else {
                w.at_least
                    .replace("{n}", &locale.number(count - count % FEW))
            };
            [w.purpose(purpose), w.state(state), number]
        })
        .collect()
}

/// `POST /admin/users`: entitles somebody, or no longer.
///
/// # Errors
///
/// Fails for whoever is no administrator, for a login of another organisation, or if the database does not answer.
pub async fn entitle(
    state: Data<State>,
    form: CheckedForm<Entitlement>,
) -> Result<HttpResponse, Failure> {
    let current = &form.current;
    admit(current, &state)?;
    let controller = current.controller_id();
    let (_, login) = state
        .config
        .controller_of(&form.form.login)
        .filter(|(owner, _)| owner.id == *controller)
        .ok_or_else(|| Failure::Unprocessable("no login of this organisation".into()))?;
    let (enabled, now) = (form.form.enabled, Utc::now());
    let mut connection = state.db.get().await?;
    connection
        .transaction(async |connection| -> Result<(), Failure> {
            let user = users::find_or_create(controller, &login, connection).await?;
            users::enable(controller, &login, enabled, connection).await?;
            let act = if enabled {
                "user-entitled"
            } else {
                "user-disabled"
            };
            let detail = json!({ "user": user.id });
            acts::append(
                controller,
                &current.user.login,
                act,
                detail,
                now,
                connection,
            )
            .await?;
            Ok(())
        })
        .await?;
    Ok(see("/admin#users"))
}

/// `POST /admin/look`: the list of a user's newest messages, once it is written down and told that it was looked at.
///
/// # Errors
///
/// Fails for whoever is no administrator, without a reason, for nobody, or if the database does not answer.
pub async fn look(state: Data<State>, form: CheckedForm<Wish>) -> Result<HttpResponse, Failure> {
    let current = &form.current;
    admit(current, &state)?;
    let reason = form.form.reason.trim().replace('\0', "");
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        return Err(Failure::Unprocessable("a reason is required".into()));
    }
    let controller = current.controller_id();
    let mut connection = state.db.get().await?;
    let login = form.form.login.trim().to_lowercase();
    let user = users::find(controller, &login, &mut connection)
        .await?
        .ok_or(Failure::NotFound)?;
    write_down(current, &user, &reason, &mut connection).await?;

    let wanted = Wanted::default();
    let id = user.user_id();
    let found = rows::messages(controller, id, &wanted, MOST_MESSAGES, &mut connection).await?;
    let ids: Vec<_> = found.iter().map(|message| message.id).collect();
    let recipients = rows::recipients(controller, &ids, &mut connection).await?;
    let w = Words::of(current.language());
    let layout = frame(current, Place::Settings, w.title, &mut connection).await?;
    let (locale, now) = (locale(current), Utc::now());
    let shown = found.iter().map(|message| {
        let recipients = recipients.get(&message.id).map_or(&[][..], Vec::as_slice);
        row(message, recipients, &locale, now)
    });
    html(&Look {
        layout,
        w,
        login: user.login.clone(),
        rows: shown.collect(),
    })
}

async fn write_down(
    current: &CurrentUser,
    user: &users::User,
    reason: &str,
    connection: &mut Connection,
) -> Result<(), Failure> {
    let (controller, now) = (current.controller_id(), Utc::now());
    connection
        .transaction(async |connection| -> Result<(), Failure> {
            let detail = json!({ "reason": reason, "user": user.id });
            let actor = &current.user.login;
            acts::append(controller, actor, "user-looked-at", detail, now, connection).await?;
            let warning = format!("{LOOKED}{reason}");
            warnings::tell(controller, user.user_id(), &warning, now, connection).await?;
            Ok(())
        })
        .await
}

/// Lets administrators in; to others there is nothing here.
fn admit(current: &CurrentUser, state: &State) -> Result<(), Failure> {
    let listed = &state.config.collector.administrators;
    let is_listed = listed
        .iter()
        .filter_map(|login| state.config.controller_of(login))
        .any(|(_, login)| login == current.user.login);
    if is_listed || current.user.is_admin {
        Ok(())
    } else {
        Err(Failure::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(granted: i64, denied: i64) -> Vec<[String; 3]> {
        let row = |state: &str, count| ConsentCount {
            purpose: "open".into(),
            state: state.into(),
            count,
        };
        let counts: Vec<_> = [row("granted", granted), row("denied", denied)]
            .into_iter()
            .filter(|row| row.count > 0)
            .collect();
        let language = common::language::Language::En;
        statistics(&counts, Words::of(language), &Locale::new(language, "UTC"))
    }

    #[test]
    fn one_person_more_or_less_is_not_seen() {
        assert_eq!(shown(0, 0), shown(9, 1));
        assert_eq!(shown(40, 0), shown(49, 9));
        let shown = shown(40, 0);
        assert_eq!(shown.len(), 6);
        for line in [
            ["opens", "granted", "at least 40"],
            ["opens", "refused", "fewer than 10"],
            ["links", "granted", "fewer than 10"],
        ] {
            assert!(shown.contains(&line.map(str::to_owned)), "{line:?}");
        }
    }
}
