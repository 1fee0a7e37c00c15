//! One question, in a transaction of its own.

use chrono::DateTime;
use sqlx::{
    AssertSqlSafe, Postgres, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::sync::Mutex;
use tower_audit_core::StoreError;

use super::{PgStore, error::store_error};
use crate::query::{Arg, Sql};

/// One question: its statements see the trail as of one moment, and none takes longer than it may.
pub(crate) struct Reading<'a> {
    pub(super) store: &'a PgStore,
    tx: Mutex<Transaction<'static, Postgres>>,
}

impl<'a> Reading<'a> {
    pub(super) async fn begin(store: &'a PgStore) -> Result<Self, StoreError> {
        let begin = AssertSqlSafe(store.sql.begin.as_str());
        let tx = store.pool.begin_with(begin).await.map_err(store_error)?;
        let reading = Self {
            store,
            tx: Mutex::new(tx),
        };
        if let Some(tenant) = &store.tenant {
            let mut sql = Sql::new("SELECT set_config('tower_audit.tenant', ");
            sql.bind(Arg::Text(tenant.to_string())).push(", true)");
            reading.rows(sql).await?;
        }
        Ok(reading)
    }

    /// Ends the transaction at once. One that is dropped ends when the pool gets round to it.
    pub(super) async fn end(self) -> Result<(), StoreError> {
        self.tx.into_inner().commit().await.map_err(store_error)
    }

    pub(super) async fn rows(&self, sql: Sql) -> Result<Vec<PgRow>, StoreError> {
        let mut tx = self.tx.lock().await;
        let rows = bound(sql.text, sql.args).fetch_all(&mut **tx).await;
        rows.map_err(store_error)
    }

    /// Lets a GIN index leave out rows where it finds more than so many; 0 for none.
    pub(super) async fn leave_out_beyond(&self, rows: i64) -> Result<(), StoreError> {
        let mut sql = Sql::new("SELECT set_config('gin_fuzzy_search_limit', ");
        sql.bind(Arg::Text(rows.to_string())).push(", true)");
        self.rows(sql).await.map(drop)
    }
}

/// Returns the statement with its values. It is planned for these values: of one that is prepared Postgres forgets
/// them after a while, and plans for the average.
pub(super) fn bound(text: String, args: Vec<Arg>) -> Query<'static, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(text)).persistent(false);
    args.into_iter().fold(query, |query, arg| match arg {
        Arg::Text(text) => query.bind(text),
        Arg::Texts(texts) => query.bind(texts),
        Arg::Number(number) => query.bind(number),
        Arg::Real(number) => query.bind(number),
        Arg::Time(micros) => query.bind(DateTime::from_timestamp_micros(micros)),
        Arg::Id(id) => query.bind(id),
        Arg::Network(network) => query.bind(network),
    })
}

/// How a question begins, with `{timeout}` in milliseconds. No plan reads the whole table, because an index has the rows
/// in the order of time; and to compile one takes longer than to run it.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
     SET LOCAL jit = off; SET LOCAL enable_seqscan = off; SET LOCAL statement_timeout = {timeout}";
