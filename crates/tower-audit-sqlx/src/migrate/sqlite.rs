//! Migrations in SQLite.

use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};

use super::{
    Migrate, MigrateError, MigrationStatus, Source, books, database, fill, migrator, statuses,
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
}

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
