//! What SQLite does for the retention.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, Transaction, sqlite::SqliteRow};
use tokio::sync::OwnedMutexGuard;
use tower_audit_core::{AuditEvent, StoreError};

use super::{SqliteStore, source};
use crate::{
    columns::{self, StoredHold},
    query::{Arg, Edge, Sql},
    record_in::RecordIn as _,
    retention::{Database, Dropped, RetentionError, Run},
};

/// A transaction that writes, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Writing {
    tx: Transaction<'static, Sqlite>,
    _turn: OwnedMutexGuard<()>,
}

impl Database for SqliteStore {
    type Dialect = Self;
    type Tx = Writing;

    const NOW_US: &'static str = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)";
    const BATCH: u32 = 2_000;

    fn table_and(&self, suffix: &str) -> (String, String) {
        let table = self.name().as_str();
        (format!(r#""{table}""#), format!(r#""{table}{suffix}""#))
    }

    fn micros(column: &str) -> String {
        column.to_owned()
    }

    fn span(column: &str) -> String {
        column.to_owned()
    }

    fn push_span(&self, sql: &mut Sql, seconds: u32) {
        sql.bind(Arg::Number(i64::from(seconds) * 1_000_000));
    }

    async fn begin(&self) -> Result<Writing, StoreError> {
        let turn = self.sql.turn.clone().lock_owned().await;
        match self.pool.begin_with("BEGIN IMMEDIATE").await {
            Ok(tx) => Ok(Writing { tx, _turn: turn }),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn delete_before(&self, tx: &mut Writing, time: DateTime<Utc>) -> Result<(), StoreError> {
        let table = self.name().as_str();
        let open = format!(r#"UPDATE "{table}_retention" SET delete_before = ?"#);
        let open = sqlx::query(AssertSqlSafe(open)).bind(time.timestamp_micros());
        match open.execute(&mut *tx.tx).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn commit(&self, mut tx: Writing) -> Result<(), StoreError> {
        let table = self.name().as_str();
        let close = format!(
            r#"UPDATE "{table}_retention" SET delete_before = NULL WHERE delete_before IS NOT NULL"#
        );
        let closed = sqlx::query(AssertSqlSafe(close)).execute(&mut *tx.tx).await;
        let committed = match closed {
            Ok(_) => tx.tx.commit().await,
            Err(error) => Err(error),
        };
        match committed {
            Ok(()) => Ok(()),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn numbers(
        &self,
        tx: &mut Writing,
        sql: Sql,
    ) -> Result<Vec<Vec<Option<i64>>>, StoreError> {
        let rows = self.rows_in(tx, sql).await?;
        let numbers = |row: &SqliteRow| (0..row.len()).map(|column| row.try_get(column)).collect();
        match rows.iter().map(numbers).collect() {
            Ok(numbers) => Ok(numbers),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn text(&self, tx: &mut Writing, sql: Sql) -> Result<Option<String>, StoreError> {
        let rows = self.rows_in(tx, sql).await?;
        match rows.first().map(|row| row.try_get(0)).transpose() {
            Ok(text) => Ok(text.flatten()),
            Err(error) => Err(self.store_error(error).await),
        }
    }

    async fn edge(&self, tx: &mut Writing, sql: Sql) -> Result<Option<Edge>, StoreError> {
        let rows = self.rows_in(tx, sql).await?;
        rows.first().map(columns::edge).transpose()
    }

    async fn holds(&self, tx: &mut Writing, sql: Sql) -> Result<Vec<StoredHold>, StoreError> {
        let rows = self.rows_in(tx, sql).await?;
        rows.iter().map(columns::hold).collect()
    }

    async fn record(&self, tx: &mut Writing, event: AuditEvent) -> Result<(), StoreError> {
        self.record_in(&mut tx.tx, event).await
    }

    async fn make_room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn drop_partitions(&self, _run: &Run<'_>) -> Result<Vec<Dropped>, RetentionError> {
        // There are none.
        Ok(Vec::new())
    }
}

impl SqliteStore {
    async fn rows_in(&self, tx: &mut Writing, sql: Sql) -> Result<Vec<SqliteRow>, StoreError> {
        match source::rows(&mut tx.tx, sql).await {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.store_error(error).await),
        }
    }
}
