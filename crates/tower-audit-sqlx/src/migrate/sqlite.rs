//! Migrations in SQLite.

use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool, sqlite::SqlitePoolOptions};

use super::{
    Drift, Migrate, MigrateError, MigrationStatus, Source, books, database,
    drift::{Objects, compare},
    fill, migrator,
    script::{Dialect, missing, script},
    statuses,
};
use crate::{sqlite::SqliteStore, table::Indexes};

const SOURCES: &[Source] = &[
    Source {
        version: 1,
        description: "audit logs",
        sql: include_str!("../../migrations/sqlite/0001_audit_logs.sql"),
    },
    Source {
        version: 2,
        description: "late ends",
        sql: include_str!("../../migrations/sqlite/0002_late_ends.sql"),
    },
    Source {
        version: 3,
        description: "reading",
        sql: include_str!("../../migrations/sqlite/0003_reading.sql"),
    },
    Source {
        version: 4,
        description: "retention",
        sql: include_str!("../../migrations/sqlite/0004_retention.sql"),
    },
];

const FULL_INDEXES: &str = include_str!("../../migrations/sqlite/indexes_full.sql");

impl Migrate for SqlitePool {
    async fn migrate(&self) -> Result<(), MigrateError> {
        SqliteStore::new(self.clone()).migrate().await
    }

    async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrateError> {
        SqliteStore::new(self.clone()).migration_status().await
    }

    async fn migration_sql(&self) -> Result<String, MigrateError> {
        SqliteStore::new(self.clone()).migration_sql().await
    }

    async fn drift(&self) -> Result<Vec<Drift>, MigrateError> {
        SqliteStore::new(self.clone()).drift().await
    }
}

impl Migrate for SqliteStore {
    async fn migrate(&self) -> Result<(), MigrateError> {
        // sqlx has no lock for SQLite. The write lock is one: whoever comes second waits for the
        // busy timeout of its pool.
        let mut tx = self
            .pool()
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(database)?;
        match run(self, &mut tx).await {
            Ok(()) => tx.commit().await.map_err(database),
            Err(error) => {
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    async fn migration_status(&self) -> Result<Vec<MigrationStatus>, MigrateError> {
        let books = books(self.name());
        let has_books: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)")
                .bind(&books)
                .fetch_one(self.pool())
                .await
                .map_err(database)?;
        if !has_books {
            return Ok(statuses(SOURCES, &[]));
        }
        let applied = format!(
            r#"SELECT version, description, installed_on FROM "{books}" WHERE success ORDER BY version"#
        );
        let applied: Vec<(i64, String, _)> = sqlx::query_as(AssertSqlSafe(applied))
            .fetch_all(self.pool())
            .await
            .map_err(database)?;
        Ok(statuses(SOURCES, &applied))
    }

    async fn migration_sql(&self) -> Result<String, MigrateError> {
        let table = self.name();
        let books = format!(r#""{}""#, books(table));
        let there = self.migration_status().await?;
        let there = there.iter().filter(|there| there.applied_at.is_some());
        let there: Vec<i64> = there.map(|there| there.version).collect();
        let migrator = migrator(SOURCES, "", table, books.clone());
        let missing = missing(&migrator, &there);
        let indexes = match self.indexes() {
            Indexes::Full => fill(FULL_INDEXES, "", table),
            Indexes::Lean => String::new(),
        };
        if missing.is_empty() && indexes.is_empty() {
            return Ok(String::new());
        }
        let about = format!(r#""{}""#, table.as_str());
        Ok(script(&DIALECT, (&about, &books), "", &missing, &indexes))
    }

    async fn drift(&self) -> Result<Vec<Drift>, MigrateError> {
        let found = objects(self).await?;
        if found.is_empty() {
            return Err(MigrateError::NoTable);
        }
        let lean = expected(self, Indexes::Lean).await?;
        let mut full = expected(self, Indexes::Full).await?;
        full.retain(|object, _| !lean.contains_key(object));
        let nothing = Objects::new();
        Ok(match self.indexes() {
            Indexes::Lean => compare(&lean, &full, &found),
            Indexes::Full => {
                full.extend(lean);
                compare(&full, &nothing, &found)
            }
        })
    }
}

/// Returns what the migrations make: they are run in a database in memory.
async fn expected(store: &SqliteStore, indexes: Indexes) -> Result<Objects, MigrateError> {
    let memory = SqlitePoolOptions::new().max_connections(1);
    let memory = memory.connect("sqlite::memory:").await.map_err(database)?;
    let like = SqliteStore::builder(memory.clone())
        .table(store.name().as_str())
        .indexes(indexes)
        .build()
        .map_err(|error| database(sqlx::Error::Configuration(error.into())))?;
    like.migrate().await?;
    let objects = objects(&like).await;
    memory.close().await;
    objects
}

/// Returns what there is of the table and of those beside it.
async fn objects(store: &SqliteStore) -> Result<Objects, MigrateError> {
    let rows: Vec<(String, String)> = sqlx::query_as(OBJECTS)
        .bind(store.name().as_str())
        .fetch_all(store.pool())
        .await
        .map_err(database)?;
    Ok(rows.into_iter().collect())
}

const OBJECTS: &str = "SELECT type || ' ' || name, sql FROM sqlite_schema \
     WHERE sql IS NOT NULL AND tbl_name COLLATE NOCASE IN (?1, ?1 || '_retention', ?1 || '_holds')";

const DIALECT: Dialect = Dialect {
    begin: "BEGIN IMMEDIATE",
    time: "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP",
    bytes: "BLOB",
    quotes: ("x'", "'"),
};

/// Runs what is missing, in the transaction of this connection.
async fn run(store: &SqliteStore, connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let table = store.name();
    let books = format!(r#""{}""#, books(table));
    migrator(SOURCES, "", table, books)
        .run_direct(None, connection, false)
        .await?;
    if store.indexes() == Indexes::Full {
        let sql = fill(FULL_INDEXES, "", table);
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(connection)
            .await
            .map_err(database)?;
    }
    Ok(())
}
