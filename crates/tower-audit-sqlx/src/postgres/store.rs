//! The store and its settings.

use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use sqlx::PgPool;

use super::{partitions::Layout, reading::BEGIN};
use crate::{
    columns::WRITTEN,
    query::Extras,
    table::{DEFAULT_TABLE, Identifier, IdentifierError, Indexes},
};

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

/// The statements, with the name of the table in them.
pub(super) struct Statements {
    pub(super) schema: Identifier,
    pub(super) table: Identifier,
    pub(super) indexes: Indexes,
    pub(super) layout: Layout,
    pub(super) insert: Arc<str>,
    pub(super) insert_new: Arc<str>,
    pub(super) restore: Arc<str>,
    pub(super) complete: Arc<str>,
    pub(super) reap: Arc<str>,
    /// The name of the table, quoted.
    pub(super) name: String,
    /// How a question begins.
    pub(super) begin: String,
    /// Which indexes there are, once somebody asked.
    pub(super) extras: OnceLock<Extras>,
    pub(super) check: Arc<str>,
    pub(super) may_complete: Arc<str>,
    /// The user was seen to have the privileges to complete pending rows.
    pub(super) has_completed: AtomicBool,
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

impl Statements {
    fn new(
        schema: Identifier,
        table: Identifier,
        (indexes, layout): (Indexes, Layout),
        query_timeout: Duration,
    ) -> Self {
        let name = format!(r#""{}"."{}""#, schema.as_str(), table.as_str());
        let rows = rows();
        Self {
            insert: format!("INSERT INTO {name} ({WRITTEN}) {rows} ON CONFLICT DO NOTHING").into(),
            insert_new: format!("INSERT INTO {name} ({WRITTEN}) {rows}").into(),
            restore: format!(
                "INSERT INTO {name} ({WRITTEN}, recorded_at) {} ON CONFLICT DO NOTHING",
                recorded_rows()
            )
            .into(),
            complete: format!(
                "UPDATE {name} AS was {COMPLETE} FROM ({rows}) AS new {WHERE_PENDING}"
            )
            .into(),
            reap: REAP.replace("{name}", &name).into(),
            check: CHECK.replace("{name}", &name).into(),
            may_complete: format!(
                "SELECT has_column_privilege('{name}', 'actor_id', 'SELECT') AND has_column_privilege('{name}', 'outcome', 'UPDATE')"
            )
            .into(),
            has_completed: AtomicBool::new(false),
            begin: BEGIN.replace("{timeout}", &query_timeout.as_millis().to_string()),
            extras: OnceLock::new(),
            name,
            schema,
            table,
            indexes,
            layout,
        }
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

/// Returns one statement text for any number of rows. The arrays all have the same length: a shorter one
/// would be padded with NULL, silently.
fn rows() -> String {
    let selected = selected();
    format!("SELECT {selected} FROM UNNEST({ARRAYS}) AS rows ({WRITTEN})")
}

/// Returns the same for rows that say when they were recorded.
fn recorded_rows() -> String {
    let selected = selected();
    format!(
        "SELECT {selected}, coalesce(recorded_at, now()) FROM UNNEST({ARRAYS}, $28::timestamptz[]) AS rows ({WRITTEN}, recorded_at)"
    )
}

/// Returns the columns, of which two come as text.
fn selected() -> String {
    let selected = WRITTEN.replace("metadata", "metadata::jsonb");
    selected.replace("captured", "captured::jsonb")
}

/// The columns, in the order of [`WRITTEN`].
const ARRAYS: &str = "$1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::inet[], \
     $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::int2[], $14::text[], $15::text[], $16::text[], \
     $17::int8[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], \
     $25::inet[], $26::text[], $27::text[]";

/// What the end of a request may change of its pending row. The rest was known when it arrived, and so
/// was an actor who was not anonymous.
///
/// These are the columns that it may change, and what a user who may complete pending rows needs UPDATE on.
pub(super) const COMPLETED: &str = "action, target_type, target_id, metadata, outcome, reason, status, route, duration_us, \
     request_id, tenant_id, captured, actor_type, actor_id, actor_name, auth_method, credential_id, on_behalf_of";

const COMPLETE: &str = "SET action = new.action, target_type = new.target_type, target_id = new.target_id, \
     metadata = new.metadata, outcome = new.outcome, reason = new.reason, status = new.status, \
     route = new.route, duration_us = new.duration_us, request_id = new.request_id, tenant_id = new.tenant_id, \
     captured = new.captured, \
     (actor_type, actor_id, actor_name, auth_method, credential_id, on_behalf_of) = (SELECT \
         actor.kind, actor.id, actor.name, actor.method, actor.credential, actor.principal \
         FROM (VALUES \
             (false, was.actor_type, was.actor_id, was.actor_name, was.auth_method, was.credential_id, was.on_behalf_of), \
             (true, new.actor_type, new.actor_id, new.actor_name, new.auth_method, new.credential_id, new.on_behalf_of) \
         ) AS actor (is_new, kind, id, name, method, credential, principal) \
         WHERE actor.is_new = (was.actor_type = 'anonymous' OR (was.actor_type, was.actor_id) = (new.actor_type, new.actor_id)))";

/// Whether events can be inserted, and the end of the last partition.
const CHECK: &str = "SELECT has_column_privilege('{name}', 'id', 'INSERT'), \
     (SELECT max((regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), $re$TO \\('([^']+)'\\)$re$))[1]::timestamptz) \
         FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid \
         WHERE i.inhparent = '{name}'::regclass)";

/// What really happened takes the place of a row that was given up, too.
const WHERE_PENDING: &str = "WHERE was.id = new.id AND new.outcome NOT IN ('pending', 'unknown') \
     AND (was.outcome = 'pending' OR (was.outcome = 'unknown' AND was.reason = 'never_completed'))";

/// One replica at a time is enough: the lock ends with the statement. The rows that somebody is just
/// completing are left to them.
const REAP: &str = "WITH leader AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended('{name}', 0)) AS is_us), \
     old AS (SELECT id, created_at FROM {name} WHERE outcome = 'pending' AND created_at < $1 AND (SELECT is_us FROM leader) \
         ORDER BY created_at LIMIT 1000 FOR UPDATE SKIP LOCKED) \
     UPDATE {name} AS was SET outcome = 'unknown', reason = 'never_completed' \
     FROM old WHERE was.id = old.id AND was.created_at = old.created_at";
