//! Migrations in Postgres.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{
    Drift, Migrate, MigrateError, MigrationStatus, Source, books, catalog, database,
    drift::{Objects, compare},
    fill, migrator,
    script::{Dialect, missing, script},
    statuses,
};
use crate::{
    postgres::{PgStore, partitions::after_migrations},
    table::Indexes,
};

pub(super) const SOURCES: &[Source] = &[
    Source {
        version: 1,
        description: "audit logs",
        sql: include_str!("../../migrations/postgres/0001_audit_logs.sql"),
    },
    Source {
        version: 2,
        description: "late ends",
        sql: include_str!("../../migrations/postgres/0002_late_ends.sql"),
    },
    Source {
        version: 3,
        description: "reading",
        sql: include_str!("../../migrations/postgres/0003_reading.sql"),
    },
    Source {
        version: 4,
        description: "retention",
        sql: include_str!("../../migrations/postgres/0004_retention.sql"),
    },
];

const FULL_INDEXES: &str = include_str!("../../migrations/postgres/indexes_full.sql");

impl Migrate for PgPool {
    async fn migrate(&self) -> Result<(), MigrateError> {
        PgStore::new(self.clone()).migrate().await
    }

    async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrateError> {
        PgStore::new(self.clone()).migration_status().await
    }

    async fn migration_sql(&self) -> Result<String, MigrateError> {
        PgStore::new(self.clone()).migration_sql().await
    }

    async fn drift(&self) -> Result<Vec<Drift>, MigrateError> {
        PgStore::new(self.clone()).drift().await
    }
}

impl Migrate for PgStore {
    async fn migrate(&self) -> Result<(), MigrateError> {
        // Everybody else waits for the lock: not for long for a process that is frozen.
        let begin = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000";
        let mut tx = self.pool().begin_with(begin).await.map_err(database)?;
        match run(self, &mut tx).await {
            Ok(()) => tx.commit().await.map_err(database),
            Err(error) => {
                // A transaction that is dropped ends, and lets go of its lock, only when the pool
                // gets round to its connection.
                let _ = tx.rollback().await;
                // Who may only write has nothing to do where everything is done.
                if is_forbidden(&error) && is_up_to_date(self).await {
                    return Ok(());
                }
                Err(error)
            }
        }
    }

