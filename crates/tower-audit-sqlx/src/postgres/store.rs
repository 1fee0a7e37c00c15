//! The store and its settings.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::PgPool;

use super::{partitions::Layout, statements::Statements};
use crate::table::{DEFAULT_TABLE, Identifier, IdentifierError, Indexes};

/// Keeps and reads events in a Postgres table; cheap to clone.
///
/// Its user needs USAGE on the schema and INSERT on the table; for routes in `Strict` mode, and to read,
/// also SELECT, and for `Strict` UPDATE. The pool is best one of its own, of three connections: one that
/// handlers take all of, and that they hold while they wait for their event, makes both wait.
///
/// Needs PostgreSQL 13 or later. sqlx prepares statements under names: a pooler in transaction mode has to know of that, as PgBouncer
/// does from 1.21 on with `max_prepared_statements` above zero. Partitions and retention need a direct connection.
#[derive(Clone)]
pub struct PgStore {
    pub(super) pool: PgPool,
    /// Whose rows the database is to show, where it shows only those of one.
    pub(super) tenant: Option<Arc<str>>,
    pub(super) sql: Arc<Statements>,
}

impl PgStore {
    /// Returns the store in `control_plane.audit_logs`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let (schema, table) = (
            Identifier::known(DEFAULT_SCHEMA),
            Identifier::known(DEFAULT_TABLE),
        );
        Self {
            pool,
            tenant: None,
            sql: Arc::new(Statements::new(
                schema,
                table,
                (Indexes::default(), Layout::default()),
                QUERY_TIMEOUT,
            )),
        }
    }

    /// Returns a builder.
    pub fn builder(pool: PgPool) -> PgStoreBuilder {
        let (schema, table) = (DEFAULT_SCHEMA.to_owned(), DEFAULT_TABLE.to_owned());
        PgStoreBuilder {
            pool,
            schema,
            table,
            indexes: Indexes::default(),
            layout: Layout::default(),
            query_timeout: QUERY_TIMEOUT,
            tenant: None,
        }
    }

    /// Returns the pool.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) fn name(&self) -> (&Identifier, &Identifier) {
        (&self.sql.schema, &self.sql.table)
    }

    pub(crate) fn indexes(&self) -> Indexes {
        self.sql.indexes
    }

    pub(crate) fn layout(&self) -> Layout {
        self.sql.layout
    }
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statements { schema, table, .. } = &*self.sql;
        f.debug_struct("PgStore")
            .field("schema", schema)
            .field("table", table)
            .finish_non_exhaustive()
    }
}

/// Configures a [`PgStore`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PgStoreBuilder {
    pool: PgPool,
    schema: String,
    table: String,
    indexes: Indexes,
    layout: Layout,
    query_timeout: Duration,
    tenant: Option<String>,
}

impl PgStoreBuilder {
    /// Sets the schema. Defaults to `control_plane`.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

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

    /// Sets how the first [`migrate`](crate::migrate) lays the table out. Defaults to [`Layout::Plain`].
    ///
    /// A table that is there is left as it is: [`PgStore::convert`] makes partitions of it. Of one that has partitions, this
    /// says how long those to come are; with `Plain` they are as long as the newest one.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets how long a statement that reads may take, in whole milliseconds from 1 ms to a day: what lies outside is
    /// taken for the nearest. Defaults to 10 seconds. Who asks then gets [`StoreError::Unavailable`].
    ///
    /// [`StoreError::Unavailable`]: tower_audit_core::StoreError::Unavailable
    pub fn query_timeout(mut self, timeout: Duration) -> Self {
        self.query_timeout = timeout.clamp(Duration::from_millis(1), Duration::from_hours(24));
        self
    }

    /// Sets the tenant that questions are about, for a table with [row security](super::Roles::row_security): the database shows
    /// the events of this one alone. Defaults to none. It is no filter where there is no row security.
    pub fn tenant(mut self, id: impl Into<String>) -> Self {
        self.tenant = Some(id.into());
        self
    }

    /// Returns the store. Does not connect.
    ///
    /// # Errors
    ///
    /// Returns an error if the schema or the table is not an identifier.
    pub fn build(self) -> Result<PgStore, IdentifierError> {
        let schema = Identifier::parse("schema", &self.schema)?;
        let table = Identifier::parse("table", &self.table)?;
        Ok(PgStore {
            pool: self.pool,
            tenant: self.tenant.map(Into::into),
            sql: Arc::new(Statements::new(
                schema,
                table,
                (self.indexes, self.layout),
                self.query_timeout,
            )),
        })
    }
}

const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

const DEFAULT_SCHEMA: &str = "control_plane";
