// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /api/v1/export`: everything that is kept of a user, as one JSON document, streamed so that its length costs no
//! memory. No secret is in it, because none is kept.
//!
//! What the user stated or asked about recipients is left out: it belongs to their proof, and what is missing there would
//! tell of a refusal.

use actix_web::{
    HttpResponse,
    http::header::CONTENT_DISPOSITION,
    web::{Bytes, Data},
};
use chrono::{DateTime, Utc};
use common::{
    db::{
        Connection, api_tokens, digests, feed_keys, idempotent_answers, links,
        notifications_feed::{self, Reading},
        report::{self as rows, Message, Wanted},
        sessions, sign_in_links,
        users::User,
        webhook_deliveries, webhooks,
    },
    ids::MessageId,
};
use futures_util::stream;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    contacts::contact,
    message::{event, link},
    messages::{MessageJson, known_cursor},
    notifications::NotificationJson,
    tokens::TokenJson,
    webhooks::{DeliveryJson, WebhookJson},
};
use crate::{auth::CurrentUser, contacts, failure::Failure, state::State};

const CONTACTS: usize = 200;
const MESSAGES: i64 = 20;
const NOTIFICATIONS: i64 = 500;
/// A message that was swept by machines has its newest hits in the export.
const HITS: i64 = 10_000;
/// A webhook has no more deliveries than its user has notifications.
const DELIVERIES: i64 = 100_000;

struct Export {
    state: Data<State>,
    current: CurrentUser,
    stage: Stage,
}

enum Stage {
    Account,
    Contacts {
        before: Option<(DateTime<Utc>, Uuid)>,
        is_first: bool,
    },
    Messages {
        wanted: Wanted,
        is_first: bool,
    },
    Notifications {
        after: i64,
        is_first: bool,
    },
    End,
}

