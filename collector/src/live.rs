// SPDX-License-Identifier: GPL-3.0-or-later
//! What happens to a user's data, told at once to that user's open pages, whichever collector they are connected to.
//!
//! The database says that something happened (`NOTIFY`, from a trigger) and to whom; each collector listens on one
//! connection and wakes the streams it serves, which then read. If listening fails, streams still look every few
//! seconds.

use std::{sync::Arc, time::Duration};

use common::{
    db::{self, DbError},
    ids::{ControllerId, UserId},
};
use futures_util::StreamExt;
use tokio::sync::broadcast;
use uuid::Uuid;

/// Whose data changed.
pub type Whose = (ControllerId, UserId);

/// Wakes streams; cheap to clone.
#[derive(Clone)]
pub struct Live {
    sender: Arc<broadcast::Sender<Whose>>,
}

impl Default for Live {
    fn default() -> Self {
        // A stream that lags this far behind is told so, and looks.
        let (sender, _nobody_yet) = broadcast::channel(1024);
        Self {
            sender: Arc::new(sender),
        }
    }
}

impl Live {
    /// Returns a receiver of what happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Whose> {
        self.sender.subscribe()
    }

    /// Wakes jobs of this program that wait for something to happen.
    pub fn wake(&self) {
        // Nobody has this name, so no stream takes it for its own.
        let nobody = (ControllerId(String::new()), UserId(Uuid::nil()));
        let _nobody_listens = self.sender.send(nobody);
    }

    /// Listens for as long as the program runs, connecting again whenever the connection breaks.
    pub async fn listen(self, url: String) {
        loop {
            match self.listen_once(&url).await {
                Ok(()) => tracing::debug!("the database ended the connection that listens"),
                Err(error) => tracing::warn!(%error, "not listening to the database; trying again"),
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    async fn listen_once(&self, url: &str) -> Result<(), DbError> {
        let mut connection = db::connect(url).await?;
        let mut told = std::pin::pin!(db::activity_feed::listen(&mut connection).await?);
        while let Some(payload) = told.next().await {
            if let Some(whose) = parse(&payload?) {
                // Nobody may have a page open.
                let _nobody_listens = self.sender.send(whose);
            }
        }
        Ok(())
    }
}

fn parse(payload: &str) -> Option<Whose> {
    let (controller, user) = payload.split_once(' ')?;
    Some((
        ControllerId(controller.into()),
        UserId(Uuid::parse_str(user).ok()?),
    ))
}
