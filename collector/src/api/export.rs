// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /api/v1/export`: everything that is kept of a user, as one JSON document, streamed so that its length costs no
//! memory.

use actix_web::{
    HttpResponse,
    http::header::CONTENT_DISPOSITION,
    web::{Bytes, Data},
};
use common::{
    db::{
        notifications_feed::{self, Reading},
        report::{self as rows, Message, Wanted},
        users::User,
    },
    ids::MessageId,
    language::Language,
};
use futures_util::stream;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    message::{event, link},
    messages::MessageJson,
    notifications::NotificationJson,
};
use crate::{auth::CurrentUser, failure::Failure, state::State};

const MESSAGES: i64 = 20;
const NOTIFICATIONS: i64 = 500;
/// A message that was swept by machines has its newest hits in the export.
const HITS: i64 = 10_000;

struct Export {
    state: Data<State>,
    user: User,
    language: Language,
    stage: Stage,
}

enum Stage {
    Account,
    Messages { wanted: Wanted, is_first: bool },
    Notifications { after: i64, is_first: bool },
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
        language: current.language(),
        user: current.user,
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
                self.stage = Stage::Messages {
                    wanted: Wanted::default(),
                    is_first: true,
                };
                Ok(Some(format!(
                    "{{\"account\":{},\"messages\":[",
                    account(&self.user)
                )))
            }
            Stage::Messages { wanted, is_first } => self.messages(wanted, is_first).await.map(Some),
            Stage::Notifications { after, is_first } => {
                self.notifications(after, is_first).await.map(Some)
            }
            Stage::End => Ok(None),
        }
    }

    async fn messages(&mut self, mut wanted: Wanted, is_first: bool) -> Result<String, Failure> {
        let (controller, user) = (self.user.controller(), self.user.user_id());
        let mut connection = self.state.db.get().await?;
        let found = rows::messages(&controller, user, &wanted, MESSAGES, &mut connection).await?;
        let ids: Vec<Uuid> = found.iter().map(|message| message.id).collect();
        let mut recipients = rows::recipients(&controller, &ids, &mut connection).await?;
        let is_full = i64::try_from(found.len()).is_ok_and(|count| count == MESSAGES);
        wanted.before = found.last().map(|last| (last.sent_at, last.id));
        let mut items = Vec::with_capacity(found.len());
        for message in found {
            let id = MessageId(message.id);
            let links = rows::links(&controller, id, &mut connection).await?;
            let hits = rows::hits(&controller, id, HITS, &mut connection).await?;
            let recipients = recipients.remove(&id.0).unwrap_or_default();
            items.push(whole(message, recipients, &links, hits));
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
        let (controller, user) = (self.user.controller(), self.user.user_id());
        let mut connection = self.state.db.get().await?;
        let reading = Reading::After(after);
        let found =
            notifications_feed::read(&controller, user, reading, NOTIFICATIONS, &mut connection)
                .await?;
        let last = found.last().map_or(after, |last| last.id);
        let is_full = i64::try_from(found.len()).is_ok_and(|count| count == NOTIFICATIONS);
        let items = found
            .into_iter()
            .map(|row| json!(NotificationJson::new(row, self.language)));
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

fn account(user: &User) -> Value {
    json!({
        "id": user.id,
        "login": user.login,
        "display_name": user.display_name,
        "controller": user.controller_id,
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
    recipients: Vec<String>,
    links: &[rows::Link],
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
