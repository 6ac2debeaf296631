// SPDX-License-Identifier: GPL-3.0-or-later
//! `GET /api/v1/notifications/stream`: server-sent events. `notification` carries one, `unread` the number of unread ones,
//! `activity` says that something else changed.
//!
//! A client that comes back names the last one that it saw (`Last-Event-ID`) and gets what it missed. A stream ends after
//! a quarter of an hour, so that one of a session that ended does not go on; clients connect again by themselves.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data},
};
use common::{
    db::notifications_feed::{self, Reading},
    ids::{ControllerId, UserId},
    language::Language,
};
use futures_util::{Stream, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast},
    time::Instant,
};

use super::notifications::NotificationJson;
use crate::{auth::CurrentUser, failure::Failure, live::Whose, state::State};

/// More streams than this at once are refused by one collector; pages go on without.
static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(10_000)));

const LIFE: Duration = Duration::from_secs(15 * 60);
/// A sign of life, so that proxies keep the connection; and a look into the database, in case that nobody told.
const PULSE: Duration = Duration::from_secs(15);
/// The most that a client gets that comes back after a long time.
const MISSED: i64 = 200;
/// The release before gives numbers without waiting for those given before: while it is still running, a lower one may
/// appear after a higher one. So far back we look again.
const OVERLAP: i64 = 50;

struct Feed {
    state: Data<State>,
    controller: ControllerId,
    user: UserId,
    language: Language,
    woken: broadcast::Receiver<Whose>,
    sent: BTreeSet<i64>,
    newest: i64,
    unread: Option<i64>,
    stage: Stage,
    ends: Instant,
    _room: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    /// Nothing was sent yet.
    Fresh,
    Waiting,
}

/// `GET /api/v1/notifications/stream`
///
/// # Errors
///
/// Fails if too many streams are open, or the database does not answer.
pub async fn show(
    request: HttpRequest,
    current: CurrentUser,
    state: Data<State>,
) -> Result<HttpResponse, Failure> {
    let room = Arc::clone(&ROOM)
        .try_acquire_owned()
        .map_err(|_full| Failure::TooOften)?;
    let woken = state.live.subscribe();
    let (controller, user) = (current.controller_id().clone(), current.id());
    let last = request
        .headers()
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut connection = state.db.get().await?;
    let newest = match last {
        Some(last) => last,
        None => notifications_feed::newest(&controller, user, &mut connection).await?,
    };
    let before = Reading::Before(newest.saturating_add(1));
    let seen =
        notifications_feed::read(&controller, user, before, OVERLAP, &mut connection).await?;
    drop(connection);
    let feed = Feed {
        language: current.language(),
        controller,
        user,
        woken,
        sent: seen.iter().map(|row| row.id).collect(),
        newest,
        unread: None,
        stage: Stage::Fresh,
        ends: Instant::now() + LIFE,
        state,
        _room: room,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        // Proxies that gather answers would hold events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(events(feed))))
}

fn events(feed: Feed) -> impl Stream<Item = Result<Bytes, Failure>> {
    stream::try_unfold(feed, |mut feed| async move {
        loop {
            let mut is_told = false;
            if feed.stage == Stage::Waiting {
                if Instant::now() >= feed.ends {
                    return Ok(None);
                }
                is_told = feed.wait().await;
            }
            let text = feed.news(is_told).await?;
            if !text.is_empty() {
                return Ok(Some((Bytes::from(text), feed)));
            }
        }
    })
}

impl Feed {
    /// Waits until something happened to this user's data, or for a pulse; tells whether something did.
    async fn wait(&mut self) -> bool {
        let pulse = tokio::time::sleep(PULSE);
        tokio::pin!(pulse);
        loop {
            tokio::select! {
                () = &mut pulse => return false,
                told = self.woken.recv() => match told {
                    Ok((controller, user)) if controller == self.controller && user == self.user => return true,
                    Ok(_) => {}
                    // Too much happened to others meanwhile: look.
                    Err(broadcast::error::RecvError::Lagged(_)) => return true,
                    Err(broadcast::error::RecvError::Closed) => {
                        pulse.as_mut().await;
                        return false;
                    }
                },
            }
        }
    }

    /// Reads what is new and writes it as events.
    async fn news(&mut self, is_told: bool) -> Result<String, Failure> {
        let is_first = self.stage == Stage::Fresh;
        self.stage = Stage::Waiting;
        let mut connection = self.state.db.get().await?;
        let from = Reading::After(self.newest.saturating_sub(OVERLAP));
        let limit = MISSED + OVERLAP;
        let rows =
            notifications_feed::read(&self.controller, self.user, from, limit, &mut connection)
                .await?;
        let unread =
            notifications_feed::unread(&self.controller, self.user, &mut connection).await?;
        drop(connection);

        let mut text = String::new();
        if is_first {
            text.push_str("retry: 3000\n\n");
        }
        let mut has_news = false;
        for row in rows {
            if !self.sent.insert(row.id) {
                continue;
            }
            has_news = true;
            self.newest = self.newest.max(row.id);
            let id = self.newest;
            let json = serde_json::to_string(&NotificationJson::new(row, self.language))
                .map_err(|_unwritable| Failure::Internal("an event was not written"))?;
            text.push_str(&format!("id: {id}\nevent: notification\ndata: {json}\n\n"));
        }
        while self.sent.len() > 1000 {
            self.sent.pop_first();
        }
        if self.unread != Some(unread) {
            self.unread = Some(unread);
            text.push_str(&format!("event: unread\ndata: {unread}\n\n"));
        }
        if is_told && !has_news {
            text.push_str("event: activity\ndata: {}\n\n");
        }
        if text.is_empty() {
            text.push_str(": still here\n\n");
        }
        Ok(text)
    }
}
