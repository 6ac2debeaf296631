// SPDX-License-Identifier: GPL-3.0-or-later
//! The database: PostgreSQL, through one pool for each program. Only this folder uses Diesel; it holds no rules.
//!
//! One file for each table: the row, `New…` for inserting, the queries. The connection is the last argument.

pub mod activity_feed;
pub mod acts;
mod address;
pub mod api_tokens;
pub mod arrivals;
pub mod audit;
pub mod breach;
pub mod consent_events;
pub mod consent_requests;
pub mod consent_retention;
pub mod contacts;
pub mod controllers;
pub mod copies;
pub mod counters;
pub mod digests;
pub mod erasures;
mod establish;
pub mod exchangers;
pub mod feed_keys;
pub mod hits;
pub mod idempotent_answers;
pub mod json;
pub mod links;
pub mod locks;
pub mod messages;
pub mod notices;
pub mod notifications;
pub mod notifications_feed;
pub mod observed;
pub mod overview;
pub mod partitions;
mod prepared;
pub mod recipient_links;
pub mod recordings;
mod registration;
pub mod report;
pub mod retention;
pub mod roles;
pub mod schema;
pub mod sessions;
pub mod settlements;
pub mod sign_in_links;
pub mod standings;
pub mod subjects;
pub mod suppressions;
pub mod survey;
pub mod users;
pub mod verdicts;
pub mod warnings;
pub mod webhook_deliveries;
pub mod webhooks;
pub mod withdrawals;

use std::time::Duration;

use diesel::{
    IntoSql, QueryResult, QueryableByName,
    migration::MigrationSource,
    pg::Pg,
    result::{ConnectionError, Error as DieselError},
    sql_types::{Integer, Nullable, Text},
};
use diesel_async::{
    AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
        deadpool::{Hook, HookError, Object, Pool, PoolError},
    },
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::config::{self, Part};

/// Why a query gave no answer.
pub use diesel::result::Error as QueryError;

/// A connection.
pub type Connection = AsyncPgConnection;

/// Gives a connection its `transaction`; re-exported so that callers need not name the library.
pub use diesel_async::AsyncConnection as Transactions;

/// A connection lent by the pool.
pub type Lent = Object<AsyncPgConnection>;

/// The schema's history, part of the program.
const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

/// A connection that was in use so recently is lent without a question whether it still answers.
const FRESH: Duration = Duration::from_millis(500);

/// The pool of connections to the database.
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncPgConnection>,
}

