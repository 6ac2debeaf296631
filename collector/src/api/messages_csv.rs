// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /api/v1/messages.csv`: the report as a table, streamed page by page, so that its length costs no memory.

use actix_web::{
    HttpResponse,
    http::header::CONTENT_DISPOSITION,
    web::{Bytes, Data, Query},
};
use chrono::{DateTime, SecondsFormat, Utc};
use common::{
    db::report::{self as rows, Message, Wanted},
    ids::{ControllerId, UserId},
};
use futures_util::stream;
use uuid::Uuid;

use super::messages::{Asked, limit, wanted};
use crate::{auth::CurrentUser, failure::Failure, report::status, state::State};

const PAGE: i64 = 500;

const COLUMNS: [&str; 16] = [
    "id",
    "message_id",
    "subject",
    "recipients",
    "sent_at",
    "opens",
    "links",
    "reason",
    "status",
    "open_count",
    "first_open_at",
    "last_open_at",
    "click_count",
    "first_click_at",
    "last_click_at",
    "automatic_count",
];

struct Export {
    state: Data<State>,
    controller: ControllerId,
    user: UserId,
    wanted: Wanted,
}

/// `GET /api/v1/messages.csv`
///
/// # Errors
///
/// Fails if what is asked for makes no sense. If the database fails later, the table ends there, and so does the
/// connection.
pub async fn show(
    current: CurrentUser,
    state: Data<State>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    // Asked for as the list is; a table goes on to its end.
    limit(&asked)?;
    let export = Export {
        state,
        controller: current.controller_id().clone(),
        user: current.id(),
        wanted: wanted(&asked)?,
    };
    let head = table(|table| table.write_record(COLUMNS))?;
    let body = stream::try_unfold((Some(export), Some(head)), |(export, head)| async move {
        if let Some(head) = head {
            return Ok::<_, Failure>(Some((head, (export, None))));
        }
        let Some(export) = export else {
            return Ok(None);
        };
        let (bytes, export) = export.next().await?;
        Ok(Some((bytes, (export, None))))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((
            CONTENT_DISPOSITION,
            "attachment; filename=\"fairtrack-messages.csv\"",
        ))
        .streaming(Box::pin(body)))
}

impl Export {
    /// Returns the next rows, and the rest if there may be more.
    async fn next(mut self) -> Result<(Bytes, Option<Self>), Failure> {
        let mut connection = self.state.db.get().await?;
        let found = rows::messages(
            &self.controller,
            self.user,
            &self.wanted,
            PAGE,
            &mut connection,
        )
        .await?;
        let ids: Vec<Uuid> = found.iter().map(|message| message.id).collect();
        let mut recipients = rows::recipients(&self.controller, &ids, &mut connection).await?;
        drop(connection);
        let bytes = table(|table| {
            found.iter().try_for_each(|message| {
                let recipients = recipients.remove(&message.id).unwrap_or_default();
                table.write_record(row(message, &recipients))
            })
        })?;
        let is_full = i64::try_from(found.len()).is_ok_and(|count| count == PAGE);
        self.wanted.before = found.last().map(|last| (last.sent_at, last.id));
        Ok((bytes, is_full.then_some(self)))
    }
}

fn row(message: &Message, recipients: &[String]) -> [String; 16] {
    [
        message.id.to_string(),
        harmless(message.message_id_header.clone().unwrap_or_default()),
        harmless(message.subject.clone()),
        harmless(recipients.join(" ")),
        time(Some(message.sent_at)),
        message.opens.to_string(),
        message.links.to_string(),
        message.reason.clone().unwrap_or_default(),
        status(message).code().into(),
        message.open_count.to_string(),
        time(message.first_open_at),
        time(message.last_open_at),
        message.click_count.to_string(),
        time(message.first_click_at),
        time(message.last_click_at),
        message.automatic_count.to_string(),
    ]
}

/// Spreadsheets take text that begins like a formula for one.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    }
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
        .unwrap_or_default()
}

fn table(
    write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>,
) -> Result<Bytes, Failure> {
    let mut table = csv::Writer::from_writer(Vec::new());
    write(&mut table)
        .ok()
        .and_then(|()| table.into_inner().ok())
        .map(Bytes::from)
        .ok_or(Failure::Internal("a table was not written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_defused() {
        assert_eq!(harmless("=1+1".into()), "'=1+1");
        assert_eq!(harmless("1+1".into()), "1+1");
    }
}
