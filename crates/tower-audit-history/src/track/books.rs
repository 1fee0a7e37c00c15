//! Which tables are tracked, and how.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{
    AssertSqlSafe, PgConnection, Row as _,
    postgres::{PgRow, types::Oid},
    types::Json,
};
use tower_audit_core::changes::TableName;

use super::{
    Table, Track,
    table::{FoundColumn, Noted, NotedColumns},
};
use crate::{History, HistoryError};

/// What the books say of a table.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: TableName,
    pub(crate) track: Track,
    pub(crate) columns: NotedColumns,
    pub(crate) former_columns: Vec<FormerColumn>,
    /// The function of its triggers, without its schema.
    pub(crate) function: String,
    /// Since when it has this name.
    pub(crate) named_at: DateTime<Utc>,
    /// What it was called before.
    pub(crate) former_names: Vec<Former>,
    pub(crate) tracked_at: DateTime<Utc>,
    /// Since when nothing that happened to its rows is missing.
    pub(crate) begun_at: DateTime<Utc>,
}

/// A name that a table had, and when its changes were recorded under it. Another table may have had it before, or after.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Former {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

/// A column that was recorded for a while. Another one may have its name now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FormerColumn {
    pub(crate) name: String,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

impl Former {
    pub(crate) fn name(&self) -> TableName {
        TableName::new(self.schema.as_str(), self.table.as_str())
    }
}

impl Entry {
    /// Returns whether a change that was recorded under this name at this time is one of the table.
    pub(crate) fn had_name(&self, name: &TableName, at: DateTime<Utc>) -> bool {
        let mut former = self.former_names.iter();
        (self.name == *name && at >= self.named_at)
            || former.any(|former| former.name() == *name && at >= former.from && at < former.until)
    }
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
    /// What it was called. The end of the last is when it is noted under another one.
    pub(super) names: Vec<Former>,
    /// Since when it has the name that it has; `None` if it has a new one.
    pub(super) named_at: Option<DateTime<Utc>>,
    /// Since when nothing is missing; `None` if something is.
    pub(super) begun_at: Option<DateTime<Utc>>,
    /// The columns that were recorded, and still are.
    pub(super) kept: Vec<(i16, DateTime<Utc>)>,
    /// Those that were and are not, and those that had gone before.
    pub(super) gone: Vec<Noted>,
    pub(super) former_columns: Vec<FormerColumn>,
}

impl Before {
    /// Returns since when a column has been recorded.
    fn since(&self, column: &FoundColumn) -> Option<DateTime<Utc>> {
        let kept = self
            .kept
            .iter()
            .find(|(number, _)| *number == column.number);
        kept.map(|(_, since)| *since)
    }

    /// Returns the columns that were recorded for a while.
    fn former_columns(&self, now: DateTime<Utc>) -> Vec<FormerColumn> {
        let gone = self.gone.iter().map(|noted| FormerColumn {
            name: noted.name.clone(),
            from: noted.since,
            until: now,
        });
        self.former_columns.iter().cloned().chain(gone).collect()
    }
}

/// Notes how a table is tracked. The caller has made its triggers, so nobody writes to it until this is committed.
pub(super) async fn note(
    history: &History,
    connection: &mut PgConnection,
    table: &Table,
    before: &Before,
) -> Result<(), HistoryError> {
    let sql = format!(
        "INSERT INTO {} AS t (table_schema, table_name, settings, columns, function, relation, former_names, named_at, begun_at, former_columns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (table_schema, table_name) DO UPDATE SET settings = excluded.settings, columns = excluded.columns, \
         function = excluded.function, relation = excluded.relation, former_names = excluded.former_names, named_at = excluded.named_at, begun_at = excluded.begun_at, former_columns = excluded.former_columns, tracked_at = now() \
         WHERE (t.settings, t.columns, t.function, t.relation, t.former_names, t.begun_at) IS DISTINCT FROM \
         (excluded.settings, excluded.columns, excluded.function, excluded.relation, excluded.former_names, excluded.begun_at)",
        history.names.quoted("_tracked")
    );
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut *connection)
        .await?;
    let mut former = before.names.clone();
    if before.named_at.is_none()
        && let Some(last) = former.last_mut()
    {
        last.until = now;
    }
    sqlx::query(AssertSqlSafe(sql))
        .bind(table.name().schema())
        .bind(table.name().table())
        .bind(Json(&table.track))
        .bind(Json(
            table.noted(|column| before.since(column).unwrap_or(now)),
        ))
        .bind(history.names.function(table.name()))
        .bind(Oid(table.found.oid))
        .bind(Json(former))
        .bind(before.named_at.unwrap_or(now))
        .bind(before.begun_at.unwrap_or(now))
        .bind(Json(before.former_columns(now)))
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
    Ok(Entry {
        name: TableName::new(schema, table),
        track: row.try_get::<Json<Track>, _>("settings")?.0,
        columns: NotedColumns {
            relation: row.try_get::<Oid, _>("relation")?.0,
            columns: row.try_get::<Json<Vec<Noted>>, _>("columns")?.0,
        },
        former_columns: row
            .try_get::<Json<Vec<FormerColumn>>, _>("former_columns")?
            .0,
        function: row.try_get("function")?,
        named_at: row.try_get("named_at")?,
        former_names: row.try_get::<Json<Vec<Former>>, _>("former_names")?.0,
        tracked_at: row.try_get("tracked_at")?,
        begun_at: row.try_get("begun_at")?,
    })
}

const SELECT: &str = "SELECT table_schema, table_name, settings, columns, former_columns, function, relation, former_names, named_at, tracked_at, begun_at";