/// `GET /api/v1/export`
///
/// # Errors
///
/// Fails if nobody is signed in. If the database fails later, the document ends there, and so does the connection.
pub async fn show(current: CurrentUser, state: Data<State>) -> Result<HttpResponse, Failure> {
    let export = Export {
        state,
        current,
        stage: Stage::Account,
    };
    let body = stream::try_unfold(export, |mut export| async move {
        let piece = export.next().await?;
        Ok::<_, Failure>(piece.map(|piece| (Bytes::from(piece), export)))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((
            CONTENT_DISPOSITION,
            "attachment; filename=\"fairtrack-export.json\"",
        ))
        .streaming(Box::pin(body)))
}

impl Export {
    async fn next(&mut self) -> Result<Option<String>, Failure> {
        match std::mem::replace(&mut self.stage, Stage::End) {
            Stage::Account => {
                let mut connection = self.state.db.get().await?;
                let account = whole_account(&self.current, &mut connection).await?;
                self.stage = Stage::Contacts {
                    before: None,
                    is_first: true,
                };
                // Its end is left open: lists follow.
                let account = Value::Object(account).to_string();
                let open = account.strip_suffix('}').unwrap_or(&account);
                Ok(Some(format!("{open},\"contacts\":[")))
            }
            Stage::Contacts { before, is_first } => self.contacts(before, is_first).await.map(Some),
            Stage::Messages { wanted, is_first } => self.messages(wanted, is_first).await.map(Some),
            Stage::Notifications { after, is_first } => {
                self.notifications(after, is_first).await.map(Some)
            }
            Stage::End => Ok(None),
        }
    }

    async fn contacts(
        &mut self,
        before: Option<(DateTime<Utc>, Uuid)>,
        is_first: bool,
    ) -> Result<String, Failure> {
        let mut connection = self.state.db.get().await?;
        let page = contacts::page(
            &self.current,
            &self.state,
            "",
            before,
            CONTACTS,
            &mut connection,
        )
        .await?;
        let mut piece = joined(page.contacts.iter().map(contact), is_first);
        self.stage = if let Some(next) = page.next {
            Stage::Contacts {
                before: Some(known_cursor(&next)?),
                is_first: false,
            }
        } else {
            piece.push_str("],\"messages\":[");
            Stage::Messages {
                wanted: Wanted::default(),
                is_first: true,
            }
        };
        Ok(piece)
    }

    async fn messages(&mut self, mut wanted: Wanted, is_first: bool) -> Result<String, Failure> {
        let (controller, user) = (self.current.user.controller(), self.current.id());
        let mut connection = self.state.db.get().await?;
        let found = rows::messages(&controller, user, &wanted, MESSAGES, &mut connection).await?;
        let ids: Vec<Uuid> = found.iter().map(|message| message.id).collect();
        let mut recipients = rows::recipients(&controller, &ids, &mut connection).await?;
        let is_full = i64::try_from(found.len()).is_ok_and(|count| count == MESSAGES);
        wanted.before = found.last().map(|last| (last.sent_at, last.id));
        let mut items = Vec::with_capacity(found.len());
        for message in found {
            let id = MessageId(message.id);
            let record = rows::message(&controller, user, id, &mut connection)
                .await?
                .and_then(|(_, record)| record);
            let links = links::of_message(&controller, id, &mut connection).await?;
            let hits = rows::hits(&controller, id, HITS, &mut connection).await?;
            let recipients = recipients.remove(&id.0).unwrap_or_default();
            items.push(whole(message, record, recipients, &links, hits));
        }
        let mut piece = joined(items, is_first);
        if is_full {
            self.stage = Stage::Messages {
                wanted,
                is_first: false,
            };
        } else {
            piece.push_str("],\"notifications\":[");
            self.stage = Stage::Notifications {
                after: 0,
                is_first: true,
            };
        }
        Ok(piece)
    }

    async fn notifications(&mut self, after: i64, is_first: bool) -> Result<String, Failure> {
        let (controller, user) = (self.current.user.controller(), self.current.id());
        let mut connection = self.state.db.get().await?;
        let reading = Reading::After(after);
        let found =
            notifications_feed::read(&controller, user, reading, NOTIFICATIONS, &mut connection)
                .await?;
        let last = found.last().map_or(after, |last| last.id);
        let is_full = i64::try_from(found.len()).is_ok_and(|count| count == NOTIFICATIONS);
        let language = self.current.language();
        let items = found
            .into_iter()
            .map(|row| json!(NotificationJson::new(row, language)));
        let mut piece = joined(items, is_first);
        if is_full {
            self.stage = Stage::Notifications {
                after: last,
                is_first: false,
            };
        } else {
            piece.push_str("]}\n");
        }
        Ok(piece)
    }
}

/// Returns everything that is short: the account and what it opens and is told by.
async fn whole_account(
    current: &CurrentUser,
    connection: &mut Connection,
) -> Result<Map<String, Value>, Failure> {
    let (controller, user) = (current.controller_id(), current.id());
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| all.insert(name.into(), value);
    add("account", account(&current.user));
    let sessions = sessions::of_user(controller, user, Utc::now(), connection).await?;
    let sessions = sessions.into_iter().map(|row| {
        json!({"created_at": row.created_at, "seen_at": row.seen_at, "expires_at": row.expires_at})
    });
    add("sessions", sessions.collect());
    let links = sign_in_links::of_login(controller, &current.user.login, connection).await?;
    let links = links.into_iter().map(|(created_at, expires_at, used_at)| {
        json!({"created_at": created_at, "expires_at": expires_at, "used_at": used_at})
    });
    add("sign_in_links", links.collect());
    let tokens = api_tokens::of_user(controller, user, connection).await?;
    let tokens = tokens
        .into_iter()
        .map(|row| json!(TokenJson::new(row, None)));
    add("tokens", tokens.collect());
    let feed = feed_keys::of_user(controller, user, connection).await?;
    let feed = feed.map(|(created, used)| json!({"created_at": created, "used_at": used}));
    add("feed", feed.into());
    let digest = digests::of_user(controller, user, connection).await?;
    let digest = digest.map(|(day, told_until)| json!({"day": day, "told_until": told_until}));
    add("digest", digest.into());
    let requests = idempotent_answers::of_user(controller, user, connection).await?;
    let requests = requests.into_iter().map(
        |(name, claimed_at, status)| json!({"name": name, "at": claimed_at, "status": status}),
    );
    add("requests", requests.collect());
    let hours = rows::hours(controller, user, DateTime::UNIX_EPOCH, connection).await?;
    let hours = hours.into_iter().map(|row| {
        json!({"hour": row.hour, "opens": row.opens, "clicks": row.clicks, "automatic": row.automatic})
    });
    add("activity", hours.collect());
    let mut hooks = Vec::new();
    for row in webhooks::of_user(controller, user, connection).await? {
        let deliveries = webhook_deliveries::of_webhook(&row, DELIVERIES, connection).await?;
        let deliveries = deliveries.into_iter().map(DeliveryJson::from).collect();
        hooks.push(json!(WebhookJson::new(row).with_deliveries(deliveries)));
    }
    add("webhooks", hooks.into());
    Ok(all)
}

fn account(user: &User) -> Value {
    json!({
        "id": user.id,
        "login": user.login,
        "display_name": user.display_name,
        "controller": user.controller_id,
        "enabled": user.enabled,
        "is_admin": user.is_admin,
        "opens": user.opens,
        "links": user.links,
        "text_links": user.text_links,
        "notifications": user.notifications,
        "digest": user.digest,
        "remember_choice": user.remember_choice,
        "language": user.language,
        "time_zone": user.time_zone,
    })
}

fn whole(
    message: Message,
    record: Option<Value>,
    recipients: Vec<String>,
    links: &[links::Link],
    hits: Vec<rows::Hit>,
) -> Value {
    let mut item = json!(MessageJson::new(message, recipients));
    if let Value::Object(item) = &mut item {
        let by_ordinal = links.iter().map(|link| (link.ordinal, link)).collect();
        let events: Vec<_> = hits
            .into_iter()
            .rev()
            .map(|hit| event(hit, &by_ordinal, None))
            .collect();
        let links: Vec<_> = links.iter().map(link).collect();
        item.insert("events".into(), json!(events));
        item.insert("links".into(), json!(links));
        item.insert("record".into(), record.into());
    }
    item
}

fn joined(items: impl IntoIterator<Item = Value>, is_first: bool) -> String {
    let mut text = String::new();
    for item in items {
        if !(is_first && text.is_empty()) {
            text.push(',');
        }
        text.push_str(&item.to_string());
    }
    text
}
