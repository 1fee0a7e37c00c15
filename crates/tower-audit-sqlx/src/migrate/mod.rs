//! Makes the table, and keeps books about it.

#[cfg(feature = "postgres")]
mod catalog;
mod drift;
#[cfg(feature = "postgres")]
mod postgres;
mod script;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use self::drift::Drift;
#[cfg(feature = "postgres")]
use self::postgres::SOURCES as SOURCES_OF_POSTGRES;

#[cfg(feature = "postgres")]
pub(crate) use self::postgres::LOCK;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlx::{
    AssertSqlSafe, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::table::{DEFAULT_TABLE, Identifier};

/// Makes the audit table, or brings it up to date.
///
/// Takes a pool, for the table of the default name, or a store. Safe to call from every replica at
/// once: the others wait for the first. All of it happens in one transaction, so dropping the
/// future or a failure leaves the database as it was, with no lock held. A table that a newer
/// version of this library has already brought further is left alone.
///
/// # Errors
///
/// Returns [`MigrateError::Changed`] if a migration that was run differs from the one of the same
/// number here, and [`MigrateError::Database`] for whatever the database refused.
pub async fn migrate(database: &impl Migrate) -> Result<(), MigrateError> {
    database.migrate().await
}

/// Says which migrations there are, and which of them were run, in order.
///
/// Takes a pool, for the table of the default name, or a store.
///
/// # Errors
///
/// Returns [`MigrateError::Database`] if the database cannot be asked.
pub async fn migration_status(
    database: &impl Migrate,
) -> Result<Vec<MigrationStatus>, MigrateError> {
    database.migration_status().await
}

/// Returns the statements of the migrations that were not run, for somebody else to run; empty if there are none.
///
/// They are one transaction, and note in the books what they ran: [`migrate`] then has nothing to do. They make a table without
/// partitions, whatever the layout of the store.
///
/// # Errors
///
/// Returns [`MigrateError::Database`] if the database cannot be asked.
pub async fn migration_sql(database: &impl Migrate) -> Result<String, MigrateError> {
    database.migration_sql().await
}

/// Returns what the database has another way than the migrations make it: columns, constraints, indexes, triggers and
/// their functions. Empty if everything is as it should be.
///
/// Whoever may connect can ask. What somebody [added](Drift::is_addition) is among it.
///
/// # Errors
///
/// Returns [`MigrateError::Database`] if the database cannot be asked, and [`MigrateError::NoTable`] if there is no table.
pub async fn drift(database: &impl Migrate) -> Result<Vec<Drift>, MigrateError> {
    database.drift().await
}

/// Whatever [`migrate`] can be called with: a pool or a store.
pub trait Migrate: Sync {
    /// See [`migrate`].
    ///
    /// # Errors
    ///
    /// See [`migrate`].
    fn migrate(&self) -> impl Future<Output = Result<(), MigrateError>> + Send;

    /// See [`migration_status`].
    ///
    /// # Errors
    ///
    /// See [`migration_status`].
    fn migration_status(
        &self,
    ) -> impl Future<Output = Result<Vec<MigrationStatus>, MigrateError>> + Send;

    /// See [`migration_sql`].
    ///
    /// # Errors
    ///
    /// See [`migration_sql`].
    fn migration_sql(&self) -> impl Future<Output = Result<String, MigrateError>> + Send;

    /// See [`drift`].
    ///
    /// # Errors
    ///
    /// See [`drift`].
    fn drift(&self) -> impl Future<Output = Result<Vec<Drift>, MigrateError>> + Send;
}

/// One migration, and whether it was run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationStatus {
    /// The number.
    pub version: i64,
    /// What it does.
    pub description: String,
    /// When it was run, or `None` if it was not.
    pub applied_at: Option<DateTime<Utc>>,
}

/// Why the table could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The database refused or could not be reached.
    #[error("could not run the migrations of the audit table")]
    Database(#[source] sqlx::Error),
    /// A migration failed.
    #[error("migration {version} of the audit table failed")]
    Failed {
        /// The number of the migration.
        version: i64,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A migration that was run is not the one of the same number in this version of the library.
    #[error("migration {version} of the audit table was changed after it was run")]
    Changed {
        /// The number of the migration.
        version: i64,
    },
    /// There is no table.
    #[error(
        "there is no audit table: run the migrations (`tower_audit::migrate` or `tower-audit migrate`)"
    )]
    NoTable,
}

impl From<sqlx::migrate::MigrateError> for MigrateError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as Theirs;
        match error {
            Theirs::Execute(error) => Self::Database(error),
            Theirs::ExecuteMigration(source, version) => Self::Failed { version, source },
            Theirs::VersionMismatch(version) => Self::Changed { version },
            other => Self::Database(sqlx::Error::Migrate(Box::new(other))),
        }
    }
}

pub(crate) fn database(error: sqlx::Error) -> MigrateError {
    MigrateError::Database(error)
}

/// A migration as it stands in its file.
struct Source {
    version: i64,
    description: &'static str,
    sql: &'static str,
}

/// Fills in the names, which are validated identifiers.
fn fill(sql: &str, schema: &str, table: &Identifier) -> String {
    sql.replace("{schema}", schema)
        .replace("{table}", table.as_str())
}

/// Returns the migrator for the sources, with books of its own. The caller holds the lock.
fn migrator(sources: &[Source], schema: &str, table: &Identifier, books: String) -> Migrator {
    let migrations = sources.iter().map(|source| {
        let sql = AssertSqlSafe(fill(source.sql, schema, table)).into_sql_str();
        Migration::new(
            source.version,
            Cow::Borrowed(source.description),
            MigrationType::Simple,
            sql,
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(books);
    // Replicas of the version before go on while a new one is rolled out, and may restart.
    migrator.set_locking(false).set_ignore_missing(true);
    migrator
}

/// Returns the name of the table with the books: one for each audit table, so that two of them in
/// one schema do not take each other's for theirs.
pub(crate) fn books(table: &Identifier) -> String {
    if table.as_str() == DEFAULT_TABLE {
        "_tower_audit_migrations".to_owned()
    } else {
        format!("_tower_audit_migrations_{}", table.as_str())
    }
}

/// Joins the sources with what the books say.
fn statuses(sources: &[Source], applied: &[(i64, String, DateTime<Utc>)]) -> Vec<MigrationStatus> {
    let when = |version| {
        applied
            .iter()
            .find(|(applied, ..)| *applied == version)
            .map(|(_, _, at)| *at)
    };
    let known = sources.iter().map(|source| MigrationStatus {
        version: source.version,
        description: source.description.to_owned(),
        applied_at: when(source.version),
    });
    let newer = applied
        .iter()
        .filter(|(version, ..)| !sources.iter().any(|source| source.version == *version));
    let newer = newer.map(|(version, description, at)| MigrationStatus {
        version: *version,
        description: description.clone(),
        applied_at: Some(*at),
    });
    known.chain(newer).collect()
}
