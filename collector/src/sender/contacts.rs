// SPDX-License-Identifier: GPL-3.0-or-later
//! `/contacts`: who was written to, asking for consent with a look at the mail first, and writing down what was said
//! elsewhere.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use askama::Template;
use chrono::Utc;
use common::{address::Address, consent::Purpose};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::{
    frame::{Place, frame, locale},
    texts::Texts,
};
use crate::{
    api::contacts::{asking_failed, send, write},
    auth::{CheckedForm, CurrentUser},
    contacts::{page, scope},
    failure::Failure,
    layout::Layout,
    moment,
    page::{html, see},
    recipient::{
        attest::Attestation,
        fitness::{self, Unfit},
        request::{self, Request, RequestError},
    },
    report::Cursor,
    state::State,
};

const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "contacts.html")]
struct Page {
    layout: Layout,
    t: &'static Texts,
    csrf: String,
    search: String,
    rows: Vec<Row>,
    older: Option<String>,
    is_first: bool,
    done: Option<&'static str>,
    trouble: Option<String>,
    preview: Option<Preview>,
    ask: Form,
    attest: Form,
    organisation: String,
    today: String,
}

struct Row {
    address: String,
    is_tracked: bool,
    messages: String,
    last: String,
    last_full: String,
    last_iso: String,
}

/// The mail that would be sent.
struct Preview {
    subject: String,
    text: String,
}

/// From where on, and what was just done.
#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
    before: Option<String>,
    done: Option<String>,
    #[serde(default)]
    recipient: String,
}

/// Either form; what one of them lacks is empty. A purpose is never chosen beforehand.
#[derive(Clone, Default, Deserialize)]
pub struct Form {
    #[serde(default)]
    recipient: String,
    opens: Option<String>,
    clicks: Option<String>,
    #[serde(default)]
    scope: String,
    /// Whether the mail was looked at.
    send: Option<String>,
    #[serde(default)]
    given_at: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    evidence: String,
}

/// `GET /contacts`
///
/// # Errors
///
/// Fails if the database does not answer.
pub async fn show(
    current: CurrentUser,
    state: Data<State>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let entered = Entered::Ask(Form::to(&asked.recipient));
    render(&current, &state, &asked, entered, None, None).await
}

/// `POST /contacts/ask`: shows the mail first, and sends it when it was seen.
///
/// # Errors
///
/// Fails if the form came from elsewhere, or database or mail server do not serve.
pub async fn ask(state: Data<State>, form: CheckedForm<Form>) -> Result<HttpResponse, Failure> {
    let (current, form) = (form.current, form.form);
    let request = match (purposes(&form), Address::parse(&form.recipient)) {
        (_, None) => return again(&current, &state, Entered::Ask(form), Trouble::Address).await,
        (purposes, Some(_)) if purposes.is_empty() => {
            return again(&current, &state, Entered::Ask(form), Trouble::Purpose).await;
        }
        (purposes, Some(address)) => Request {
            address,
            purposes,
            scope: scope(&form.scope, current.id()).ok_or(Failure::NotFound)?,
        },
    };
    let mail = match request::preview(&state, &current.user, &request) {
        Err(RequestError::Unfit(unfit)) => {
            return again(&current, &state, Entered::Ask(form), Trouble::Unfit(unfit)).await;
        }
        mail => mail.map_err(asking_failed)?,
    };
    if form.send.is_some() {
        send(&state, &current, &request).await?;
        return Ok(see("/contacts?done=asked"));
    }
    let preview = Preview {
        subject: mail.subject,
        text: mail.text,
    };
    let asked = Asked::default();
    let entered = Entered::Ask(form);
    render(&current, &state, &asked, entered, Some(preview), None).await
}