    async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrateError> {
        let (schema, table) = self.name();
        let books = format!(r#""{}"."{}""#, schema.as_str(), books(table));
        let has_books: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(&books)
            .fetch_one(self.pool())
            .await
            .map_err(database)?;
        if !has_books {
            return Ok(statuses(SOURCES, &[]));
        }
        let applied = format!(
            "SELECT version, description, installed_on FROM {books} WHERE success ORDER BY version"
        );
        let applied: Vec<(i64, String, _)> = sqlx::query_as(AssertSqlSafe(applied))
            .fetch_all(self.pool())
            .await
            .map_err(database)?;
        Ok(statuses(SOURCES, &applied))
    }

    async fn migration_sql(&self) -> Result<String, MigrateError> {
        let (schema, table) = self.name();
        let about = format!(r#""{}"."{}""#, schema.as_str(), table.as_str());
        let books = format!(r#""{}"."{}""#, schema.as_str(), books(table));
        let there = self.migration_status().await?;
        let there = there.iter().filter(|there| there.applied_at.is_some());
        let there: Vec<i64> = there.map(|there| there.version).collect();
        let migrator = migrator(SOURCES, schema.as_str(), table, books.clone());
        let missing = missing(&migrator, &there);
        let indexes = match self.indexes() {
            Indexes::Full => fill(FULL_INDEXES, schema.as_str(), table),
            Indexes::Lean => String::new(),
        };
        if missing.is_empty() && indexes.is_empty() {
            return Ok(String::new());
        }
        let before = format!(
            "SELECT pg_advisory_xact_lock({LOCK});\nCREATE SCHEMA IF NOT EXISTS \"{}\";\n",
            schema.as_str()
        );
        Ok(script(
            &DIALECT,
            (&about, &books),
            &before,
            &missing,
            &indexes,
        ))
    }

    async fn drift(&self) -> Result<Vec<Drift>, MigrateError> {
        let (schema, table) = self.name();
        let mut connection = self.pool().acquire().await.map_err(database)?;
        let found = catalog::found(&mut connection, self).await;
        let (found, is_partitioned) = found.map_err(database)?.ok_or(MigrateError::NoTable)?;
        let mut expected = catalog::expected(schema, table, is_partitioned);
        if self.indexes() == Indexes::Full {
            expected.objects.append(&mut expected.full);
        }
        let full: &Objects = &expected.full;
        let mut drift = compare(&expected.objects, full, &found);
        let unguarded = catalog::unguarded(&mut connection, self).await;
        drift.extend(unguarded.map_err(database)?);
        let of_partitions = catalog::of_partitions(&mut connection, self).await;
        drift.extend(of_partitions.map_err(database)?);
        Ok(drift)
    }
}

const DIALECT: Dialect = Dialect {
    begin: "BEGIN",
    time: "TIMESTAMPTZ NOT NULL DEFAULT now()",
    bytes: "BYTEA",
    quotes: ("'\\x", "'"),
};

/// Runs what is missing, in the transaction of this connection.
async fn run(store: &PgStore, connection: &mut PgConnection) -> Result<(), MigrateError> {
    let (schema, table) = store.name();
    // The lock of a transaction: it goes with it, whatever happens, and survives a pooler.
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(&mut *connection).await.map_err(database)?;
    create_schema(connection, schema.as_str())
        .await
        .map_err(database)?;
    let books = format!(r#""{}"."{}""#, schema.as_str(), books(table));
    let is_new = !exists(connection, store).await.map_err(database)?;
    migrator(SOURCES, schema.as_str(), table, books)
        .run_direct(None, connection, false)
        .await?;
    if store.indexes() == Indexes::Full {
        let sql = fill(FULL_INDEXES, schema.as_str(), table);
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await
            .map_err(database)?;
    }
    after_migrations(store, connection, is_new)
        .await
        .map_err(database)
}

/// Returns whether the user may not do it.
fn is_forbidden(error: &MigrateError) -> bool {
    let (MigrateError::Database(error) | MigrateError::Failed { source: error, .. }) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    // insufficient_privilege
    code.is_some_and(|code| code == "42501")
}

/// Returns whether every migration was run as it is here.
async fn is_up_to_date(store: &PgStore) -> bool {
    let (schema, table) = store.name();
    let books = format!(r#""{}"."{}""#, schema.as_str(), books(table));
    let applied = format!("SELECT version, checksum FROM {books} WHERE success");
    let applied: sqlx::Result<Vec<(i64, Vec<u8>)>> = sqlx::query_as(AssertSqlSafe(applied))
        .fetch_all(store.pool())
        .await;
    let Ok(applied) = applied else {
        return false;
    };
    let migrator = migrator(SOURCES, schema.as_str(), table, books);
    migrator.iter().all(|migration| {
        let checksum = migration.checksum.to_vec();
        applied.contains(&(migration.version, checksum))
    })
}

/// Returns whether the table is there.
async fn exists(connection: &mut PgConnection, store: &PgStore) -> sqlx::Result<bool> {
    let (schema, table) = store.name();
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(format!(r#""{}"."{}""#, schema.as_str(), table.as_str()))
        .fetch_one(connection)
        .await
}

/// Makes the schema if it is missing. `IF NOT EXISTS` alone would ask for the privilege to make
/// schemas even where there is nothing to make.
async fn create_schema(connection: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    let exists: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1)",
    )
    .bind(schema)
    .fetch_one(&mut *connection)
    .await?;
    if !exists {
        let create = format!(r#"CREATE SCHEMA "{schema}""#);
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// The key of the advisory lock: "tower-au" in ASCII. The app's own migrator has another one.
pub(crate) const LOCK: i64 = i64::from_be_bytes(*b"tower-au");
