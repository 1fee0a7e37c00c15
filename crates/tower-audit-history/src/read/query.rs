//! Pages of changes.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder};
use tower_audit_core::{
    PageSize, StoreError,
    changes::{
        ChangeCursor, ChangeFilter, ChangePage, ChangeReader, Columns, RowChange, TableName,
    },
};
use uuid::Uuid;

use super::row::{COLUMNS, read};
use crate::{History, HistoryError, names::Names};

impl ChangeReader for History {
    async fn changes(
        &self,
        filter: &ChangeFilter,
        older_than: Option<ChangeCursor>,
        size: PageSize,
    ) -> Result<ChangePage, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(HistoryError::from)?;
        let size = usize::from(size.events());
        let found = page(&mut connection, &self.names, filter, older_than, size + 1).await?;
        Ok(ChangePage::cut(found, size))
    }
}

impl History {
    /// Returns the change with this id; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns [`HistoryError::NotMigrated`] if there is no history, and [`HistoryError::Database`] otherwise.
    pub async fn change(&self, id: Uuid) -> Result<Option<RowChange>, HistoryError> {
        let mut connection = self.pool.acquire().await?;
        self.change_on(&mut connection, id).await
    }

    pub(crate) async fn change_on(
        &self,
        connection: &mut PgConnection,
        id: Uuid,
    ) -> Result<Option<RowChange>, HistoryError> {
        one(connection, &self.names, id).await
    }
}

/// Returns a change. Its id says, to a millisecond, when it was made.
async fn one(
    connection: &mut PgConnection,
    names: &Names,
    id: Uuid,
) -> Result<Option<RowChange>, HistoryError> {
    let Some((seconds, nanos)) = id.get_timestamp().map(|time| time.to_unix()) else {
        return Ok(None);
    };
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let Some(near) = DateTime::from_timestamp(seconds, nanos) else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE id = $1 AND at BETWEEN $2::timestamptz - interval '1 minute' AND $2 + interval '1 minute'",
        names.quoted("")
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(near);
    let row = row.fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Returns the newest changes that pass, at most so many.
pub(super) async fn page(
    connection: &mut PgConnection,
    names: &Names,
    filter: &ChangeFilter,
    older_than: Option<ChangeCursor>,
    limit: usize,
) -> Result<Vec<RowChange>, HistoryError> {
    let mut sql = QueryBuilder::new(format!(
        "SELECT {COLUMNS} FROM {} WHERE true",
        names.quoted("")
    ));
    conditions(&mut sql, filter, older_than);
    sql.push(" ORDER BY at DESC, id DESC LIMIT ");
    sql.push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

fn conditions(
    sql: &mut QueryBuilder<Postgres>,
    filter: &ChangeFilter,
    older_than: Option<ChangeCursor>,
) {
    if let Some(table) = filter.table_name() {
        sql.push(" AND table_schema = ")
            .push_bind(table.schema().to_owned());
        sql.push(" AND table_name = ")
            .push_bind(table.table().to_owned());
        if let Some(key) = filter.key() {
            sql.push(" AND (");
            has_key(sql, table, "key", key);
            sql.push(" OR (old_key IS NOT NULL AND ");
            has_key(sql, table, "old_key", key);
            sql.push("))");
        }
    }
    if let Some(event) = filter.event_id() {
        sql.push(" AND audit_id = ").push_bind(event.as_uuid());
    }
    let texts = [
        ("request_id", filter.request_id()),
        ("actor_id", filter.actor_id()),
        ("tenant_id", filter.tenant_id()),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            sql.push(format!(" AND {column} = "))
                .push_bind(text.to_owned());
        }
    }
    let (since, until) = filter.times();
    if let Some(since) = since {
        sql.push(" AND at >= ").push_bind(since);
    }
    if let Some(until) = until {
        sql.push(" AND at < ").push_bind(until);
    }
    if let Some(cursor) = older_than {
        sql.push(" AND (at, id) < (").push_bind(cursor.at());
        sql.push(", ").push_bind(cursor.id()).push(")");
    }
}

/// Adds the condition that a row has this key, as the index has it: by its hash, and then by itself.
fn has_key(sql: &mut QueryBuilder<Postgres>, table: &TableName, column: &'static str, key: &Value) {
    sql.push(format!(
        "hashtextextended(table_name, jsonb_hash_extended({column}, 0)) = hashtextextended("
    ));
    sql.push_bind(table.table().to_owned());
    sql.push(", jsonb_hash_extended(").push_bind(key.clone());
    sql.push(format!("::jsonb, 0)) AND {column} = "));
    sql.push_bind(key.clone());
}

/// Returns the oldest change of a row from a moment on, under whichever name its table had.
pub(super) async fn newer(
    connection: &mut PgConnection,
    names: &Names,
    tables: &[TableName],
    key: &Columns,
    since: DateTime<Utc>,
) -> Result<Option<RowChange>, HistoryError> {
    let mut oldest: Option<RowChange> = None;
    for table in tables {
        let filter = ChangeFilter::new()
            .row(table.clone(), key.clone().into())
            .since(since);
        let mut sql = QueryBuilder::new(format!(
            "SELECT {COLUMNS} FROM {} WHERE true",
            names.quoted("")
        ));
        conditions(&mut sql, &filter, None);
        sql.push(" ORDER BY at, id LIMIT 1");
        let row = sql.build().fetch_optional(&mut *connection).await?;
        let found = row.as_ref().map(read).transpose()?;
        let is_older =
            |found: &RowChange| oldest.as_ref().is_none_or(|oldest| found.at < oldest.at);
        if found.as_ref().is_some_and(is_older) {
            oldest = found;
        }
    }
    Ok(oldest)
}