/// `POST /contacts/attest`
///
/// # Errors
///
/// Fails if the form came from elsewhere, or the database does not answer.
pub async fn attest(state: Data<State>, form: CheckedForm<Form>) -> Result<HttpResponse, Failure> {
    let (current, form) = (form.current, form.form);
    let Some(address) = Address::parse(&form.recipient) else {
        return again(&current, &state, Entered::Attest(form), Trouble::Address).await;
    };
    let Some(given_at) = moment::read(&form.given_at) else {
        return again(
            &current,
            &state,
            Entered::Attest(form),
            Trouble::Unfit(Unfit::TooOld),
        )
        .await;
    };
    let attestation = Attestation {
        address,
        purposes: purposes(&form),
        scope: scope(&form.scope, current.id()).ok_or(Failure::NotFound)?,
        given_at,
        channel: form.channel.clone(),
        evidence: form.evidence.clone(),
        notice: None,
        role_reason: None,
    };
    let books = crate::recipient::choose::Books {
        config: &state.config,
        controller: &current.controller,
        keys: &state.keys,
    };
    if let Err(unfit) = fitness::check(&attestation, books, Utc::now()) {
        return again(
            &current,
            &state,
            Entered::Attest(form),
            Trouble::Unfit(unfit),
        )
        .await;
    }
    write(&state, &current, &attestation).await?;
    Ok(see("/contacts?done=attested"))
}

enum Trouble {
    Address,
    Purpose,
    Unfit(Unfit),
}

/// What was entered, and in which of the forms.
enum Entered {
    Ask(Form),
    Attest(Form),
}

impl Entered {
    /// Returns both forms. What was chosen in one of them is no choice in the other.
    fn forms(self) -> (Form, Form) {
        match self {
            Self::Ask(form) => {
                let other = Form::to(&form.recipient);
                (form, other)
            }
            Self::Attest(form) => (Form::to(&form.recipient), form),
        }
    }
}

impl Form {
    /// Makes one in which nothing is said but whom it is about.
    fn to(recipient: &str) -> Self {
        Self {
            recipient: recipient.to_owned(),
            ..Self::default()
        }
    }
}

/// Shows the page with what was entered, and what is wrong with it.
async fn again(
    current: &CurrentUser,
    state: &State,
    entered: Entered,
    trouble: Trouble,
) -> Result<HttpResponse, Failure> {
    let t = &Texts::of(current.language()).contacts;
    let words = match trouble {
        Trouble::Address => t.no_address,
        Trouble::Purpose => t.no_purpose,
        Trouble::Unfit(unfit) => (t.unfit)(unfit),
    };
    let asked = Asked::default();
    render(current, state, &asked, entered, None, Some(words.into())).await
}

async fn render(
    current: &CurrentUser,
    state: &State,
    asked: &Asked,
    entered: Entered,
    preview: Option<Preview>,
    trouble: Option<String>,
) -> Result<HttpResponse, Failure> {
    let t = Texts::of(current.language());
    let (locale, now) = (locale(current), Utc::now());
    let mut connection = state.db.get().await?;
    let layout = frame(current, Place::Contacts, t.common.contacts, &mut connection).await?;
    let cursor = asked.before.as_deref().and_then(Cursor::decode);
    let before = cursor.map(|cursor| (cursor.sent_at, cursor.id));
    let search = asked.q.trim();
    let (ask, attest) = entered.forms();
    let found = page(current, state, search, before, PAGE, &mut connection).await?;
    drop(connection);
    let rows = found.contacts.into_iter().map(|contact| Row {
        is_tracked: contact.is_tracked,
        messages: locale.number(contact.messages),
        last: locale.time(contact.last_sent_at, now),
        last_full: locale.full_time(contact.last_sent_at),
        last_iso: contact.last_sent_at.to_rfc3339(),
        address: contact.address,
    });
    html(&Page {
        layout,
        t,
        csrf: current.csrf().into(),
        search: asked.q.clone(),
        rows: rows.collect(),
        older: found.next.map(|cursor| {
            let mut query = Serializer::new(String::from("/contacts?"));
            query
                .append_pair("q", search)
                .append_pair("before", &cursor);
            query.finish()
        }),
        is_first: asked.before.is_none(),
        done: match asked.done.as_deref() {
            Some("asked") => Some(t.contacts.sent),
            Some("attested") => Some(t.contacts.attested),
            _ => None,
        },
        trouble,
        preview,
        ask,
        attest,
        organisation: current.controller.name.clone(),
        today: now.with_timezone(&locale.zone).date_naive().to_string(),
    })
}

fn purposes(form: &Form) -> Vec<Purpose> {
    [
        (Purpose::Open, form.opens.is_some()),
        (Purpose::Click, form.clicks.is_some()),
    ]
    .into_iter()
    .filter(|(_, is_wanted)| *is_wanted)
    .map(|(purpose, _)| purpose)
    .collect()
}
