//! What is there already when the history of a table begins.

use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row as _, Transaction, types::Json};
use tower_audit_core::changes::{Columns, TableName};

use crate::{
    History, HistoryError,
    error::code,
    migrate::{ALL_ROWS, as_triggers_do, hold, share},
    names::{literal, quoted},
    read::{Live, record},
    track::{catalog, table::Column},
};

impl History {
    /// Records the rows that a table has, each as a [baseline](tower_audit_core::changes::Operation::Baseline): from then on the history
    /// knows what every row was, also of those that nobody changes. Returns how many rows it recorded.
    ///
    /// It goes by batches in the order of the key, while others go on: each row is locked for the moment in which it is copied, so that
    /// what is recorded has its place among the changes; for a row or a table that somebody else has locked it waits for 200 ms, lets go, and tries
    /// again. It takes about as much room as the table. Run it once, after
    /// [`track`](Self::track); what a second run records is recorded again.
    ///
    /// Dropping the future keeps the batches that were recorded.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotTracked`] if it is not tracked, [`HistoryError::OtherColumns`] if its columns were changed since,
    /// [`HistoryError::NotCovered`] if its triggers do not fire, [`HistoryError::LooseKey`] if more than one row may have the same key,
    /// [`HistoryError::NoKey`] for a table without a key, [`HistoryError::KeyOfTypes`] for a key whose types run checks of their owner,
    /// [`HistoryError::NameOfAnother`] if the table is not the one that was tracked under this name, and
    /// [`HistoryError::Database`] otherwise, also if the user does not own the history, or if policies hide rows from them.
    pub async fn baseline(&self, table: &TableName) -> Result<u64, HistoryError> {
        let (mut last, mut rows, mut size) = (None, 0, BATCH);
        loop {
            match batch(self, table, last.as_ref(), size).await {
                Ok(Some((key, count))) => {
                    rows += count;
                    last = Some(key);
                    size = (size * 2).min(BATCH);
                }
                Ok(None) => return Ok(rows),
                // Somebody holds one of the rows, and may wait for another, or for the table.
                Err(error) if is_impatient(&error) => {
                    size = 1;
                    pause(self).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Returns the table as it is now, of which a baseline can be recorded.
async fn find<'a>(
    history: &'a History,
    connection: &mut PgConnection,
    table: &TableName,
) -> Result<Live<'a>, HistoryError> {
    let live = Live::find(history, &mut *connection, table).await?;
    if !live.is_as_noted {
        return Err(HistoryError::OtherColumns(table.clone()));
    }
    if !live.is_covered {
        return Err(HistoryError::NotCovered(table.clone()));
    }
    if live.table.key.is_empty() {
        return Err(HistoryError::NoKey(table.clone()));
    }
    if !catalog::is_unique(connection, &live.table).await? {
        return Err(HistoryError::LooseKey(table.clone()));
    }
    Ok(live)
}

/// Records the next rows; returns the key of the last one, and how many they were.
async fn batch(
    history: &History,
    table: &TableName,
    last: Option<&Columns>,
    size: u32,
) -> Result<Option<(Columns, u64)>, HistoryError> {
    let mut tx = begin(history, table).await?;
    // A migration may come between two batches, and none while one is recorded.
    let live = find(history, &mut tx, table).await?;
    let row = sqlx::query(AssertSqlSafe(statement(history, &live, last.is_some())))
        .bind(last.cloned().map(Value::Object))
        .bind(i64::from(size))
        .fetch_one(&mut *tx)
        .await?;
    let count: i64 = row.try_get("count")?;
    let key: Option<Json<Columns>> = row.try_get("key")?;
    tx.commit().await?;
    Ok(key.map(|Json(key)| (key, count.unsigned_abs())))
}

/// Begins a transaction in which nobody changes the columns of a table nor how it is tracked, and that waits for no lock as long as the database lets pass
/// before it looks for deadlocks.
async fn begin(
    history: &History,
    table: &TableName,
) -> Result<Transaction<'static, Postgres>, HistoryError> {
    let begin = format!(
        "BEGIN; {}; {ALL_ROWS}; SET LOCAL lock_timeout = {}; SET LOCAL jit = off",
        as_triggers_do(),
        PATIENCE.as_millis(),
    );
    let mut tx = history
        .pool
        .begin_with(AssertSqlSafe(begin.clone()))
        .await?;
    share(&mut tx).await?;
    match hold(&mut tx, table).await {
        // There is no such table: whoever looks for it says what is wrong.
        Err(error) if code(&error).as_deref() == Some("42P01") => {
            tx.rollback().await?;
            Ok(history.pool.begin_with(AssertSqlSafe(begin)).await?)
        }
        held => held.map(|()| tx).map_err(HistoryError::Database),
    }
}

/// Lets others have what this waits for.
async fn pause(history: &History) -> Result<(), HistoryError> {
    let pause = sqlx::query("SELECT pg_catalog.pg_sleep($1)").bind(PATIENCE.as_secs_f64());
    pause.execute(&history.pool).await?;
    Ok(())
}

fn statement(history: &History, live: &Live<'_>, has_last: bool) -> String {
    let (table, expressions) = (live.rows(), live.expressions());
    let keys = live
        .table
        .key
        .iter()
        .map(|column| column.found.name.as_str());
    let of = |row: &str| -> String {
        let columns = keys.clone().map(|name| format!("{row}.{}", quoted(name)));
        columns.collect::<Vec<_>>().join(", ")
    };
    let after = match has_last {
        true => format!("WHERE {}", comes_after(&live.table.key)),
        false => String::new(),
    };
    let descending = keys.clone().map(|name| format!("r.{} DESC", quoted(name)));
    let descending = descending.collect::<Vec<_>>().join(", ");
    let name = live.table.name();
    format!(
        "WITH r AS MATERIALIZED (SELECT b.* FROM {}, \
             LATERAL (SELECT * FROM {table} AS t {after} ORDER BY {} LIMIT $2 FOR SHARE) AS b), \
         made AS (INSERT INTO {} (operation, table_schema, table_name, key, new, actor_type, actor_id) \
             SELECT 'baseline', {}, {}, {}, {}, 'system', 'system' FROM r RETURNING 1) \
         SELECT (SELECT count(*) FROM made) AS count, (SELECT {} FROM r ORDER BY {descending} LIMIT 1) AS key",
        record("$1", "k", &live.table.key),
        of("t"),
        history.names.quoted(""),
        literal(name.schema()),
        literal(name.table()),
        expressions.key("r"),
        expressions.row("r"),
        expressions.raw_key("r"),
    )
}

/// Returns the condition that the key of the row `t` comes after that of the record `k`, by the operators of the index.
fn comes_after(key: &[Column]) -> String {
    let of = |row: &str, column: &Column| format!("{row}.{}", quoted(&column.found.name));
    let (t, k): (Vec<String>, Vec<String>) = key
        .iter()
        .map(|column| (of("t", column), of("k", column)))
        .unzip();
    let is_builtin = |column: &Column| column.found.greater == "OPERATOR(pg_catalog.>)";
    if key.iter().all(is_builtin) {
        return format!("ROW({}) > ROW({})", t.join(", "), k.join(", "));
    }
    // Rows compare by operators of one schema.
    let comes_after = |place: usize| {
        let same = (0..place)
            .map(|before| format!("{} {} {}", t[before], key[before].found.equals, k[before]));
        let greater = format!("{} {} {}", t[place], key[place].found.greater, k[place]);
        let all: Vec<String> = same.chain([greater]).collect();
        format!("({})", all.join(" AND "))
    };
    let any: Vec<String> = (0..key.len()).map(comes_after).collect();
    any.join(" OR ")
}

fn is_impatient(error: &HistoryError) -> bool {
    let HistoryError::Database(error) = error else {
        return false;
    };
    // lock_not_available
    code(error).as_deref() == Some("55P03")
}

/// How many rows are recorded together, and locked meanwhile.
const BATCH: u32 = 500;

/// Less than after which the database looks for deadlocks, which is a second: this gives in first.
const PATIENCE: Duration = Duration::from_millis(200);