/// Why the database could not serve.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("failed to connect to the database")]
    Connect(#[from] ConnectionError),
    #[error("failed to bring the schema up to date: {0}")]
    Migrate(String),
    #[error("no connection to the database: {0}")]
    Pool(#[from] PoolError),
    #[error("the database refused")]
    Query(#[from] DieselError),
}

impl DbError {
    /// Tells whether the database refused what it was given, so that giving it again will not help; not that it was
    /// away, busy or read-only.
    pub fn is_refusal(&self) -> bool {
        use diesel::result::DatabaseErrorKind::{
            CheckViolation, ForeignKeyViolation, NotNullViolation,
        };
        matches!(
            self,
            Self::Query(DieselError::DatabaseError(
                CheckViolation | ForeignKeyViolation | NotNullViolation,
                _
            ))
        )
    }

    /// Tells whether the database cannot be spoken with or takes no writes, rather than answering one statement with an
    /// error: what one message says must not keep all others from it.
    pub fn is_outage(&self) -> bool {
        use diesel::result::DatabaseErrorKind as Kind;
        match self {
            Self::Query(DieselError::DatabaseError(kind, _)) => matches!(
                kind,
                Kind::ClosedConnection | Kind::ReadOnlyTransaction | Kind::UnableToSendCommand
            ),
            Self::Query(DieselError::NotFound) => false,
            Self::Connect(_) | Self::Migrate(_) | Self::Pool(_) | Self::Query(_) => true,
        }
    }
}

impl Db {
    /// Makes a pool for a program. Nothing is connected yet, so that it starts while its database is down.
    pub fn new(config: &config::Database, part: Part) -> Self {
        let url = config.url_of(part);
        let mut settings = ManagerConfig::default();
        settings.recycling_method = RecyclingMethod::Fast;
        settings.custom_setup = Box::new(|url| {
            let url = url.to_owned();
            Box::pin(async move { establish::establish(&url).await })
        });
        let manager = AsyncDieselConnectionManager::new_with_config(url, settings);
        let pool = Pool::builder(manager)
            .pre_recycle(Hook::async_fn(|connection: &mut Connection, metrics| {
                let is_fresh = metrics.last_used() < FRESH;
                Box::pin(async move {
                    if is_fresh {
                        return Ok(());
                    }
                    diesel::select(1.into_sql::<Integer>())
                        .execute(connection)
                        .await
                        .map(|_| ())
                        .map_err(|error| HookError::message(error.to_string()))
                })
            }))
            .max_size(config.connections.max(1))
            .create_timeout(Some(Duration::from_secs(5)))
            .wait_timeout(Some(Duration::from_secs(5)))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .expect("a pool with time limits needs a runtime, which is given above");
        Self { pool }
    }

    /// Lends a connection, waiting at most five seconds; callers with less time put their own limit around it.
    ///
    /// # Errors
    ///
    /// Fails if the database cannot be reached or all connections stay in use.
    pub async fn get(&self) -> Result<Lent, DbError> {
        Ok(self.pool.get().await?)
    }

    /// Throws a connection away: one whose question was cut short, and whose answer nobody knows.
    pub fn discard(lent: Lent) {
        drop(Object::take(lent));
    }
}

/// Tells whether a connection to another host would be in clear.
pub fn is_exposed(url: &str) -> bool {
    address::is_exposed(url)
}

/// Connects without a pool: for commands that ask once, and for listening.
///
/// # Errors
///
/// Fails if the database cannot be reached.
pub async fn connect(url: &str) -> Result<Connection, DbError> {
    Ok(establish::establish(url).await?)
}

/// Brings the schema up to date and returns the names of the migrations that ran. Needs a multi-threaded runtime, as the
/// two functions below do.
///
/// # Errors
///
/// Fails if the database cannot be reached or refuses a migration.
pub async fn migrate(url: &str) -> Result<Vec<String>, DbError> {
    let mut harness = AsyncMigrationHarness::new(connect(url).await?);
    let ran = harness
        .run_pending_migrations(MIGRATIONS)
        .map_err(|error| DbError::Migrate(error.to_string()))?;
    Ok(ran.iter().map(ToString::to_string).collect())
}

/// Undoes every migration, the newest first: for the test that checks that each can be undone.
///
/// # Errors
///
/// Fails if the database cannot be reached or refuses.
pub async fn revert_all(url: &str) -> Result<Vec<String>, DbError> {
    let mut harness = AsyncMigrationHarness::new(connect(url).await?);
    let undone = harness
        .revert_all_migrations(MIGRATIONS)
        .map_err(|error| DbError::Migrate(error.to_string()))?;
    Ok(undone.iter().map(ToString::to_string).collect())
}

/// Tells whether the database has the schema that this program needs; newer ones are fine.
///
/// # Errors
///
/// Fails if the database cannot be asked, or was never migrated.
pub async fn is_current(connection: &mut Connection) -> QueryResult<bool> {
    let newest =
        diesel::sql_query("SELECT max(version) AS version FROM __diesel_schema_migrations")
            .get_result::<Newest>(connection)
            .await?
            .version;
    let needed = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .map_err(DieselError::QueryBuilderError)?
        .iter()
        .map(|migration| migration.name().version().as_owned().to_string())
        .max();
    Ok(newest >= needed)
}

#[derive(QueryableByName)]
struct Newest {
    #[diesel(sql_type = Nullable<Text>)]
    version: Option<String>,
}

/// Returns the names of migrations that the database lacks; none means that it is up to date.
///
/// # Errors
///
/// Fails if the database cannot be reached.
pub async fn pending_migrations(url: &str) -> Result<Vec<String>, DbError> {
    let mut harness = AsyncMigrationHarness::new(connect(url).await?);
    let pending = harness
        .pending_migrations(MIGRATIONS)
        .map_err(|error| DbError::Migrate(error.to_string()))?;
    Ok(pending
        .iter()
        .map(|migration| migration.name().to_string())
        .collect())
}
