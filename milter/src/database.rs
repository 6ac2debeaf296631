// SPDX-License-Identifier: GPL-3.0-or-later
//! The database, as mail may use it: never waited for while it is known to be down.
//!
//! Design note: a circuit breaker. One failure, or one question that the deadline cut short, and every further question
//! fails at once; a task of its own, and no message, tries once a second whether the database is back. An error that the
//! database answers with is none: else a message that it refuses would keep all others from being tracked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::db::{Connection, Db, DbError, Lent};

const RETRY: Duration = Duration::from_secs(1);

/// The longest that one try may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database behind its breaker.
#[derive(Clone)]
pub(crate) struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    is_down: AtomicBool,
}

/// The database cannot serve now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("the database is down")]
    Down,
    #[error(transparent)]
    Failed(#[from] DbError),
}

/// A connection on loan. Dropped before [`Loan::settle`], as when the deadline cuts a question short, it counts as a
/// failure.
pub(crate) struct Loan {
    lent: Option<Lent>,
    database: Database,
    is_settled: bool,
}

impl Unavailable {
    /// Tells whether what was asked for is sure not to have happened, nor to happen yet.
    pub(crate) fn is_sure(&self) -> bool {
        match self {
            Self::Down => true,
            Self::Failed(error) => !error.is_outage(),
        }
    }
}

impl Database {
    /// Takes the pool. The database is taken to be up.
    pub(crate) fn new(db: Db) -> Self {
        Self {
            shared: Arc::new(Shared {
                db,
                is_down: AtomicBool::new(false),
            }),
        }
    }

    /// Lends a connection.
    ///
    /// # Errors
    ///
    /// Fails at once while the database is down, and if there is no connection.
    pub(crate) async fn lend(&self) -> Result<Loan, Unavailable> {
        if self.is_down() {
            return Err(Unavailable::Down);
        }
        let mut loan = Loan {
            lent: None,
            database: self.clone(),
            is_settled: false,
        };
        loan.lent = Some(self.shared.db.get().await?);
        Ok(loan)
    }

    /// Tells whether questions fail at once.
    pub(crate) fn is_down(&self) -> bool {
        self.shared.is_down.load(Ordering::Acquire)
    }

    fn open_breaker(&self) {
        if self.shared.is_down.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!("the database does not answer: mail leaves untouched until it does");
        let shared = Arc::clone(&self.shared);
        // Outside a runtime there is nobody to ask either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { shared.wait_until_up().await });
        }
    }
}

impl Shared {
    async fn wait_until_up(&self) {
        loop {
            tokio::time::sleep(RETRY).await;
            // The pool tries a connection before it lends it.
            let lent = tokio::time::timeout(PATIENCE, self.db.get()).await;
            if matches!(lent, Ok(Ok(_))) {
                break;
            }
        }
        self.is_down.store(false, Ordering::Release);
        tracing::warn!("the database answers again");
    }
}

impl Loan {
    /// Returns the connection.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        self.lent
            .as_mut()
            .expect("a loan is handed out with its connection, and gives it back when it ends")
    }

    /// Gives the connection back and passes the answer on.
    ///
    /// # Errors
    ///
    /// Fails if the answer is an error; one of the database itself opens the breaker.
    pub(crate) fn settle<T>(
        mut self,
        answer: Result<T, impl Into<DbError>>,
    ) -> Result<T, Unavailable> {
        let answer = answer.map_err(Into::into);
        self.is_settled = !answer.as_ref().is_err_and(DbError::is_outage);
        if let Err(error) = &answer
            && self.is_settled
        {
            tracing::error!("the database answers with an error: {}", cause(error));
        }
        Ok(answer?)
    }
}

/// The database's own words: never its details, which quote what was sent.
fn cause(error: &DbError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        if let Some(lent) = self.lent.take() {
            Db::discard(lent);
        }
        self.database.open_breaker();
    }
}

#[cfg(test)]
mod tests {
    use common::config;

    use super::*;

    fn unreachable() -> Database {
        Database::new(Db::new(
            &config::Database {
                // A port that nothing listens on: connecting fails at once.
                url: "postgres://nobody@127.0.0.1:1/nothing".to_owned().into(),
                ..config::Database::default()
            },
            config::Part::Milter,
        ))
    }

    #[tokio::test]
    async fn after_one_failure_nobody_waits() {
        let database = unreachable();

        let first = database.lend().await;
        let second = database.lend().await;

        assert!(matches!(first, Err(Unavailable::Failed(_))));
        assert!(matches!(second, Err(Unavailable::Down)));
    }

    #[tokio::test]
    async fn question_cut_short_counts_as_a_failure() {
        let database = unreachable();

        drop(Loan {
            lent: None,
            database: database.clone(),
            is_settled: false,
        });

        assert!(database.is_down());
    }
}
