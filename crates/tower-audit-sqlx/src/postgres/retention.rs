//! What Postgres does for the retention.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use tower_audit_core::{AuditEvent, StoreError};

use super::{
    PgStore,
    error::store_error,
    partitions::{ahead_if_owner, drop_due},
    reading::{Reading, bound},
};
use crate::{
    columns::{self, StoredHold},
    query::{Arg, Edge, Sql},
    record_in::RecordIn as _,
    retention::{Database, Dropped, RetentionError, Run},
};

impl Database for PgStore {
    type Dialect = Reading<'static>;
    type Tx = Transaction<'static, Postgres>;

    const NOW_US: &'static str = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8";
    const BATCH: u32 = 5_000;

    fn table_and(&self, suffix: &str) -> (String, String) {
        let (schema, table) = self.name();
        let (schema, table) = (schema.as_str(), table.as_str());
        (
            format!(r#""{schema}"."{table}""#),
            format!(r#""{schema}"."{table}{suffix}""#),
        )
    }

    fn micros(column: &str) -> String {
        format!("(extract(epoch FROM {column}) * 1000000)::int8")
    }

    fn span(column: &str) -> String {
        Self::micros(column)
    }

    fn push_span(&self, sql: &mut Sql, seconds: u32) {
        sql.bind(Arg::Number(seconds.into()))
            .push(" * interval '1 second'");
    }

    async fn begin(&self) -> Result<Self::Tx, StoreError> {
        // To compile a statement that many rules are in takes longer than to run it. A process that is frozen in here would
        // keep the row of the lease from everybody else.
        let begin =
            "BEGIN; SET LOCAL jit = off; SET LOCAL idle_in_transaction_session_timeout = 5000";
        self.pool.begin_with(begin).await.map_err(store_error)
    }

    async fn delete_before(
        &self,
        tx: &mut Self::Tx,
        time: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new("SELECT set_config('tower_audit.delete_before', ");
        sql.bind(Arg::Text(time.to_rfc3339())).push(", true)");
        rows(tx, sql).await.map(drop)
    }

    async fn commit(&self, tx: Self::Tx) -> Result<(), StoreError> {
        tx.commit().await.map_err(store_error)
    }

    async fn numbers(
        &self,
        tx: &mut Self::Tx,
        sql: Sql,
    ) -> Result<Vec<Vec<Option<i64>>>, StoreError> {
        let rows = rows(tx, sql).await?;
        let numbers = |row: &PgRow| (0..row.len()).map(|column| row.try_get(column)).collect();
        let numbers: sqlx::Result<_> = rows.iter().map(numbers).collect();
        numbers.map_err(store_error)
    }

    async fn text(&self, tx: &mut Self::Tx, sql: Sql) -> Result<Option<String>, StoreError> {
        let rows = rows(tx, sql).await?;
        let text = rows.first().map(|row| row.try_get(0)).transpose();
        text.map(Option::flatten).map_err(store_error)
    }

    async fn edge(&self, tx: &mut Self::Tx, sql: Sql) -> Result<Option<Edge>, StoreError> {
        let rows = rows(tx, sql).await?;
        rows.first().map(columns::edge).transpose()
    }

    async fn holds(&self, tx: &mut Self::Tx, sql: Sql) -> Result<Vec<StoredHold>, StoreError> {
        let rows = rows(tx, sql).await?;
        rows.iter().map(columns::hold).collect()
    }

    async fn record(&self, tx: &mut Self::Tx, event: AuditEvent) -> Result<(), StoreError> {
        self.record_in(tx, event).await
    }

    async fn make_room(&self) -> Result<(), StoreError> {
        ahead_if_owner(self).await.map_err(store_error)
    }

    async fn drop_partitions(&self, run: &Run<'_>) -> Result<Vec<Dropped>, RetentionError> {
        drop_due(self, run).await
    }
}

async fn rows(tx: &mut Transaction<'static, Postgres>, sql: Sql) -> Result<Vec<PgRow>, StoreError> {
    let rows = bound(sql.text, sql.args).fetch_all(&mut **tx).await;
    rows.map_err(store_error)
}
