//! Which tables are tracked, and how.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow, types::Json};
use tower_audit_core::changes::TableName;

use super::{Table, Track, table::Noted};
use crate::{History, HistoryError};

/// What the books say of a table.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: TableName,
    pub(crate) track: Track,
    pub(crate) columns: Vec<Noted>,
    /// The function of its triggers, without its schema.
    pub(crate) function: String,
    /// What it was called before.
    pub(crate) former_names: Vec<TableName>,
    pub(crate) tracked_at: DateTime<Utc>,
    /// Since when nothing that happened to its rows is missing.
    pub(crate) begun_at: DateTime<Utc>,
}

/// Returns what the books say of all tables, by name.
pub(crate) async fn entries(
    history: &History,
    connection: &mut PgConnection,
) -> Result<Vec<Entry>, HistoryError> {
    let sql = format!(
        "{SELECT} FROM {} ORDER BY 1, 2",
        history.names.quoted("_tracked")
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

/// Returns what the books say of a table.
pub(crate) async fn entry(
    history: &History,
    connection: &mut PgConnection,
    name: &TableName,
) -> Result<Entry, HistoryError> {
    let entries = entries(history, connection).await?;
    let mut entries = entries.into_iter();
    let entry = entries.find(|entry| entry.name == *name);
    entry.ok_or_else(|| HistoryError::NotTracked(name.clone()))
}

/// What the books have said of a table until now.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// What it was called.
    pub(super) names: Vec<TableName>,
    /// Since when nothing is missing; `None` if something is.
    pub(super) begun_at: Option<DateTime<Utc>>,
}

/// Notes how a table is tracked. The caller has made its triggers, so nobody writes to it until this is committed.
pub(super) async fn note(
    history: &History,
    connection: &mut PgConnection,
    table: &Table,
    before: &Before,
) -> Result<(), HistoryError> {
    let sql = format!(
        "INSERT INTO {} AS t (table_schema, table_name, settings, columns, function, former_names, begun_at) \
         VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, clock_timestamp())) \
         ON CONFLICT (table_schema, table_name) DO UPDATE SET settings = excluded.settings, columns = excluded.columns, \
         function = excluded.function, former_names = excluded.former_names, begun_at = excluded.begun_at, tracked_at = now() \
         WHERE (t.settings, t.columns, t.function, t.former_names, t.begun_at) IS DISTINCT FROM \
         (excluded.settings, excluded.columns, excluded.function, excluded.former_names, excluded.begun_at)",
        history.names.quoted("_tracked")
    );
    let former: Vec<(&str, &str)> = before
        .names
        .iter()
        .map(|name| (name.schema(), name.table()))
        .collect();
    sqlx::query(AssertSqlSafe(sql))
        .bind(table.name().schema())
        .bind(table.name().table())
        .bind(Json(&table.track))
        .bind(Json(table.noted()))
        .bind(history.names.function(table.name()))
        .bind(Json(former))
        .bind(before.begun_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets a table.
pub(super) async fn forget(
    history: &History,
    connection: &mut PgConnection,
    name: &TableName,
) -> Result<(), HistoryError> {
    let tracked = history.names.quoted("_tracked");
    let sql = format!("DELETE FROM {tracked} WHERE table_schema = $1 AND table_name = $2");
    let forget = sqlx::query(AssertSqlSafe(sql))
        .bind(name.schema())
        .bind(name.table());
    forget.execute(connection).await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<Entry, HistoryError> {
    let (schema, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let Json(former): Json<Vec<(String, String)>> = row.try_get("former_names")?;
    let former = former
        .into_iter()
        .map(|(schema, table)| TableName::new(schema, table));
    Ok(Entry {
        name: TableName::new(schema, table),
        track: row.try_get::<Json<Track>, _>("settings")?.0,
        columns: row.try_get::<Json<Vec<Noted>>, _>("columns")?.0,
        function: row.try_get("function")?,
        former_names: former.collect(),
        tracked_at: row.try_get("tracked_at")?,
        begun_at: row.try_get("begun_at")?,
    })
}

const SELECT: &str = "SELECT table_schema, table_name, settings, columns, function, former_names, tracked_at, begun_at";
