//! The store and its settings.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use sqlx::SqlitePool;
use tokio::sync::Mutex;
use tower_audit_core::StoreError;

use super::{
    append::{OverRows, WHERE_PENDING},
    error::meaning,
};
use crate::{
    columns::WRITTEN,
    error::store_error,
    query::Extras,
    table::{DEFAULT_TABLE, Identifier, IdentifierError, Indexes},
};

/// Keeps and reads events in a SQLite table; cheap to clone.
///
/// Use a file in WAL mode (`SqliteConnectOptions::journal_mode`), so that readers do not block the
/// writer, and best a pool of its own: handlers that hold all connections of a shared one while they
/// wait for their event make both wait. Of an in-memory database each connection has its own: give such a pool one connection
/// that never ends.
#[derive(Clone)]
pub struct SqliteStore {
    pub(super) pool: SqlitePool,
    pub(super) sql: Arc<Statements>,
}

/// The statements, with the name of the table in them.
pub(super) struct Statements {
    pub(super) table: Identifier,
    pub(super) indexes: Indexes,
    pub(super) inserts: OverRows,
    pub(super) completions: OverRows,
    pub(super) restore: String,
    pub(super) reap: String,
    /// Whose turn it is to write.
    pub(super) turn: Arc<Mutex<()>>,
    /// The name of the table, quoted.
    pub(super) name: String,
    pub(super) next_order: String,
    /// The columns of an event.
    pub(super) selected: String,
    /// Which indexes there are, once somebody asked.
    pub(super) extras: OnceLock<Extras>,
}

impl SqliteStore {
    /// Returns the store in `audit_logs`.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        let table = Identifier::known(DEFAULT_TABLE);
        Self {
            pool,
            sql: Arc::new(Statements::new(table, Indexes::default())),
        }
    }

    /// Returns a builder.
    pub fn builder(pool: SqlitePool) -> SqliteStoreBuilder {
        SqliteStoreBuilder {
            pool,
            table: DEFAULT_TABLE.to_owned(),
            indexes: Indexes::default(),
        }
    }

    /// Returns the pool.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    pub(crate) fn name(&self) -> &Identifier {
        &self.sql.table
    }

    pub(crate) fn indexes(&self) -> Indexes {
        self.sql.indexes
    }

    /// Says what an error means; asks the catalog whether the table is there.
    pub(super) async fn store_error(&self, error: sqlx::Error) -> StoreError {
        let is_missing = matches!(self.has_table().await, Ok(false));
        store_error(error, |code| meaning(code, is_missing))
    }

    pub(super) async fn has_table(&self) -> sqlx::Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE)")
            .bind(self.sql.table.as_str())
            .fetch_one(&self.pool)
            .await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("table", &self.sql.table)
            .finish_non_exhaustive()
    }
}

impl Statements {
    fn new(table: Identifier, indexes: Indexes) -> Self {
        let name = table.as_str();
        let next_order = format!(
            r#"SELECT coalesce(max(write_order), 0) + 1 FROM "{name}" WHERE write_order IS NOT NULL"#
        );
        Self {
            inserts: OverRows::new(
                &format!(r#"INSERT INTO "{name}" ({WRITTEN}, write_order)"#),
                "ON CONFLICT DO NOTHING",
                &next_order,
            ),
            completions: OverRows::new(
                &format!(r#"UPDATE "{name}" AS was {COMPLETE} FROM ("#),
                WHERE_PENDING,
                &next_order,
            ),
            turn: Arc::default(),
            restore: format!(
                r#"INSERT INTO "{name}" ({WRITTEN}, recorded_at, write_order) VALUES ({}coalesce(?, {NOW}), ?) ON CONFLICT DO NOTHING"#,
                "?, ".repeat(WRITTEN.split(", ").count())
            ),
            reap: REAP.replace("{name}", name),
            next_order,
            selected: format!("{WRITTEN}, recorded_at"),
            extras: OnceLock::new(),
            name: format!(r#""{name}""#),
            table,
            indexes,
        }
    }
}

/// Configures a [`SqliteStore`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SqliteStoreBuilder {
    pool: SqlitePool,
    table: String,
    indexes: Indexes,
}

impl SqliteStoreBuilder {
    /// Sets the table. Defaults to `audit_logs`.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Sets which indexes [`migrate`](crate::migrate) makes. Defaults to [`Indexes::Lean`]. Going
    /// back to `Lean` later drops none.
    pub fn indexes(mut self, indexes: Indexes) -> Self {
        self.indexes = indexes;
        self
    }

    /// Returns the store. Does not connect.
    ///
    /// # Errors
    ///
    /// Returns an error if the table is not an identifier.
    pub fn build(self) -> Result<SqliteStore, IdentifierError> {
        let table = Identifier::parse("table", &self.table)?;
        Ok(SqliteStore {
            pool: self.pool,
            sql: Arc::new(Statements::new(table, self.indexes)),
        })
    }
}

/// What the end of a request may change of its pending row. The rest was known when it arrived, and so
/// was an actor who was not anonymous. The numbers are those of the columns of
/// [`WRITTEN`](crate::columns::WRITTEN).
const COMPLETE: &str = "SET action = new.column4, target_type = new.column5, target_id = new.column6, \
     metadata = new.column7, outcome = new.column11, reason = new.column12, status = new.column13, \
     route = new.column15, duration_us = new.column17, request_id = new.column18, tenant_id = new.column20, \
     captured = new.column27, write_order = new.column28, \
     actor_id = iif(was.actor_type = 'anonymous', new.column2, was.actor_id), \
     actor_type = iif(was.actor_type = 'anonymous', new.column3, was.actor_type), \
     actor_name = iif(was.actor_type = 'anonymous' OR (was.actor_type, was.actor_id) = (new.column3, new.column2), new.column21, was.actor_name), \
     auth_method = iif(was.actor_type = 'anonymous' OR (was.actor_type, was.actor_id) = (new.column3, new.column2), new.column22, was.auth_method), \
     credential_id = iif(was.actor_type = 'anonymous' OR (was.actor_type, was.actor_id) = (new.column3, new.column2), new.column23, was.credential_id), \
     on_behalf_of = iif(was.actor_type = 'anonymous' OR (was.actor_type, was.actor_id) = (new.column3, new.column2), new.column24, was.on_behalf_of)";

/// The moment of a statement, in microseconds, as the table has it by default.
const NOW: &str = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)";

const REAP: &str = r#"UPDATE "{name}" SET outcome = 'unknown', reason = 'never_completed',
        write_order = (SELECT coalesce(max(write_order), 0) + 1 FROM "{name}" WHERE write_order IS NOT NULL)
    WHERE outcome = 'pending' AND id IN
        (SELECT id FROM "{name}" WHERE outcome = 'pending' AND created_at < ? ORDER BY created_at LIMIT 1000)"#;
